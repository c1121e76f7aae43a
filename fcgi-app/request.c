/* From CGI variables and a stream of bytes to a request. Knows nothing of FastCGI. */
#include "fcgi-app/request.h"

#include "shared/address.h"
#include "shared/event_input.h"
#include "shared/secret.h"
#include "shared/timefmt.h"
#include "shared/validate.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { AGENT_MOST = 200, ID_MOST = 64 };

const char *request_variable(const struct request *req, const char *name)
{
    size_t len = strlen(name);
    for (char *const *v = req->env; *v; v++)
        if (!strncmp(*v, name, len) && (*v)[len] == '=')
            return *v + len + 1;
    return NULL;
}

/* The front door's request id, or one of our own: it goes into logs and a header as it is. */
static const char *request_id(struct request *req)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *given = request_variable(req, "REQUEST_ID");
    size_t len = given ? strspn(given, plain) : 0;
    if (len && len <= ID_MOST && !given[len])
        return given;
    unsigned char bytes[16];
    secret_bytes(bytes, sizeof bytes);
    char *id = arena_alloc(&req->arena, 2 * sizeof bytes + 1);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        id[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    return id;
}

void request_init(struct request *req, struct app *app, char *const *env, struct source source)
{
    *req = (struct request){.config = app->config,
                            .keys = &app->keys,
                            .tokens = &app->tokens,
                            .db = &app->db,
                            .env = env,
                            .source = source};
    arena_init(&req->arena);
    const char *method = request_variable(req, "REQUEST_METHOD");
    req->method = method ? method : "";
    req->id = request_id(req);
}

void request_release(struct request *req)
{
    input_release(&req->body);
    arena_release(&req->arena);
}

/* ---- the token ---- */

const char *bearer_token(const char *header)
{
    if (!header || strncasecmp(header, "Bearer ", 7))
        return NULL;
    header += 7;
    header += strspn(header, " ");
    return *header ? header : NULL;
}

static enum error script_token(struct request *req, const char *token)
{
    struct passed *p = token_cache_find(req->tokens, token);
    enum error e = p ? OK : token_find(req->db, token, &req->me);
    if (e != OK)
        return e;
    p = p ? p : token_cache_put(req->tokens, token, &req->me);
    req->me = p->who;
    if (time_now() - p->noted >= SCRIPT_TOKEN_NOTE_US) {
        p->noted = time_now();
        req->used_token = req->me.session_id;
    }
    return OK;
}

enum error request_token(struct request *req)
{
    const char *token = bearer_token(request_variable(req, "HTTP_AUTHORIZATION"));
    if (!token)
        return ERR_UNAUTHORIZED;
    if (script_token_is(token))
        return script_token(req, token);
    return token_cache_verify(req->tokens, req->keys, req->config->issuer, token, &req->me);
}

/* ---- the body ---- */

enum media media_of(const char *content_type)
{
    if (!content_type || !*content_type)
        return MEDIA_JSON;
    size_t len = strcspn(content_type, "; \t");
    if (len == 33 && !strncasecmp(content_type, "application/x-www-form-urlencoded", len))
        return MEDIA_FORM;
    if (len < 16 || strncasecmp(content_type, "application/", 12))
        return MEDIA_OTHER;
    bool json = !strncasecmp(content_type + len - 4, "json", 4);
    return json && (len == 16 || content_type[len - 5] == '+') ? MEDIA_JSON : MEDIA_OTHER;
}

/* The declared length; -1 when there is none. */
static int64_t content_length(const struct request *req)
{
    const char *text = request_variable(req, "CONTENT_LENGTH");
    char *end;
    if (!text || !*text)
        return -1;
    long long n = strtoll(text, &end, 10);
    return *end || n < 0 ? -1 : n;
}

/* CONTENT_LENGTH is a promise that is not relied on: more than it is read,
 * up to the limit, and a body that is not as long as it said is refused. */
