/* parleyctl token: the tokens of scripts. The secret is printed when it is made, and is nowhere after that. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "shared/token_store.h"
#include "shared/validate.h"

#include <json-c/json.h>
#include <string.h>
#include <sysexits.h>

enum { DAYS_MOST = 3650, DAY_S = 86400 };

int cmd_token_list(struct ctl *c)
{
    struct query q;
    struct user u;
    int64_t limit;
    int status;
    if (!option_int(c, "limit", 1, INT64_MAX, INT64_MAX, &limit))
        return EX_USAGE;
    if (c->arguments[0] && (status = ask_user(c, c->arguments[0], &u)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_TOKENS);
    c->arguments[0] ? query_int(&q, u.id) : query_null(&q);
    query_int(&q, limit);
    return ask_and_print(c, &q);
}

/* ---- create ---- */

/* Words between commas or spaces. */
static int read_scopes(struct ctl *c, unsigned *out)
{
    const char *words = option(c, "scope");
    *out = words ? 0 : SCOPE_READ;
    for (const char *p = words ? words : ""; *(p += strspn(p, ", ")); p += strcspn(p, ", ")) {
        unsigned scope = scope_parse(p, strcspn(p, ", "));
        if (!scope)
            return fail(c, EX_USAGE, "there is no scope %.*s; it is read, send or admin", (int)strcspn(p, ", "), p);
        *out |= scope;
    }
    return *out ? EX_OK : fail(c, EX_USAGE, "--scope needs a word: read, send or admin");
}

/* room is what out->conversation points to. */
static int read_options(struct ctl *c, struct new_token *out, struct ref *room)
{
    const char *label = option(c, "label"), *conversation = option(c, "conversation");
    int64_t days;
    int status;
    if (!label)
        return fail(c, EX_USAGE, "say with --label what the token is for");
    out->label = (struct text){label, strlen(label)};
    if ((status = read_scopes(c, &out->scopes)) != EX_OK)
        return status;
    if (!option_int(c, "expires", 1, DAYS_MOST, 0, &days))
        return EX_USAGE;
    out->lifetime = days * DAY_S;
    out->conversation = conversation ? room : NULL;
    if (conversation && (status = ask_ref(c, "conversation", conversation, room)) != EX_OK)
        return status;
    enum error e = utf8_valid(label, strlen(label)) ? validate_label(out->label) : ERR_LABEL_INVALID;
    return e == OK ? EX_OK : fail_error(c, e, NULL);
}

int cmd_token_create(struct ctl *c)
{
    char secret[SCRIPT_TOKEN_TEXT];
    struct caller here = {0};
    struct new_token t = {.user_agent = "parleyctl token create", .from = &here};
    struct token_info made;
    struct ref room;
    struct user u;
    int status = read_options(c, &t, &room);
    if (status != EX_OK || (status = ask_user(c, c->arguments[0], &u)) != EX_OK)
        return status;
    if (!u.is_active)
        return fail(c, EX_NOUSER, "user %s is disabled", u.username);
    script_token_make(secret);
    struct identity owner = {.user_id = u.id};
    enum error e = token_create(&c->db, &c->arena, &owner, secret, &t, &made);
    if (e != OK)
        return fail_error(c, e, u.username);
    wake(&c->db); /* the daemons are to know it before it is first shown to them */
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(made.id));
    json_object_object_add(o, "secret", json_object_new_string(secret));
    output_done(&c->out, o, "%s", secret);
    return EX_OK;
}

/* ---- revoke ---- */

int cmd_token_revoke(struct ctl *c)
{
    struct query q;
    struct ref token;
    int64_t ended;
    int status = ask_ref(c, "token", c->arguments[0], &token);
    if (status != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_TOKEN_REVOKE);
    query_ref(&q, &token);
    if ((status = ask_number(c, &q, &ended)) != EX_OK)
        return status;
    if (!ended)
        return fail(c, EX_DATAERR, "there is no token %s", c->arguments[0]);
    wake(&c->db); /* its sockets close */
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(token.id));
    output_done(&c->out, o, "token %lld is revoked", (long long)token.id);
    return EX_OK;
}
