/* The throttle's settings are the connection's. */
#include "shared/door_store.h"

enum error login_admit(struct db *db, struct arena *a, const char *name, const struct caller *from,
                       struct admission *out)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_LOGIN_ADMIT);
    query_text(&q, name);
    query_text(&q, from->network);
    query_int(&q, db->config->login_tries);
    query_int(&q, db->config->login_tries_address);
    query_int(&q, db->config->login_delay);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    *out = (struct admission){.name = name, .network = from->network};
    out->wait = row_int(&r);
    out->counted = row_bool(&r);
    user_read(&r, &out->user);
    PQclear(res);
    return out->wait ? ERR_LOGIN_THROTTLED : OK;
}

enum error login_failed(struct db *db, const struct admission *try, const struct caller *from, const char *why)
{
    struct query q;
    query_init(&q, SQL_LOGIN_FAILED);
    if (try->user.id)
        query_int(&q, try->user.id);
    else
        query_null(&q);
    query_text(&q, why);
    query_caller(&q, from);
    return db_execute(db, &q);
}

enum error login_forgive(struct db *db, const struct admission *try)
{
    struct query q;
    query_init(&q, SQL_LOGIN_FORGIVE);
    query_text(&q, try->name);
    query_text(&q, try->network);
    query_bool(&q, try->counted);
    query_int(&q, db->config->login_tries_address);
    return db_execute(db, &q);
}

static void session_read(struct row *r, void *out)
{
    struct session_info *s = out;
    s->id = row_int(r);
    s->dialect = row_text(r);
    s->user_agent = row_text(r);
    s->address = row_text(r);
    s->created_at = row_time(r);
    s->used_at = row_time(r);
    s->expires_at = row_time(r);
    s->current = row_bool(r);
}

enum error session_list(struct db *db, struct arena *a, const struct identity *me, int64_t limit, int64_t offset,
                        struct session_info **out, int *count)
{
    struct query q;
    query_init(&q, SQL_SESSION_LIST);
    query_int(&q, me->user_id);
    query_int(&q, me->session_id);
    query_int(&q, db->config->access_ttl);
    query_int(&q, limit);
    query_int(&q, offset);
    return db_list(db, &q, a, session_read, sizeof **out, out, count);
}

enum error session_end(struct db *db, const struct identity *me, const struct ref *session, const struct caller *from)
{
    struct query q;
    query_init(&q, SQL_SESSION_END);
    query_int(&q, me->user_id);
    query_ref(&q, session);
    query_caller(&q, from);
    return db_row(db, &q, NULL, NULL, NULL, ERR_NOT_FOUND);
}

enum error session_end_others(struct db *db, const struct identity *me, const struct caller *from, int64_t *ended)
{
    struct query q;
    query_init(&q, SQL_SESSIONS_END);
    query_int(&q, me->user_id);
    query_int(&q, me->session_id);
    query_caller(&q, from);
    return db_int(db, &q, ended);
}

enum error password_change(struct db *db, const struct identity *me, const struct user *user, const char *new_hash,
                           const struct caller *from)
{
    struct query q;
    query_init(&q, SQL_PASSWORD_CHANGE);
    query_int(&q, me->user_id);
    query_int(&q, me->session_id);
    query_text(&q, user->password_hash);
    query_text(&q, new_hash);
    query_caller(&q, from);
    return db_bool(db, &q, ERR_PASSWORD_WRONG);
}