enum error request_bytes(struct request *req, struct text *out)
{
    size_t most = (size_t)req->config->body_max;
    int64_t declared = content_length(req);
    if (declared > (int64_t)most)
        return ERR_BODY_TOO_LARGE;
    size_t room = declared >= 0 ? (size_t)declared + 1 : 8192, len = 0, got;
    char *bytes = arena_alloc(&req->arena, room);
    while ((got = req->source.read(req->source.from, bytes + len, room - len)) > 0) {
        len += got;
        if (len > most)
            return ERR_BODY_TOO_LARGE;
        if (len == room) {
            char *more = arena_alloc(&req->arena, room *= 2);
            memcpy(more, bytes, len);
            bytes = more;
        }
    }
    if (declared >= 0 && len != (size_t)declared)
        return input_fail(&req->body, ERR_INVALID_BODY, "the body is not as long as Content-Length says");
    *out = (struct text){bytes, len};
    return OK;
}

enum error request_body(struct request *req, bool form)
{
    struct text bytes = {0};
    enum media media = media_of(request_variable(req, "CONTENT_TYPE"));
    if (media == MEDIA_OTHER || (media == MEDIA_FORM && !form))
        return input_fail(&req->body, ERR_MEDIA_TYPE, "the body has to be JSON (Content-Type: application/json)%s",
                          form ? " or a form" : "");
    enum error e = request_bytes(req, &bytes);
    if (e != OK)
        return e;
    if (media == MEDIA_FORM && bytes.len && *bytes.s == '{') /* what curl -d says of whatever it sends */
        return input_fail(&req->body, ERR_INVALID_BODY,
                          "the body looks like JSON, but is declared as a form: say Content-Type: application/json");
    return media == MEDIA_FORM ? input_parse_form(&req->body, bytes.s, bytes.len)
                               : input_parse(&req->body, bytes.s, bytes.len);
}

/* ---- what handlers ask for ---- */

enum error request_number(struct request *req, const char *name, int64_t least, int64_t *out)
{
    return target_number(&req->target, &req->body, name, least, out);
}

enum error request_page(struct request *req, int64_t *limit, int64_t *offset)
{
    int64_t n, skip = 0;
    enum error e = target_limit(&req->target, &req->body, &n);
    if (e == OK && offset)
        e = request_number(req, "offset", 0, &skip);
    if (e != OK)
        return e;
    *limit = n;
    if (offset)
        *offset = skip;
    return OK;
}

enum error request_client_key(struct request *req, struct text *out)
{
    struct text key;
    const char *header = request_variable(req, "HTTP_IDEMPOTENCY_KEY");
    enum error e = input_text_optional(&req->body, "client_msg_id", &key);
    if (e != OK)
        return e;
    if (header && key.s && strcmp(header, key.s))
        return input_fail(&req->body, ERR_CLIENT_KEY_INVALID,
                          "Idempotency-Key and client_msg_id are both given and differ");
    if (header)
        key = (struct text){header, strlen(header)};
    if (key.s)
        e = validate_client_key(key);
    if (e == OK)
        *out = key;
    return e;
}

const char *request_logged_path(const struct request *req)
{
    for (int i = 0; i < req->target.segment_count; i++)
        if (!strcmp(req->target.segments[i], "hooks"))
            return "/hooks/-";
    return req->target.path;
}

struct caller request_caller(struct request *req)
{
    const char *address = request_variable(req, "REMOTE_ADDR");
    for (const char *p = address; p && *p; p++)
        if ((unsigned char)*p >= 0x80)
            return (struct caller){.network = "", .request_id = req->id}; /* no address of any front door's */
    char *network = arena_alloc(&req->arena, NETWORK_TEXT);
    address_network(address, network);
    return (struct caller){.address = address, .network = network, .request_id = req->id};
}

bool request_wants_lines(const struct request *req)
{
    return accept_of(request_variable(req, "HTTP_ACCEPT")) == ACCEPT_TEXT;
}

const char *request_user_agent(struct request *req)
{
    const char *agent = request_variable(req, "HTTP_USER_AGENT");
    size_t len = agent ? strlen(agent) : 0;
    if (!len || !utf8_valid(agent, len))
        return NULL;
    if (len > AGENT_MOST)
        for (len = AGENT_MOST; ((unsigned char)agent[len] & 0xc0) == 0x80;)
            len--; /* not in the middle of a character */
    return arena_strndup(&req->arena, agent, len);
}
