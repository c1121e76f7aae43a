/* The secret is hashed here and goes no further. */
#include "shared/webhook_store.h"

#include "shared/outcome.h"

#include <string.h>

static void webhook_read(struct row *r, struct webhook *out)
{
    *out = (struct webhook){.id = row_int(r)};
    out->created_at = row_time(r);
    out->username = row_text(r);
    out->name = row_text(r);
    out->maker_id = row_int(r);
    out->maker_created_at = row_time(r);
    out->used_at = row_time(r);
}

/* Runs a statement that answers an outcome and a webhook. */
static enum error run_one(struct db *db, struct arena *a, const struct query *q, struct webhook *out)
{
    PGresult *res;
    enum error e = db_run(db, q, &res);
    if (e != OK)
        return e == ERR_INTERNAL && !strcmp(db->constraint, "users_username") ? ERR_USERNAME_TAKEN : e;
    struct row r = row_at(res, 0, a);
    e = outcome_error(row_text(&r));
    if (e == OK)
        webhook_read(&r, out);
    PQclear(res);
    return e;
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
    PGresult *res;
    query_init(&q, SQL_WEBHOOK_LIST);
    query_int(&q, me->user_id);
    query_ref(&q, room);
    enum error e = outcome_rows(db, &q, &res);
    if (e != OK)
        return e;
    *count = 0;
    *out = arena_alloc(a, sizeof **out * (size_t)PQntuples(res));
    for (int i = 0; i < PQntuples(res); i++) {
        struct row r = row_at(res, i, a);
        row_text(&r); /* the outcome */
        if (!row_is_null(&r))
            webhook_read(&r, &(*out)[(*count)++]);
    }
    PQclear(res);
    return OK;
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
