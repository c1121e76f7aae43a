/* parleyctl session: who is signed in, and signing somebody in from here. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "shared/timefmt.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

int cmd_session_list(struct ctl *c)
{
    struct query q;
    struct user u = {0};
    int64_t limit;
    int status = EX_OK;
    if (!option_int(c, "limit", 1, INT64_MAX, INT64_MAX, &limit))
        return EX_USAGE;
    if (c->arguments[0] && (status = ask_user(c, c->arguments[0], &u)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_SESSIONS);
    u.id ? query_int(&q, u.id) : query_null(&q);
    query_bool(&q, option(c, "all") != NULL);
    query_int(&q, limit);
    return ask_and_print(c, &q);
}

int cmd_session_revoke(struct ctl *c)
{
    struct query q;
    struct user u;
    struct ref session;
    const char *user = option(c, "user");
    int64_t ended;
    int status;
    if (!user == !c->arguments[0])
        return fail(c, EX_USAGE, "name either a session or --user");
    query_init(&q, SQL_ADMIN_SESSIONS_REVOKE);
    if (user) {
        if ((status = ask_user(c, user, &u)) != EX_OK)
            return status;
        query_null(&q);
        query_int(&q, u.id);
    } else {
        if ((status = ask_ref(c, "session", c->arguments[0], &session)) != EX_OK)
            return status;
        query_int(&q, session.id);
        query_null(&q);
    }
    if ((status = ask_number(c, &q, &ended)) != EX_OK)
        return status;
    if (!user && !ended)
        return fail(c, EX_DATAERR, "session %s is not open", c->arguments[0]);
    wake(&c->db);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "sessions_ended", json_object_new_int64(ended));
    output_done(&c->out, o, "%lld sessions ended", (long long)ended);
    return EX_OK;
}

/* ---- create ---- */

/* A session of its own, so that it can be ended by itself; without a refresh token. */
static int open_session(struct ctl *c, const struct user *u, enum dialect d, int64_t ttl, int64_t *id)
{
    struct caller here = {0};
    struct new_session session = {
        .dialect = dialect_name(d), .lifetime = ttl, .user_agent = "parleyctl session create", .from = &here};
    enum error e = session_create(&c->db, u, &session, id);
    return e == OK ? EX_OK : fail_error(c, e, u->username);
}

int cmd_session_create(struct ctl *c)
{
    struct keyring keys;
    struct user u;
    struct identity who = {.dialect = DIALECT_CONV};
    const char *dialect = option(c, "dialect");
    int64_t ttl;
    int status;
    if (dialect && !dialect_parse(dialect, &who.dialect))
        return fail(c, EX_USAGE, "there is no dialect %s; it is one of dm, conv, p2p, rooms, groups", dialect);
    int def = dialect_integers(who.dialect) ? c->config.access_ttl_v1 : c->config.access_ttl;
    if (!option_int(c, "ttl", 10, 31536000, def, &ttl))
        return EX_USAGE;
    if ((status = ask_user(c, c->arguments[0], &u)) != EX_OK)
        return status;
    if (!u.is_active)
        return fail(c, EX_NOUSER, "user %s is disabled", u.username);
    /* keyring_load() would make a missing file, which no running program would know. */
    if (access(c->config.key_file, R_OK) || !keyring_load(&keys, c->config.key_file))
        return fail(c, EX_CONFIG, "the key file %s cannot be used", c->config.key_file);
    if ((status = open_session(c, &u, who.dialect, ttl, &who.session_id)) != EX_OK)
        return status;
    who.user_id = u.id;
    who.user_created = u.created_at;
    snprintf(who.username, sizeof who.username, "%s", u.username);
    char *token = token_issue(&keys, c->config.issuer, &who, (int)ttl);
    if (!token)
        return fail(c, EX_OSERR, "out of memory");
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "access_token", json_object_new_string(token));
    json_object_object_add(o, "session", json_object_new_int64(who.session_id));
    json_object_object_add(o, "expires_in", json_object_new_int64(ttl));
    output_done(&c->out, o, "%s", token);
    free(token);
    return EX_OK;
}
