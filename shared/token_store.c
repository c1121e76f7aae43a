/* The halves that read rows are the daemon's too. */
#include "shared/token_store.h"

#include "shared/outcome.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

bool script_token_is(const char *text)
{
    size_t prefix = sizeof SCRIPT_TOKEN_PREFIX - 1;
    return !strncmp(text, SCRIPT_TOKEN_PREFIX, prefix) && strlen(text) == SCRIPT_TOKEN_TEXT - 1;
}

void script_token_make(char out[SCRIPT_TOKEN_TEXT])
{
    size_t prefix = sizeof SCRIPT_TOKEN_PREFIX - 1;
    memcpy(out, SCRIPT_TOKEN_PREFIX, prefix);
    secret_make(out + prefix);
}

static void info_read(struct row *r, void *out)
{
    struct token_info *t = out;
    t->id = row_int(r);
    t->label = row_text(r);
    t->scopes = (unsigned)row_int(r);
    t->conversation_id = row_int(r);
    t->conversation_created_at = row_time(r);
    t->created_at = row_time(r);
    t->expires_at = row_time(r);
    t->used_at = row_time(r);
}

enum error token_create(struct db *db, struct arena *a, const struct identity *me, const char *secret,
                        const struct new_token *t, struct token_info *out)
{
    unsigned char hash[SECRET_HASH];
    struct query q;
    secret_hash(secret, hash);
    query_init(&q, SQL_TOKEN_CREATE);
    me->session_id ? query_int(&q, me->session_id) : query_null(&q);
    query_int(&q, me->user_id);
    query_bytes(&q, hash, sizeof hash);
    query_text(&q, t->label.s);
    query_int(&q, t->scopes);
    query_ref(&q, t->conversation);
    t->lifetime ? query_int(&q, t->lifetime) : query_null(&q);
    query_text(&q, t->user_agent);
    query_caller(&q, t->from);
    query_int(&q, SCRIPT_TOKENS_MOST);
    return outcome_row(db, &q, a, info_read, out);
}

enum error token_list(struct db *db, struct arena *a, const struct identity *me, int64_t limit, int64_t offset,
                      struct token_info **out, int *count)
{
    struct query q;
    query_init(&q, SQL_TOKEN_LIST);
    query_int(&q, me->user_id);
    query_int(&q, limit);
    query_int(&q, offset);
    return db_list(db, &q, a, info_read, sizeof **out, out, count);
}

enum error token_revoke(struct db *db, const struct identity *me, const struct ref *token, const struct caller *from,
                        int64_t *ended)
{
    struct query q;
    query_init(&q, SQL_TOKEN_REVOKE);
    query_int(&q, me->user_id);
    query_ref(&q, token);
    query_caller(&q, from);
    enum error e = db_int(db, &q, ended);
    return e == OK && token && !*ended ? ERR_NOT_FOUND : e;
}

void token_identity_read(struct row *r, struct token_identity *out)
{
    struct arena a;
    *out = (struct token_identity){0};
    arena_init(&a);
    r->arena = &a;
    struct text hash = row_bytes(r);
    if (hash.len == sizeof out->hash)
        memcpy(out->hash, hash.s, sizeof out->hash);
    struct identity *who = &out->who;
    who->dialect = DIALECT_CONV; /* of the surface it was made at */
    who->session_id = row_int(r);
    who->user_id = row_int(r);
    who->user_created = row_time(r) / 1000 * 1000;
    snprintf(who->username, sizeof who->username, "%s", row_text(r));
    who->scopes = (unsigned)row_int(r) & (SCOPES_ALL & ~SCOPE_LOGIN);
    who->conversation_id = row_int(r);
    who->expires = row_int(r);
    out->revoked = row_bool(r);
    r->arena = NULL;
    arena_release(&a);
}

enum error token_find(struct db *db, const char *secret, struct identity *out)
{
    unsigned char hash[SECRET_HASH];
    struct token_identity found = {0};
    struct query q;
    PGresult *res;
    secret_hash(secret, hash);
    query_init(&q, SQL_TOKEN_FIND);
    query_bytes(&q, hash, sizeof hash);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    if (PQntuples(res)) {
        struct row r = row_at(res, 0, NULL);
        token_identity_read(&r, &found);
    }
    PQclear(res);
    if (found.who.expires <= (int64_t)time(NULL))
        return ERR_UNAUTHORIZED;
    *out = found.who;
    return OK;
}

void token_used_query(struct query *q, int64_t token)
{
    query_init(q, SQL_TOKEN_USED);
    query_int(q, token);
}

enum error token_message(struct db *db, const struct ref *message, int64_t conversation_id)
{
    struct query q;
    query_init(&q, SQL_TOKEN_MESSAGE);
    query_ref(&q, message);
    query_int(&q, conversation_id);
    return db_bool(db, &q, ERR_INSUFFICIENT_SCOPE);
}

void token_identities_query(struct query *q, int64_t token)
{
    query_init(q, SQL_TOKEN_IDENTITIES);
    token ? query_int(q, token) : query_null(q);
}
