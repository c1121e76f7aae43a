/* The only place that writes HTTP. */
#include "fcgi-app/reply.h"

#include "fcgi-app/router.h"
#include "shared/origin.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

void reply_release(struct reply *out)
{
    json_object_put(out->body);
    free(out->text);
    out->body = NULL;
    out->text = NULL;
    out->next_cursor = NULL;
}

void reply_json(struct reply *out, int status, struct json_object *body)
{
    reply_release(out);
    out->status = status;
    out->body = body;
}

void reply_member(struct reply *out, int status, const char *name, struct json_object *value)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, name, value);
    reply_json(out, status, o);
}

void reply_text(struct reply *out, const char *type, char *text)
{
    reply_json(out, 200, NULL);
    out->text = text;
    out->text_type = type;
}

void reply_empty(struct reply *out)
{
    reply_json(out, 204, NULL);
}

enum error reply_changed(struct reply *out, enum error e)
{
    if (e == OK) {
        reply_empty(out);
        out->wake = true;
    }
    return e;
}

void reply_error(struct reply *out, enum error e, const char *sentence)
{
    reply_json(out, error_status(e), view_problem(e, sentence));
    out->error = e;
    out->replayed = false;
}

/* ---- headers: each function gives its lines, or "" ---- */

/* On every answer, whatever front door it leaves by: JSON is never to be run, framed or cached, and an
 * address, which may hold a token, is told to nobody. nginx.conf says the same of nginx's own answers. */
#define SECURITY_HEADERS                                                                                               \
    "Cache-Control: no-store\r\n"                                                                                      \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"                                          \
    "Referrer-Policy: no-referrer\r\n"

/* What the status asks for by itself. */
static const char *status_headers(const struct reply *out, struct request *req)
{
    const char *challenge;
    switch (out->status) {
    case 401:
    case 403:
        challenge = view_challenge(out->error);
        return *challenge ? arena_printf(&req->arena, "WWW-Authenticate: %s\r\n", challenge) : "";
    case 429:
    case 503:
        return arena_printf(&req->arena, "Retry-After: %lld\r\n", req->retry_after ? (long long)req->retry_after : 1LL);
    default: return "";
    }
}

/* CORS (the Fetch standard). Tokens are bearer tokens and there are no cookies, so credentials are
 * never allowed and `*` needs no care. */
static const char *cors_headers(const struct reply *out, struct request *req)
{
    const char *list = req->config->cors_origins;
    const char *origin = request_variable(req, "HTTP_ORIGIN");
    if (!*list)
        return "";
    if (!origin || !origin_allowed(list, origin))
        return "Vary: Origin\r\n";
    const char *more = out->preflight ? arena_printf(&req->arena,
                                                     "Access-Control-Allow-Methods: %s\r\n"
                                                     "Access-Control-Allow-Headers: Authorization, Content-Type, "
                                                     "Idempotency-Key, Last-Event-ID\r\n"
                                                     "Access-Control-Max-Age: 600\r\n",
                                                     methods_text(out->methods, &req->arena))
                                      : "Access-Control-Expose-Headers: X-Request-Id, Idempotency-Replayed, "
                                        "X-Next-Cursor, Retry-After\r\n";
    return arena_printf(&req->arena, "Vary: Origin\r\nAccess-Control-Allow-Origin: %s\r\n%s", origin, more);
}

static const char *media_type(const struct reply *out)
{
    return out->text ? out->text_type : out->error == OK ? "application/json" : "application/problem+json";
}

void reply_render(const struct reply *out, struct request *req, struct text *head, struct text *body)
{
    const int style = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
    struct arena *a = &req->arena;
    const char *content = "", *allow = "";
    *body = (struct text){"", 0};
    if (out->body)
        body->s = json_object_to_json_string_length(out->body, style, &body->len);
    else if (out->text)
        *body = (struct text){out->text, strlen(out->text)};
    if (out->body || out->text)
        content = arena_printf(a, "Content-Type: %s\r\nContent-Length: %zu\r\n", media_type(out), body->len);
    if (out->next_cursor)
        content = arena_printf(a, "%sX-Next-Cursor: %s\r\n", content, out->next_cursor);
    if (out->methods)
        allow = arena_printf(a, "Allow: %s\r\n", methods_text(out->methods, a));
    head->s = arena_printf(a, "Status: %d %s\r\n%sX-Request-Id: %s\r\n" SECURITY_HEADERS "%s%s%s%s\r\n", out->status,
                           status_title(out->status), content, req->id, status_headers(out, req), allow,
                           out->replayed ? "Idempotency-Replayed: true\r\n" : "", cors_headers(out, req));
    head->len = strlen(head->s);
    if (!strcmp(req->method, "HEAD"))
        body->len = 0;
}
