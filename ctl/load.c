/* parleyctl import: reads what export wrote into an empty database, in one transaction: all of it or
 * nothing. Rows of one table that follow each other are handed over in batches. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/progress.h"
#include "schema_version.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { BATCH_BYTES = 1 << 20 };

struct load {
    struct ctl *ctl;
    FILE *in;
    const char *name; /* of the file */
    int64_t line, rows, expected, next_xid;
    char table[64]; /* of the batch */
    char *batch;    /* [row,row,… */
    size_t len, size;
    struct progress progress;
    bool ended; /* the last line was seen */
};

static int bad(struct load *l, const char *why)
{
    return fail(l->ctl, EX_DATAERR, "%s, line %lld: %s", l->name, (long long)l->line, why);
}

static int hand_over(struct load *l)
{
    struct query q;
    int64_t stored;
    if (!l->len)
        return EX_OK;
    l->batch[l->len] = ']';
    l->batch[l->len + 1] = 0;
    query_init(&q, SQL_IMPORT_ROWS);
    query_text(&q, l->table);
    query_text(&q, l->batch);
    int status = ask_number(l->ctl, &q, &stored);
    l->len = 0;
    if (status != EX_OK)
        return bad(l, "the database does not take this row, or one shortly before it");
    l->rows += stored;
    progress_step(&l->progress, stored);
    return EX_OK;
}

static int append(struct load *l, const char *table, const char *row, size_t len)
{
    int status = EX_OK;
    if (strcmp(table, l->table) || l->len + len > BATCH_BYTES)
        status = hand_over(l);
    if (status != EX_OK)
        return status;
    snprintf(l->table, sizeof l->table, "%s", table);
    if (l->len + len + 3 > l->size) {
        l->size = (l->len + len + 3) * 2;
        if (!(l->batch = realloc(l->batch, l->size)))
            abort();
    }
    l->batch[l->len] = l->len ? ',' : '[';
    memcpy(l->batch + l->len + 1, row, len);
    l->len += len + 1;
    return EX_OK;
}

static int set_sequence(struct load *l, const char *name, int64_t value)
{
    struct query q;
    int64_t unused;
    int status = hand_over(l);
    if (status != EX_OK)
        return status;
    query_init(&q, SQL_IMPORT_SEQUENCE);
    query_text(&q, name);
    query_int(&q, value);
    return ask_number(l->ctl, &q, &unused) == EX_OK ? EX_OK : bad(l, "the database does not know this sequence");
}

static int take_head(struct load *l, struct json_object *o)
{
    struct json_object *version = json_object_object_get(o, "parley_export");
    int64_t schema = json_object_get_int64(json_object_object_get(o, "schema"));
    if (json_object_get_int(version) != 1)
        return bad(l, "this is no export of parleyctl");
    if (schema != SCHEMA_VERSION)
        return fail(l->ctl, EX_DATAERR,
                    "%s was made with schema %lld, this program has %d: export and import "
                    "with programs of the same schema",
                    l->name, (long long)schema, SCHEMA_VERSION);
    l->expected = json_object_get_int64(json_object_object_get(o, "rows"));
    l->next_xid = json_object_get_int64(json_object_object_get(o, "next_xid"));
    progress_start(&l->progress, "import", l->expected, !l->ctl->out.json);
    return EX_OK;
}

/* Every line but the first. text is the line, from which a row is handed on as it stands. */
static int take_line(struct load *l, struct json_object *o, const char *text)
{
    struct json_object *table = json_object_object_get(o, "table"), *sequence = json_object_object_get(o, "sequence");
    const char *row = strstr(text, "\"row\":");
    if (table && row && json_object_is_type(json_object_object_get(o, "row"), json_type_object))
        return append(l, json_object_get_string(table), row + 6, strrchr(row, '}') - (row + 6));
    if (sequence)
        return set_sequence(l, json_object_get_string(sequence),
                            json_object_get_int64(json_object_object_get(o, "last_value")));
    l->ended = json_object_get_boolean(json_object_object_get(o, "end"));
    return l->ended ? hand_over(l) : bad(l, "neither a row nor a sequence");
}

static int begin(struct load *l)
{
    struct query q;
    query_init(&q, SQL_BEGIN);
    enum error e = db_execute(&l->ctl->db, &q);
    query_init(&q, SQL_PATIENT);
    if (e == OK)
        e = db_execute(&l->ctl->db, &q);
    query_init(&q, SQL_IMPORT_BEGIN);
    query_int(&q, l->next_xid);
    if (e != OK)
        return fail_error(l->ctl, e, NULL);
    int64_t begun;
    int status = ask_number(l->ctl, &q, &begun);
    return status != EX_OK || begun ? status : fail(l->ctl, EX_DATAERR, "the database is not empty");
}

static int read_lines(struct load *l)
{
    char *text = NULL;
    size_t size = 0;
    int status = EX_OK;
    while (status == EX_OK && !l->ended && getline(&text, &size, l->in) > 0) {
        l->line++;
        struct json_object *o = json_tokener_parse(text);
        if (!json_object_is_type(o, json_type_object))
            status = bad(l, "this is no JSON object");
        else if (l->line > 1)
            status = take_line(l, o, text);
        else if ((status = take_head(l, o)) == EX_OK)
            status = begin(l);
        json_object_put(o);
    }
    free(text);
    if (status == EX_OK && ferror(l->in))
        return fail(l->ctl, EX_IOERR, "%s: %s", l->name, strerror(errno));
    if (status == EX_OK && !l->ended)
        return bad(l, "the file ends too early");
    if (status == EX_OK && l->rows != l->expected)
        return fail(l->ctl, EX_DATAERR, "%s has %lld rows instead of %lld", l->name, (long long)l->rows,
                    (long long)l->expected);
    return status;
}

static int finish(struct load *l)
{
    static const enum sql steps[] = {SQL_IMPORT_END, SQL_COMMIT, SQL_ANALYZE};
    struct query q;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        query_init(&q, steps[i]);
        enum error e = db_execute(&l->ctl->db, &q);
        if (e != OK)
            return fail_error(l->ctl, e, NULL);
    }
    return EX_OK;
}

int cmd_import(struct ctl *c)
{
    struct load l = {.ctl = c, .in = stdin, .name = "standard input"};
    if (c->arguments[0] && !(l.in = fopen(l.name = c->arguments[0], "re")))
        return fail(c, EX_NOINPUT, "%s: %s", l.name, strerror(errno));
    int status = read_lines(&l);
    if (status == EX_OK)
        status = finish(&l);
    progress_end(&l.progress);
    if (status == EX_OK) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "rows", json_object_new_int64(l.rows));
        output_done(&c->out, o, "%lld rows imported", (long long)l.rows);
    }
    free(l.batch);
    if (l.in != stdin)
        fclose(l.in);
    return status; /* a transaction that was not committed ends with the connection */
}
