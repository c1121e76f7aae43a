/* Accounts and sessions. */
#include "shared/store.h"

#include <string.h>

void query_caller(struct query *q, const struct caller *from)
{
    query_text(q, from->address);
    query_text(q, from->request_id);
}

static void query_hash(struct query *q, const unsigned char *hash)
{
    if (hash)
        query_bytes(q, hash, SECRET_HASH);
    else
        query_null(q);
}

/* A unique violation, told by the index that refused. */
static enum error taken(const struct db *db, enum error e)
{
    if (!strcmp(db->constraint, "users_username"))
        return ERR_USERNAME_TAKEN;
    if (!strcmp(db->constraint, "users_email"))
        return ERR_EMAIL_TAKEN;
    return e;
}

enum error account_create(struct db *db, struct arena *a, const struct new_account *account,
                          const struct new_session *session, struct user *out, int64_t *session_id)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_ACCOUNT_CREATE);
    query_text(&q, account->username);
    query_text(&q, account->email);
    query_text(&q, account->display_name);
    query_text(&q, account->password_hash);
    query_text(&q, session->dialect);
    query_hash(&q, session->refresh_hash);
    query_int(&q, session->lifetime);
    query_text(&q, session->user_agent);
    query_text(&q, session->from->address);
    query_text(&q, account->mail);
    query_text(&q, session->from->network);
    query_text(&q, session->from->request_id);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return taken(db, e);
    struct row r = row_at(res, 0, a);
    user_read(&r, out);
    *session_id = row_int(&r);
    PQclear(res);
    return OK;
}

enum error user_by_ref(struct db *db, struct arena *a, const struct ref *ref, struct user *out)
{
    struct query q;
    struct user found;
    query_init(&q, SQL_USER_BY_ID);
    query_int(&q, ref->id);
    enum error e = db_row(db, &q, a, user_row, &found, ERR_USER_NOT_FOUND);
    if (e == OK && !id_matches(ref, found.created_at))
        e = ERR_USER_NOT_FOUND;
    if (e == OK)
        *out = found;
    return e;
}

/* Ended sessions are kept for as long as the throttle knows the places they came from, or an access token
 * of theirs could still be shown. */
static int64_t sessions_keep(const struct config *c)
{
    const int64_t known = INT64_C(90) * 86400;
    int64_t token = c->access_ttl > c->access_ttl_v1 ? c->access_ttl : c->access_ttl_v1;
    return token > known ? token : known;
}

enum error session_create(struct db *db, const struct user *user, const struct new_session *session,
                          int64_t *session_id)
{
    struct query q;
    int64_t id;
    query_init(&q, SQL_SESSION_CREATE);
    query_int(&q, user->id);
    query_text(&q, user->password_hash);
    query_text(&q, session->dialect);
    query_hash(&q, session->refresh_hash);
    query_int(&q, session->lifetime);
    query_text(&q, session->user_agent);
    query_text(&q, session->from->address);
    query_text(&q, session->from->network);
    query_text(&q, session->from->request_id);
    query_int(&q, sessions_keep(db->config));
    enum error e = db_int(db, &q, &id);
    if (e != OK)
        return e;
    if (!id)
        return ERR_CREDENTIALS;
    *session_id = id;
    return OK;
}

enum error session_user(struct db *db, struct arena *a, int64_t session_id, int64_t user_id, struct user *out)
{
    struct query q;
    struct user found;
    query_init(&q, SQL_SESSION_USER);
    query_int(&q, session_id);
    query_int(&q, user_id);
    enum error e = db_row(db, &q, a, user_row, &found, ERR_UNAUTHORIZED);
    if (e == OK && !found.is_active)
        e = ERR_DISABLED;
    if (e == OK)
        *out = found;
    return e;
}

enum error session_refresh(struct db *db, struct arena *a, const unsigned char *shown_hash,
                           const unsigned char *next_hash, int64_t lifetime, const struct caller *from,
                           int64_t *session_id, struct user *out)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_SESSION_REFRESH);
    query_hash(&q, shown_hash);
    query_hash(&q, next_hash);
    query_bool(&q, next_hash != NULL);
    query_int(&q, lifetime);
    query_caller(&q, from);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    if (strcmp(row_text(&r), "refreshed")) {
        e = ERR_REFRESH_INVALID;
    } else {
        *session_id = row_int(&r);
        user_read(&r, out);
    }
    PQclear(res);
    return e;
}

enum error session_revoke(struct db *db, int64_t session_id, const struct caller *from)
{
    struct query q;
    query_init(&q, SQL_SESSION_REVOKE);
    query_int(&q, session_id);
    query_caller(&q, from);
    return db_execute(db, &q);
}
