/* Parameters go out as text (but bytea), columns come in as binary: no number is ever printed and
 * parsed again, and times are exact. */
#include "shared/query.h"

#include "shared/log.h"
#include "shared/timefmt.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* PostgreSQL counts from 2000-01-01. */
#define POSTGRES_EPOCH_US INT64_C(946684800000000)

void query_init(struct query *q, enum sql sql)
{
    q->sql = sql;
    q->count = 0;
}

static void append(struct query *q, const char *value, size_t len, int format)
{
    if (q->count == QUERY_PARAMS)
        abort();
    q->values[q->count] = value;
    q->lengths[q->count] = (int)len;
    q->formats[q->count++] = format;
}

void query_int(struct query *q, int64_t value)
{
    char *at = q->numbers[q->count];
    int len = snprintf(at, sizeof q->numbers[0], "%lld", (long long)value);
    append(q, at, (size_t)len, 0);
}

void query_bool(struct query *q, bool value)
{
    append(q, value ? "t" : "f", 1, 0);
}

void query_text(struct query *q, const char *s)
{
    append(q, s, s ? strlen(s) : 0, 0);
}

void query_bytes(struct query *q, const void *bytes, size_t len)
{
    append(q, bytes, len, 1);
}

void query_null(struct query *q)
{
    append(q, NULL, 0, 0);
}

void query_ref(struct query *q, const struct ref *ref)
{
    if (ref)
        query_int(q, ref->id);
    else
        query_null(q);
    if (ref && ref->ms >= 0)
        query_int(q, ref->ms);
    else
        query_null(q);
}

void query_ints(struct query *q, struct arena *a, const int64_t *values, int n)
{
    char *text = arena_alloc(a, (size_t)n * 21 + 3), *at = text;
    *at++ = '{';
    for (int i = 0; i < n; i++)
        at += sprintf(at, i ? ",%lld" : "%lld", (long long)values[i]);
    *at = '}';
    query_text(q, text);
}

void query_refs(struct query *q, struct arena *a, const struct ref *refs, int n)
{
    int64_t *numbers = arena_alloc(a, (size_t)(n + 1) * sizeof *numbers);
    for (int i = 0; i < n; i++)
        numbers[i] = refs[i].id;
    query_ints(q, a, numbers, n);
    for (int i = 0; i < n; i++)
        numbers[i] = refs[i].ms;
    query_ints(q, a, numbers, n);
}

void query_texts(struct query *q, struct arena *a, const struct text *values, int n)
{
    size_t room = 3;
    for (int i = 0; i < n; i++)
        room += 2 * values[i].len + 3;
    char *text = arena_alloc(a, room), *at = text;
    *at++ = '{';
    for (int i = 0; i < n; i++) {
        if (i)
            *at++ = ',';
        *at++ = '"';
        for (size_t k = 0; k < values[i].len; k++) {
            if (strchr("\"\\", values[i].s[k]))
                *at++ = '\\';
            *at++ = values[i].s[k];
        }
        *at++ = '"';
    }
    *at = '}';
    query_text(q, text);
}

struct row row_at(const PGresult *result, int row, struct arena *arena)
{
    return (struct row){.result = result, .row = row, .arena = arena};
}

bool row_is_null(const struct row *r)
{
    return PQgetisnull(r->result, r->row, r->column);
}

/* The bytes of the next column, which has to be `size` long; NULL for an SQL NULL. */
static const char *fixed(struct row *r, int size)
{
    int column = r->column++;
    if (PQgetisnull(r->result, r->row, column))
        return NULL;
    if (PQgetlength(r->result, r->row, column) != size) {
        log_event(LOG_ERROR, "column_type", log_text("column", PQfname(r->result, column)));
        abort();
    }
    return PQgetvalue(r->result, r->row, column);
}

int64_t row_int(struct row *r)
{
    uint64_t n;
    const char *bytes = fixed(r, 8);
    if (!bytes)
        return 0;
    memcpy(&n, bytes, sizeof n);
    return (int64_t)be64toh(n);
}

void int_row(struct row *r, void *out)
{
    *(int64_t *)out = row_int(r);
}

bool row_bool(struct row *r)
{
    const char *byte = fixed(r, 1);
    return byte && *byte;
}

int64_t row_time(struct row *r)
{
    return row_is_null(r) ? (r->column++, TIME_NONE) : row_int(r) + POSTGRES_EPOCH_US;
}

struct text row_bytes(struct row *r)
{
    struct text t = {0};
    if (!row_is_null(r)) {
        t.len = (size_t)PQgetlength(r->result, r->row, r->column);
        t.s = arena_strndup(r->arena, PQgetvalue(r->result, r->row, r->column), t.len);
    }
    r->column++;
    return t;
}

const char *row_text(struct row *r)
{
    return row_bytes(r).s;
}

void rows_read(const PGresult *result, int first, struct arena *a, row_reader *read, size_t size, void *out, int *count)
{
    int rows = PQntuples(result);
    char *list = arena_alloc(a, size * (size_t)rows);
    memcpy(out, &list, sizeof list);
    *count = 0;
    for (int i = 0; i < rows; i++) {
        struct row r = row_at(result, i, a);
        r.column = first;
        if (!row_is_null(&r))
            read(&r, list + size * (size_t)(*count)++);
    }
}
