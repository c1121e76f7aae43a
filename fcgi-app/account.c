/* Passwords are hashed and compared here and nowhere else; the auth pool exists for the time it takes. */
#include "fcgi-app/account.h"

#include "fcgi-app/router.h"
#include "shared/door_store.h"
#include "shared/mail_store.h"
#include "shared/metrics.h"
#include "shared/secret.h"
#include "shared/store.h"
#include "shared/validate.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
/* How the surfaces' accounts differ. */
static const struct surface {
    enum error (*username)(struct text);
    bool derives;   /* a display_name will do instead of a username */
    bool email;     /* is required */
    bool conflicts; /* what is taken is a 409 rather than a 400 */
    bool opens;     /* registering opens a session */
    bool refreshes; /* sessions have a refresh token */
    bool verifies;  /* the e-mail address, by a mail with a link */
} surfaces[DIALECTS] = {
    /*                  username                        derives email  conflicts opens  refreshes verifies */
    [DIALECT_DM]     = {validate_username,              false,  true,  false,    true,  true,     true},
    [DIALECT_CONV]   = {validate_username,              true,   true,  false,    true,  true,     true},
    [DIALECT_P2P]    = {validate_username,              false,  true,  true,     true,  false,    false},
    [DIALECT_ROOMS]  = {validate_username_alphanumeric, false,  false, false,    false, false,    false},
    [DIALECT_GROUPS] = {validate_username,              false,  true,  false,    true,  true,     false},
};
/* clang-format on */

static const struct surface *surface_of(const struct request *req)
{
    return &surfaces[req->route->dialect];
}

/* ---- sessions and tokens ---- */

/* A session about to be opened, and the secret the client gets for it. */
struct opening {
    struct new_session session;
    unsigned char hash[SECRET_HASH];
    char refresh[SECRET_TEXT]; /* "": none */
    struct caller from;
};

static void prepare(struct request *req, struct opening *o)
{
    bool refreshes = surface_of(req)->refreshes;
    *o = (struct opening){.from = request_caller(req),
                          .session = {
                              .dialect = dialect_name(req->route->dialect),
                              .lifetime = refreshes ? req->config->refresh_ttl : req->config->access_ttl_v1,
                              .user_agent = request_user_agent(req),
                              .from = &o->from,
                          }};
    if (!refreshes)
        return;
    secret_make(o->refresh);
    secret_hash(o->refresh, o->hash);
    o->session.refresh_hash = o->hash;
}

/* What the client gets: an access token for the session, and the refresh token unless "". */
static enum error issue(struct request *req, const struct user *u, int64_t session_id, const char *refresh,
                        struct credentials *out)
{
    enum dialect d = req->route->dialect;
    int ttl = dialect_integers(d) ? req->config->access_ttl_v1 : req->config->access_ttl;
    req->me = (struct identity){
        .user_id = u->id, .scopes = SCOPES_ALL, .user_created = u->created_at, .session_id = session_id, .dialect = d};
    snprintf(req->me.username, sizeof req->me.username, "%s", u->username);
    char *token = token_issue(req->keys, req->config->issuer, &req->me, ttl);
    if (!token)
        return ERR_INTERNAL;
    out->access_token = arena_strdup(&req->arena, token);
    out->refresh_token = *refresh ? arena_strdup(&req->arena, refresh) : NULL;
    out->expires_in = ttl;
    free(token);
    return OK;
}

/* ---- registration ---- */

struct form {
    struct text username, email, password, display_name; /* username: none where it is derived */
};

