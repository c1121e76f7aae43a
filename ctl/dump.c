/* parleyctl export: a whole server as JSON lines, as of one moment. The first line tells what it is and
 * how many rows follow, then one line a row, {"table":…,"row":…}, then where the sequences stand, and a
 * last line by which a file that was cut off is known. Which tables there are only the database knows. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/progress.h"
#include "ctl/stream.h"
#include "schema_version.h"
#include "shared/timefmt.h"

#include <json-c/json.h>
#include <sysexits.h>
#include <unistd.h>

struct dump {
    struct ctl *ctl;
    struct sink sink;
    struct progress progress;
};

static void write_line(struct dump *d, struct json_object *take)
{
    fprintf(d->sink.file, "%s\n",
            json_object_to_json_string_ext(take, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(take);
}

static bool write_row(void *arg, const char *table, struct text json)
{
    struct dump *d = arg;
    fprintf(d->sink.file, "{\"table\":\"%s\",\"row\":", table);
    fwrite(json.s, 1, json.len, d->sink.file);
    fputs("}\n", d->sink.file);
    progress_step(&d->progress, 1);
    return !ferror(d->sink.file);
}

static int64_t count_rows(struct json_object *tables)
{
    int64_t rows = 0;
    for (size_t i = 0; i < json_object_array_length(tables); i++)
        rows += json_object_get_int64(json_object_object_get(json_object_array_get_idx(tables, i), "row_count"));
    return rows;
}

static int write_head(struct dump *d, int64_t rows)
{
    struct query q;
    char now[TIME_TEXT];
    int64_t next_xid;
    query_init(&q, SQL_EXPORT_XID);
    int status = ask_number(d->ctl, &q, &next_xid);
    struct json_object *o = json_object_new_object();
    time_format(time_now(), now);
    json_object_object_add(o, "parley_export", json_object_new_int(1));
    json_object_object_add(o, "schema", json_object_new_int(SCHEMA_VERSION));
    json_object_object_add(o, "rows", json_object_new_int64(rows));
    json_object_object_add(o, "next_xid", json_object_new_int64(next_xid));
    json_object_object_add(o, "exported_at", json_object_new_string(now));
    write_line(d, o);
    return status;
}

static int write_tables(struct dump *d, struct json_object *tables)
{
    struct query open;
    for (size_t i = 0; i < json_object_array_length(tables); i++) {
        struct json_object *table = json_object_array_get_idx(tables, i);
        query_init(&open, SQL_EXPORT_ROWS);
        query_text(&open, json_object_get_string(json_object_object_get(table, "name")));
        enum error e = stream_rows(d->ctl, &open, write_row, d);
        if (e != OK)
            return fail_error(d->ctl, e, NULL);
        if (ferror(d->sink.file))
            return EX_IOERR;
    }
    return EX_OK;
}

static int write_sequences(struct dump *d)
{
    struct query q;
    struct json_object *rows;
    query_init(&q, SQL_EXPORT_SEQUENCES);
    int status = ask_rows(d->ctl, &q, &rows);
    if (status != EX_OK)
        return status;
    for (size_t i = 0; i < json_object_array_length(rows); i++) {
        struct json_object *row = json_object_array_get_idx(rows, i), *o = json_object_new_object();
        json_object_object_add(o, "sequence", json_object_get(json_object_object_get(row, "sequencename")));
        json_object_object_add(o, "last_value", json_object_get(json_object_object_get(row, "last_value")));
        write_line(d, o);
    }
    json_object_put(rows);
    fputs("{\"end\":true}\n", d->sink.file);
    return EX_OK;
}

static int write_all(struct dump *d)
{
    struct query q;
    struct json_object *tables;
    query_init(&q, SQL_EXPORT_TABLES);
    int status = ask_rows(d->ctl, &q, &tables);
    if (status != EX_OK)
        return status;
    int64_t rows = count_rows(tables);
    progress_start(&d->progress, "export", rows, !d->ctl->out.json && !isatty(fileno(d->sink.file)));
    if ((status = write_head(d, rows)) == EX_OK && (status = write_tables(d, tables)) == EX_OK)
        status = write_sequences(d);
    progress_end(&d->progress);
    json_object_put(tables);
    return status;
}

int cmd_export(struct ctl *c)
{
    struct dump d = {.ctl = c};
    int status = sink_open(c, option(c, "output"), &d.sink);
    if (status != EX_OK)
        return status;
    if ((status = stream_begin(c)) == EX_OK) {
        status = write_all(&d);
        stream_end(c);
    }
    return sink_close(c, &d.sink, status);
}
