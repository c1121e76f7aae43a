/* db_run(), and what is mostly done with its result. */
#include "shared/db.h"

enum error db_execute(struct db *db, const struct query *q)
{
    PGresult *res = NULL;
    enum error e = db_run(db, q, &res);
    if (e == OK)
        PQclear(res);
    return e;
}

enum error db_row(struct db *db, const struct query *q, struct arena *a, row_reader *read, void *out, enum error none)
{
    PGresult *res = NULL;
    enum error e = db_run(db, q, &res);
    if (e != OK)
        return e;
    if (!PQntuples(res)) {
        e = none;
    } else if (read) {
        struct row r = row_at(res, 0, a);
        read(&r, out);
    }
    PQclear(res);
    return e;
}

enum error db_int(struct db *db, const struct query *q, int64_t *out)
{
    return db_row(db, q, NULL, int_row, out, ERR_INTERNAL);
}

static void bool_read(struct row *r, void *out)
{
    *(bool *)out = row_bool(r);
}

enum error db_bool(struct db *db, const struct query *q, enum error no)
{
    bool yes = false;
    enum error e = db_row(db, q, NULL, bool_read, &yes, ERR_INTERNAL);
    return e != OK || yes ? e : no;
}

enum error db_list(struct db *db, const struct query *q, struct arena *a, row_reader *read, size_t size, void *out,
                   int *count)
{
    PGresult *res = NULL;
    enum error e = db_run(db, q, &res);
    if (e != OK)
        return e;
    rows_read(res, 0, a, read, size, out, count);
    PQclear(res);
    return OK;
}
