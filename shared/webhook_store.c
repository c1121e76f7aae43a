/* The secret is hashed here and goes no further. */
#include "shared/webhook_store.h"

#include "shared/outcome.h"

#include <string.h>

static void webhook_read(struct row *r, void *out)
{
    struct webhook *w = out;
    w->id = row_int(r);
    w->created_at = row_time(r);
    w->username = row_text(r);
    w->name = row_text(r);
    w->maker_id = row_int(r);
    w->maker_created_at = row_time(r);
    w->used_at = row_time(r);
}

/* Runs a statement that answers an outcome and a webhook. */
static enum error run_one(struct db *db, struct arena *a, const struct query *q, struct webhook *out)
{
    enum error e = outcome_row(db, q, a, webhook_read, out);
    return e == ERR_INTERNAL && !strcmp(db->constraint, "users_username") ? ERR_USERNAME_TAKEN : e;
}

enum error webhook_create(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                          const char *username, const char *name, const char *secret, const struct caller *from,
                          struct webhook *out)
{
    unsigned char hash[SECRET_HASH];
    struct query q;
    secret_hash(secret, hash);
    query_init(&q, SQL_WEBHOOK_CREATE);
    query_ref(&q, room);
    query_int(&q, me->user_id);
    query_text(&q, username);
    query_text(&q, name);
    query_bytes(&q, hash, sizeof hash);
    query_int(&q, WEBHOOKS_MOST);
    query_caller(&q, from);
    return run_one(db, a, &q, out);
}

enum error webhook_change(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                          const struct ref *hook, const char *secret, const struct caller *from, struct webhook *out)
{
    unsigned char hash[SECRET_HASH];
    struct query q;
    query_init(&q, SQL_WEBHOOK_CHANGE);
    query_ref(&q, room);
    query_int(&q, me->user_id);
    query_ref(&q, hook);
    if (secret) {
        secret_hash(secret, hash);
        query_bytes(&q, hash, sizeof hash);
    } else {
        query_null(&q);
    }
    query_caller(&q, from);
    return run_one(db, a, &q, out);
}

enum error webhook_list(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                        struct webhook **out, int *count)
{
    struct query q;
    query_init(&q, SQL_WEBHOOK_LIST);
    query_int(&q, me->user_id);
    query_ref(&q, room);
    return outcome_list(db, &q, a, webhook_read, sizeof **out, out, count);
}

enum error webhook_post(struct db *db, const char *secret, const char *content, const char *key, int rate,
                        bool *replayed, int64_t *wait)
{
    unsigned char hash[SECRET_HASH];
    struct query q;
    PGresult *res;
    secret_hash(secret, hash);
    query_init(&q, SQL_WEBHOOK_POST);
    query_bytes(&q, hash, sizeof hash);
    query_text(&q, content);
    query_text(&q, key);
    query_int(&q, rate);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    e = outcome_result(res);
    *replayed = !strcmp(PQgetvalue(res, 0, 0), "replayed");
    struct row r = row_at(res, 0, NULL);
    r.column = 1;
    *wait = row_int(&r);
    PQclear(res);
    return e;
}
