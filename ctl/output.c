/* Commands make JSON and nothing else; here it becomes a table where a person reads it. */
#include "ctl/output.h"

#include "shared/query.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CELL_MOST = 60 }; /* characters of a table's cell; longer ones are cut, the last column excepted */

/* Types of columns, from PostgreSQL's catalog/pg_type.dat. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_TIMESTAMPTZ = 1184 };

/* ---- for programs ---- */

static struct json_object *column(struct row *r, int i)
{
    if (row_is_null(r)) {
        r->column++;
        return NULL;
    }
    switch (PQftype(r->result, i)) {
    case OID_BOOL: return json_object_new_boolean(row_bool(r));
    case OID_INT8: return json_object_new_int64(row_int(r));
    case OID_TIMESTAMPTZ: return view_time(row_time(r));
    default: return view_text(row_text(r));
    }
}

struct json_object *output_rows(const PGresult *res, struct arena *a)
{
    struct json_object *list = json_object_new_array();
    for (int n = 0; n < PQntuples(res); n++) {
        struct json_object *o = json_object_new_object();
        struct row r = row_at(res, n, a);
        for (int i = 0; i < PQnfields(res); i++)
            json_object_object_add(o, PQfname(res, i), column(&r, i));
        json_object_array_add(list, o);
    }
    return list;
}

/* ---- for people ---- */

/* A value as a cell shows it: control characters, which a terminal would obey, become question marks. */
static const char *cell(struct json_object *value, size_t most, char out[static 4 * CELL_MOST + 8], size_t *width)
{
    const char *s = value ? json_object_get_string(value) : "-";
    size_t len = 0, characters = 0, room = 4 * most;
    if (json_object_is_type(value, json_type_boolean))
        s = json_object_get_boolean(value) ? "yes" : "no";
    for (; *s && len < room && (characters < most || ((unsigned char)*s & 0xC0) == 0x80); s++) {
        characters += ((unsigned char)*s & 0xC0) != 0x80;
        out[len++] = (char)((unsigned char)*s < ' ' || *s == 127 ? '?' : *s);
    }
    out[len] = 0;
    if (*s)
        strcpy(out + len, "…");
    *width = characters + (*s != 0);
    return out;
}

static void print_padded(const char *s, size_t width, size_t column, bool last)
{
    fputs(s, stdout);
    if (!last)
        printf("%*s", (int)(column - width + 2), "");
}

enum { COLUMNS_MOST = 24 };

static void print_line(struct json_object *row, struct json_object *names, const size_t *widths)
{
    char text[4 * CELL_MOST + 8];
    int i = 0, count = json_object_object_length(names);
    json_object_object_foreach(names, key, unused)
    {
        size_t width = strlen(key);
        (void)unused;
        const char *s = key;
        if (row)
            s = cell(json_object_object_get(row, key), CELL_MOST, text, &width);
        print_padded(s, width, i < COLUMNS_MOST ? widths[i] : width, i == count - 1);
        i++;
    }
    putchar('\n');
}

static void print_table(struct json_object *list)
{
    char text[4 * CELL_MOST + 8];
    size_t widths[COLUMNS_MOST] = {0}, width, count = json_object_array_length(list);
    struct json_object *names = count ? json_object_array_get_idx(list, 0) : NULL;
    if (!count)
        return;
    for (size_t n = 0; n < count; n++) {
        int i = 0;
        json_object_object_foreach(names, key, unused)
        {
            (void)unused;
            cell(json_object_object_get(json_object_array_get_idx(list, n), key), CELL_MOST, text, &width);
            if (strlen(key) > width)
                width = strlen(key);
            if (i < COLUMNS_MOST && width > widths[i])
                widths[i] = width;
            i++;
        }
    }
    print_line(NULL, names, widths);
    for (size_t n = 0; n < count; n++)
        print_line(json_object_array_get_idx(list, n), names, widths);
}

static void print_record(struct json_object *record)
{
    char text[4 * CELL_MOST + 8];
    size_t width, widest = 0;
    json_object_object_foreach(record, name, value)
    {
        if (!json_object_is_type(value, json_type_array) && strlen(name) > widest)
            widest = strlen(name);
    }
    json_object_object_foreach(record, key, member)
    {
        if (json_object_is_type(member, json_type_array)) {
            printf("\n%s:\n", key);
            print_table(member);
        } else if (json_object_is_type(member, json_type_string)) {
            printf("%-*s  %s\n", (int)widest, key, json_object_get_string(member));
        } else {
            printf("%-*s  %s\n", (int)widest, key, cell(member, CELL_MOST, text, &width));
        }
    }
}

void output_print(const struct output *out, struct json_object *take)
{
    if (out->json)
        puts(json_object_to_json_string_ext(take, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    else if (json_object_is_type(take, json_type_array))
        print_table(take);
    else
        print_record(take);
    json_object_put(take);
}

void output_done(const struct output *out, struct json_object *take, const char *format, ...)
{
    va_list args;
    if (out->json) {
        output_print(out, take);
        return;
    }
    json_object_put(take);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}
