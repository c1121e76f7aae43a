#include "shared/retention_store.h"

/* Few enough that whoever writes in the same conversation does not notice. */
enum { BATCH = 500 };

static void purge_read(struct row *r, void *out)
{
    struct purge *p = out;
    p->conversation = row_int(r);
    p->messages = row_int(r);
    p->wait_ms = row_int(r);
}

enum error messages_purge(struct db *db, int64_t default_days, struct purge *out)
{
    struct query q;
    query_init(&q, SQL_MESSAGES_PURGE);
    query_int(&q, default_days);
    query_int(&q, BATCH);
    return db_row(db, &q, NULL, purge_read, out, ERR_INTERNAL);
}

static enum error purge(struct db *db, struct query *q, int64_t *gone)
{
    query_int(q, PURGE_BATCH);
    return db_int(db, q, gone);
}

enum error mail_purge(struct db *db, int64_t *gone)
{
    struct query q;
    query_init(&q, SQL_MAIL_PURGE);
    return purge(db, &q, gone);
}

enum error callbacks_purge(struct db *db, int64_t *gone)
{
    struct query q;
    query_init(&q, SQL_CALLBACKS_PURGE);
    return purge(db, &q, gone);
}

enum error audit_purge(struct db *db, int64_t days, int64_t *gone)
{
    struct query q;
    query_init(&q, SQL_AUDIT_PURGE);
    query_int(&q, days);
    return purge(db, &q, gone);
}
