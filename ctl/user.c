/* parleyctl user: accounts. What ends a user's sessions does so in the database; the daemons are told
 * to look, and close the sockets. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/prompt.h"
#include "shared/validate.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sysexits.h>

static struct json_object *about(const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(u->id));
    json_object_object_add(o, "username", json_object_new_string(u->username));
    return o;
}

/* ---- add ---- */

static enum error check_names(const struct new_account *n)
{
    enum error e = validate_username((struct text){n->username, strlen(n->username)});
    if (e == OK && n->email)
        e = validate_email((struct text){n->email, strlen(n->email)});
    if (e == OK)
        e = validate_display_name((struct text){n->display_name, strlen(n->display_name)});
    if (e == OK && !utf8_valid(n->display_name, strlen(n->display_name)))
        e = ERR_DISPLAY_NAME_INVALID;
    return e;
}

/* The password's hash; the password is wiped. */
static int ask_hash(struct ctl *c, char hash[PASSWORD_HASH])
{
    char password[PASSWORD_TEXT];
    int status;
    if (!prompt_password(c, password, &status))
        return status;
    bool ok = password_hash(password, c->config.bcrypt_cost, hash);
    OPENSSL_cleanse(password, sizeof password);
    return ok ? EX_OK : fail(c, EX_OSERR, "this system cannot hash passwords");
}

static int set_admin(struct ctl *c, const struct user *u, bool admin, int64_t *changed)
{
    struct query q;
    query_init(&q, SQL_ADMIN_USER_PROMOTE);
    query_int(&q, u->id);
    query_bool(&q, admin);
    return ask_number(c, &q, changed);
}

int cmd_user_add(struct ctl *c)
{
    char hash[PASSWORD_HASH];
    struct new_account account = {.username = c->arguments[0],
                                  .email = option(c, "email"),
                                  .display_name = option(c, "display-name"),
                                  .password_hash = hash};
    struct caller here = {0};
    struct new_session none = {.from = &here};
    struct user u;
    int64_t session, changed;
    if (!account.display_name)
        account.display_name = account.username;
    enum error e = check_names(&account);
    if (e != OK)
        return fail_error(c, e, NULL);
    int status = ask_hash(c, hash);
    if (status != EX_OK)
        return status;
    if ((e = account_create(&c->db, &c->arena, &account, &none, &u, &session)) != OK)
        return fail_error(c, e, NULL);
    if (option(c, "admin") && (status = set_admin(c, &u, true, &changed)) != EX_OK)
        return status;
    output_done(&c->out, about(&u), "user %s added, id %lld", u.username, (long long)u.id);
    return EX_OK;
}

/* ---- list ---- */

int cmd_user_list(struct ctl *c)
{
    struct query q;
    int64_t after, limit;
    if (!option_int(c, "after", 0, INT64_MAX, 0, &after) || !option_int(c, "limit", 1, INT64_MAX, INT64_MAX, &limit))
        return EX_USAGE;
    query_init(&q, SQL_ADMIN_USERS);
    query_text(&q, c->arguments[0]);
    query_int(&q, after);
    query_int(&q, limit);
    return ask_and_print(c, &q);
}

/* ---- disable, enable, promote, passwd ---- */

static int set_active(struct ctl *c, bool active)
{
    struct user u;
    struct query q;
    int64_t changed;
    int status = ask_user(c, c->arguments[0], &u);
    if (status != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_USER_ACTIVE);
    query_int(&q, u.id);
    query_bool(&q, active);
    if ((status = ask_number(c, &q, &changed)) != EX_OK)
        return status;
    wake(&c->db);
    struct json_object *o = about(&u);
    json_object_object_add(o, "active", json_object_new_boolean(active));
    json_object_object_add(o, "changed", json_object_new_boolean(changed != 0));
    output_done(&c->out, o, "user %s is %s%s", u.username, changed ? "" : "already ", active ? "enabled" : "disabled");
    return EX_OK;
}

int cmd_user_disable(struct ctl *c)
{
    return set_active(c, false);
}
int cmd_user_enable(struct ctl *c)
{
    return set_active(c, true);
}

int cmd_user_promote(struct ctl *c)
{
    struct user u;
    int64_t changed;
    bool admin = !option(c, "undo");
    int status = ask_user(c, c->arguments[0], &u);
    if (status != EX_OK || (status = set_admin(c, &u, admin, &changed)) != EX_OK)
        return status;
    struct json_object *o = about(&u);
    json_object_object_add(o, "admin", json_object_new_boolean(admin));
    json_object_object_add(o, "changed", json_object_new_boolean(changed != 0));
    output_done(&c->out, o, "user %s is %s%s", u.username, admin ? "" : "not ", "an administrator");
    return EX_OK;
}

int cmd_user_passwd(struct ctl *c)
{
    char hash[PASSWORD_HASH];
    struct user u;
    struct query q;
    int64_t ended;
    int status = ask_user(c, c->arguments[0], &u);
    if (status != EX_OK || (status = ask_hash(c, hash)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_USER_PASSWORD);
    query_int(&q, u.id);
    query_text(&q, hash);
    if ((status = ask_number(c, &q, &ended)) != EX_OK)
        return status;
    wake(&c->db);
    struct json_object *o = about(&u);
    json_object_object_add(o, "sessions_ended", json_object_new_int64(ended));
    output_done(&c->out, o, "user %s has a new password; %lld sessions ended", u.username, (long long)ended);
    return EX_OK;
}

/* ---- delete ---- */

int cmd_user_delete(struct ctl *c)
{
    struct user u;
    struct query q;
    int64_t erased; /* false: before, and this run is for the messages */
    bool messages = option(c, "messages") != NULL;
    int status = ask_user(c, c->arguments[0], &u);
    if (status != EX_OK)
        return status;
    if (!option(c, "yes") && !prompt_sure(c, arena_printf(&c->arena, "Erase %s%s? It cannot be undone.", u.username,
                                                          messages ? " and all they wrote" : "")))
        return EX_USAGE;
    query_init(&q, SQL_ADMIN_USER_ERASE);
    query_int(&q, u.id);
    if ((status = ask_number(c, &q, &erased)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_USER_ERASE_MESSAGES);
    query_int(&q, u.id);
    enum error e = messages ? db_execute(&c->db, &q) : OK;
    wake(&c->db);
    if (e != OK)
        return fail_error(c, e,
                          arena_printf(&c->arena,
                                       "the account is erased, not all it wrote; run this again with its id, %lld",
                                       (long long)u.id));
    struct json_object *o = about(&u);
    json_object_object_add(o, "messages_erased", json_object_new_boolean(messages));
    output_done(&c->out, o, "user %s is erased%s", u.username,
                messages ? ", and what they wrote" : "; what they wrote is shown as a deleted user's");
    return EX_OK;
}
