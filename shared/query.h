/* A statement with its parameters, and a reader of its binary result. The same query is run by the
 * workers (db_run, waits) and by the daemon (pgpipe, does not). */
#ifndef PARLEY_QUERY_H
#define PARLEY_QUERY_H

#include "shared/arena.h"
#include "shared/id.h"
#include "shared/model.h"
#include "shared/sql.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

enum { QUERY_PARAMS = 16 };

/* Text and bytes are borrowed until the query has been handed to libpq. */
struct query {
    enum sql sql;
    int count;
    const char *values[QUERY_PARAMS];
    int lengths[QUERY_PARAMS];
    int formats[QUERY_PARAMS]; /* 1: bytea in binary */
    char numbers[QUERY_PARAMS][24];
};

void query_init(struct query *q, enum sql sql);
/* Append the next parameter. */
void query_int(struct query *q, int64_t value);
void query_bool(struct query *q, bool value);
void query_text(struct query *q, const char *s); /* NULL: SQL NULL */
void query_bytes(struct query *q, const void *bytes, size_t len);
void query_null(struct query *q);
/* id and ms of a ref as two parameters; ms NULL when it was named by integer. ref NULL: two NULLs. */
void query_ref(struct query *q, const struct ref *ref);
/* Lists: one array parameter; of refs two, ids and ms (-1: any). Built in the arena. */
void query_ints(struct query *q, struct arena *a, const int64_t *values, int n);
void query_texts(struct query *q, struct arena *a, const struct text *values, int n);
void query_refs(struct query *q, struct arena *a, const struct ref *refs, int n);

/* Walks the columns of one row, left to right. */
struct row {
    const PGresult *result;
    int row, column;
    struct arena *arena;
};

struct row row_at(const PGresult *result, int row, struct arena *arena);
/* The next column. A wrong column type is a fault of ours and ends the process. */
int64_t row_int(struct row *r);      /* bigint; 0 for NULL */
bool row_bool(struct row *r);        /* false for NULL */
int64_t row_time(struct row *r);     /* TIME_NONE for NULL */
const char *row_text(struct row *r); /* copied into the arena; NULL for NULL */
struct text row_bytes(struct row *r);
bool row_is_null(const struct row *r); /* looks, does not move on */

/* Reads an element of a list from the next columns. */
typedef void row_reader(struct row *r, void *out);
void int_row(struct row *r, void *out); /* row_int(), to an int64_t */
/* Makes a list in the arena of a result's rows from column `first` on. *out, a pointer to elements of
 * `size` bytes. A row that is NULL there has none. */
void rows_read(const PGresult *result, int first, struct arena *a, row_reader *read, size_t size, void *out,
               int *count);

#endif
