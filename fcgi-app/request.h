/* One request: what the client sent, who it is, and the memory that lives as long. */
#ifndef PARLEY_REQUEST_H
#define PARLEY_REQUEST_H

#include "fcgi-app/token_cache.h"
#include "shared/arena.h"
#include "shared/db.h"
#include "shared/id.h"
#include "shared/input.h"
#include "shared/store.h"
#include "shared/target.h"
#include "shared/token_store.h"

struct route;

/* Where the body comes from: read puts at most n bytes into to and returns how many, 0 at the end. */
struct source {
    size_t (*read)(void *from, char *to, size_t n);
    void *from;
};

/* What a worker has and every request uses. */
struct app {
    struct config *config;
    struct keyring keys;
    struct token_cache tokens; /* verified with these keys */
    struct db db;
};

struct request {
    const struct config *config;
    const struct keyring *keys;
    struct token_cache *tokens;
    struct db *db;
    char *const *env; /* NAME=value: CGI variables (RFC 3875) */
    struct source source;
    struct arena arena;
    const char *method;
    const char *id; /* in every log, and back to the client */
    struct target target;

    /* Set by the router before the handler runs. */
    const struct route *route; /* NULL: none */
    struct ref refs[2];        /* {uuid} and {int} segments, in order */
    const char *name;          /* {name} segment */
    struct identity me;        /* routes with AUTH or AUTH_TOKEN */
    int64_t used_token;        /* a script's token whose use is to be noted; 0: none */
    struct user user;          /* routes with AUTH: the account behind me */
    struct input body;         /* routes with BODY */

    int64_t retry_after; /* seconds; 0: 1 where the status of the answer asks for one */
};

/* Borrows app, env and source. */
void request_init(struct request *req, struct app *app, char *const *env, struct source source);
void request_release(struct request *req);

/* A CGI variable; NULL when it is not set. Headers are HTTP_<NAME>. */
const char *request_variable(const struct request *req, const char *name);

/* ---- what the router does before a handler ---- */

/* Verifies the bearer token (RFC 6750), a JWT or a script's, into req->me; whether its session stands is
 * not asked. */
MUSTCHECK enum error request_token(struct request *req);

/* Reads the body as it is, with a NUL behind it. ERR_BODY_TOO_LARGE, ERR_INVALID_BODY. */
MUSTCHECK enum error request_bytes(struct request *req, struct text *out);

/* Reads the body and parses it into req->body: JSON, or a form where form is set.
 * ERR_MEDIA_TYPE, ERR_BODY_TOO_LARGE, ERR_BAD_JSON, ERR_INVALID_BODY. */
MUSTCHECK enum error request_body(struct request *req, bool form);

/* ---- what handlers ask for ---- */

/* A query parameter that is a number, at least `least` (0 or 1); without it *out stays as it is.
 * ERR_INVALID_PARAMETER with a sentence. */
MUSTCHECK enum error request_number(struct request *req, const char *name, int64_t least, int64_t *out);

/* limit (1 to 100, more counts as 100; 50 when absent) and offset (0 when absent); offset NULL: the
 * route has none. ERR_INVALID_PARAMETER with a sentence. */
MUSTCHECK enum error request_page(struct request *req, int64_t *limit, int64_t *offset);

/* The sender's key: the header Idempotency-Key or the member client_msg_id; both have to agree.
 * s NULL: none. */
MUSTCHECK enum error request_client_key(struct request *req, struct text *out);

/* The path as logs may have it: that of an incoming webhook is a secret, however it was written. */
const char *request_logged_path(const struct request *req);

/* Where the request comes from. */
struct caller request_caller(struct request *req);

/* Does the client ask for lines of text in the place of JSON? */
bool request_wants_lines(const struct request *req);

/* The client's name for itself, at most 200 bytes; NULL when it gave none that is text. */
const char *request_user_agent(struct request *req);

/* ---- for tests ---- */

/* The token of an Authorization header; NULL when it holds none. */
const char *bearer_token(const char *header);

enum media { MEDIA_JSON, MEDIA_FORM, MEDIA_OTHER };
/* What a Content-Type header declares; none or "" counts as JSON. */
enum media media_of(const char *content_type);

#endif