static enum error read_form(struct request *req, struct form *f)
{
    const struct surface *s = surface_of(req);
    struct input *in = &req->body;
    enum error e;
    if ((e = input_text_optional(in, "username", &f->username)) ||
        (e = input_text_optional(in, "display_name", &f->display_name)) ||
        (e = (s->email ? input_text : input_text_optional)(in, "email", &f->email)) ||
        (e = input_text(in, "password", &f->password)))
        return e;
    if (!f->username.s && !(s->derives && f->display_name.s))
        return input_fail(in, ERR_MISSING_FIELD, "username is required");
    if ((f->username.s && (e = s->username(f->username))) || (f->email.s && (e = validate_email(f->email))) ||
        (e = validate_password(f->password)) || (f->display_name.s && (e = validate_display_name(f->display_name))))
        return e;
    return OK;
}

void account_derive_username(const char *display_name, int attempt, char out[USERNAME_TEXT])
{
    enum { BASE = 40, DIGITS = 8 };
    size_t len = 0;
    for (const char *p = display_name; *p && len < BASE; p++)
        if (isascii(*p) && isalnum((unsigned char)*p))
            out[len++] = (char)tolower((unsigned char)*p);
        else if (len && out[len - 1] != '.' && strchr(" ._-", *p))
            out[len++] = '.';
    while (len && out[len - 1] == '.')
        len--;
    out[len] = 0;
    bool usable = len >= 3;
    if (!usable)
        len = (size_t)snprintf(out, USERNAME_TEXT, "user");
    if (attempt == 0 && usable)
        return;
    unsigned random;
    secret_bytes(&random, sizeof random);
    snprintf(out + len, USERNAME_TEXT - len, ".%0*u", DIGITS, random % 100000000);
}

/* Stores the account; a derived username is varied until it is a free one. */
static enum error create(struct request *req, const struct form *f, const char *hash, const struct new_session *session,
                         struct user *out, int64_t *session_id)
{
    enum { ATTEMPTS = 5 };
    char derived[USERNAME_TEXT];
    struct new_account account = {
        .username = f->username.s,
        .email = f->email.s,
        .display_name = f->display_name.s ? f->display_name.s : f->username.s,
        .password_hash = hash,
        .mail = surface_of(req)->verifies ? MAIL_VERIFY : NULL,
    };
    if (f->username.s)
        return account_create(req->db, &req->arena, &account, session, out, session_id);
    enum error e = ERR_USERNAME_TAKEN;
    account.username = derived;
    for (int attempt = 0; e == ERR_USERNAME_TAKEN && attempt < ATTEMPTS; attempt++) {
        account_derive_username(f->display_name.s, attempt, derived);
        e = account_create(req->db, &req->arena, &account, session, out, session_id);
    }
    return e;
}

enum error account_register(struct request *req, struct user *out, struct credentials *tokens)
{
    const struct surface *s = surface_of(req);
    char hash[PASSWORD_HASH];
    struct opening o;
    struct form f;
    int64_t session_id;
    enum error e = read_form(req, &f);
    if (e != OK)
        return e;
    if (!password_hash(f.password.s, req->config->bcrypt_cost, hash))
        return ERR_INTERNAL;
    prepare(req, &o);
    if (!s->opens)
        o.session.dialect = NULL;
    e = create(req, &f, hash, &o.session, out, &session_id);
    if (s->conflicts && e == ERR_USERNAME_TAKEN)
        return ERR_USERNAME_CONFLICT;
    if (s->conflicts && e == ERR_EMAIL_TAKEN)
        return ERR_EMAIL_CONFLICT;
    if (e != OK)
        return e;
    *tokens = (struct credentials){0};
    return s->opens ? issue(req, out, session_id, o.refresh, tokens) : OK;
}

/* ---- login ---- */

/* username or email, whichever is there, as either may hold either. */
static enum error read_login(struct request *req, struct text *login, struct text *password)
{
    struct text email;
    enum error e;
    if ((e = input_text_optional(&req->body, "username", login)) ||
        (e = input_text_optional(&req->body, "email", &email)))
        return e;
    if (!login->s)
        *login = email;
    if (!login->s)
        return input_fail(&req->body, ERR_MISSING_FIELD, "username or email is required");
    return input_text(&req->body, "password", password);
}

