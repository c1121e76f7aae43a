#include "shared/retention_store.h"

/* Few enough that whoever writes in the same conversation does not notice. */
enum { BATCH = 500 };

enum error messages_purge(struct db *db, int64_t default_days, struct purge *out)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_MESSAGES_PURGE);
    query_int(&q, default_days);
    query_int(&q, BATCH);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, NULL);
    out->conversation = row_int(&r);
    out->messages = row_int(&r);
    out->wait_ms = row_int(&r);
    PQclear(res);
    return OK;
}