/* Whether a login may be tried, and how it went; both are noted. ERR_LOGIN_THROTTLED, ERR_CREDENTIALS,
 * ERR_DISABLED. */
static enum error check_password(struct request *req, const char *login, struct text password, struct user *out)
{
    struct admission try = {0};
    struct caller from = request_caller(req);
    enum error e = login_admit(req->db, &req->arena, login, &from, &try);
    if (e == ERR_LOGIN_THROTTLED)
        req->retry_after = try.wait;
    if (e != OK)
        return e;
    /* bcrypt would look at the first 72 bytes only: what no account can have matches none. */
    bool possible = try.user.id && validate_password(password) == OK;
    if (!password_matches(password.s, possible ? try.user.password_hash : NULL, req->config->bcrypt_cost)) {
        e = login_failed(req->db, &try, &from, try.user.id ? "wrong password" : "unknown name");
        return e == OK ? ERR_CREDENTIALS : e;
    }
    if (!try.user.is_active) {
        e = login_failed(req->db, &try, &from, "account disabled");
        return e == OK ? ERR_DISABLED : e;
    }
    *out = try.user;
    return login_forgive(req->db, &try);
}

/* A database that is away is nobody's failed login. */
static void count_login(enum error e)
{
    if (e == OK)
        metric_add(METRIC_LOGINS, LOGIN_OK, 1);
    else if (e == ERR_LOGIN_THROTTLED)
        metric_add(METRIC_LOGINS, LOGIN_THROTTLED, 1);
    else if (e == ERR_CREDENTIALS || e == ERR_DISABLED)
        metric_add(METRIC_LOGINS, LOGIN_FAILED, 1);
}

enum error account_login(struct request *req, struct user *out, struct credentials *tokens)
{
    struct text login, password;
    struct opening o;
    int64_t session_id;
    enum error e = read_login(req, &login, &password);
    if (e != OK)
        return e;
    e = check_password(req, login.s, password, out);
    if (e == OK) {
        prepare(req, &o);
        e = session_create(req->db, out, &o.session, &session_id);
    }
    count_login(e);
    return e == OK ? issue(req, out, session_id, o.refresh, tokens) : e;
}

/* ---- a new password ---- */

enum error account_change_password(struct request *req)
{
    struct text current, fresh;
    struct user u;
    char hash[PASSWORD_HASH];
    enum error e;
    if ((e = input_text(&req->body, "current_password", &current)) ||
        (e = input_text(&req->body, "password", &fresh)) || (e = validate_password(fresh)))
        return e;
    /* Whoever has stolen a token is not to guess here faster than at the door. */
    e = check_password(req, req->user.username, current, &u);
    if (e != OK)
        return e == ERR_CREDENTIALS ? ERR_PASSWORD_WRONG : e;
    if (!password_hash(fresh.s, req->config->bcrypt_cost, hash))
        return ERR_INTERNAL;
    struct caller from = request_caller(req);
    return password_change(req->db, &req->me, &u, hash, &from);
}

/* ---- refresh ---- */

enum error account_refresh(struct request *req, bool rotate, struct user *out, struct credentials *tokens)
{
    unsigned char shown_hash[SECRET_HASH], next_hash[SECRET_HASH];
    char next[SECRET_TEXT] = "";
    struct text shown;
    int64_t session_id;
    enum error e = input_text(&req->body, "refresh_token", &shown);
    if (e != OK)
        return e;
    secret_hash(shown.s, shown_hash);
    if (rotate) {
        secret_make(next);
        secret_hash(next, next_hash);
    }
    struct caller from = request_caller(req);
    e = session_refresh(req->db, &req->arena, shown_hash, rotate ? next_hash : NULL, req->config->refresh_ttl, &from,
                        &session_id, out);
    return e == OK ? issue(req, out, session_id, next, tokens) : e;
}
