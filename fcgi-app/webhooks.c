/* Incoming webhooks: the owner of a group makes, rotates and deletes them; whoever has an address leaves
 * messages there, in the words of Slack's. */
#include "fcgi-app/account.h"
#include "fcgi-app/handlers.h"
#include "shared/hook_input.h"
#include "shared/validate.h"
#include "shared/view.h"
#include "shared/webhook_store.h"

#include <json-c/json.h>
#include <string.h>
#include <strings.h>

/* ---- for people ---- */

/* With the address, which is shown this once. */
static void show(struct request *req, struct reply *out, int status, const struct webhook *w, const char *secret)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "webhook", view_webhook(w));
    json_object_object_add(
        o, "url", json_object_new_string(arena_printf(&req->arena, "%s/hooks/%s", req->config->public_url, secret)));
    reply_json(out, status, o);
}

enum error webhooks_create(struct request *req, struct reply *out)
{
    enum { ATTEMPTS = 5 };
    char secret[SECRET_TEXT], username[USERNAME_TEXT];
    struct caller from = request_caller(req);
    struct webhook made;
    struct text name;
    enum error e;
    if ((e = input_text(&req->body, "name", &name)) || (e = validate_name(name)))
        return e;
    secret_make(secret);
    e = ERR_USERNAME_TAKEN;
    for (int attempt = 0; e == ERR_USERNAME_TAKEN && attempt < ATTEMPTS; attempt++) {
        account_derive_username(name.s, attempt, username);
        e = webhook_create(req->db, &req->arena, &req->me, &req->refs[0], username, name.s, secret, &from, &made);
    }
    if (e == OK)
        show(req, out, 201, &made, secret);
    return e;
}

static struct json_object *item(const void *list, int i)
{
    return view_webhook((const struct webhook *)list + i);
}

enum error webhooks_list(struct request *req, struct reply *out)
{
    struct webhook *list;
    int count;
    enum error e = webhook_list(req->db, &req->arena, &req->me, &req->refs[0], &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("webhooks", count, item, list));
    return e;
}

enum error webhooks_rotate(struct request *req, struct reply *out)
{
    char secret[SECRET_TEXT];
    struct caller from = request_caller(req);
    struct webhook changed;
    secret_make(secret);
    enum error e = webhook_change(req->db, &req->arena, &req->me, &req->refs[0], &req->refs[1], secret, &from,
                                  &changed);
    if (e == OK)
        show(req, out, 200, &changed, secret);
    return e;
}

enum error webhooks_delete(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    struct webhook gone;
    enum error e = webhook_change(req->db, &req->arena, &req->me, &req->refs[0], &req->refs[1], NULL, &from, &gone);
    if (e == OK)
        reply_empty(out);
    return e;
}

/* ---- for programs ---- */

/* The form the body has, by its Content-Type; without one it is told by its first character. */
static enum error form_of(struct request *req, enum hook_form *out)
{
    const char *type = request_variable(req, "CONTENT_TYPE");
    enum media media = media_of(type);
    *out = !type || !*type || media == MEDIA_FORM ? HOOK_FORM : media == MEDIA_JSON ? HOOK_JSON : HOOK_TEXT;
    if (*out == HOOK_TEXT && strncasecmp(type, "text/", 5))
        return input_fail(&req->body, ERR_MEDIA_TYPE, "the body has to be JSON, a form or text");
    return OK;
}

/* The event's name, of letters alone, as it is shown. */
static const char *github_event(const struct request *req)
{
    const char *event = request_variable(req, "HTTP_X_GITHUB_EVENT");
    size_t len = event ? strspn(event, "abcdefghijklmnopqrstuvwxyz_") : 0;
    return len && len < 50 && !event[len] ? event : NULL;
}

static enum error read_text(struct request *req, const char **out)
{
    struct text body, said = target_parameter(&req->target, "text");
    size_t most = (size_t)req->config->message_max;
    enum hook_form form;
    enum error e;
    if ((e = request_bytes(req, &body)))
        return e;
    if (said.s)
        return hook_text(&req->body, &req->arena, HOOK_TEXT, said, NULL, most, out);
    if ((e = form_of(req, &form)))
        return e;
    return hook_text(&req->body, &req->arena, form, body, github_event(req), most, out);
}

enum error webhooks_post(struct request *req, struct reply *out)
{
    const char *text;
    struct text key = {0};
    bool replayed = false;
    int64_t wait = 0;
    enum error e;
    if ((e = read_text(req, &text)))
        return e;
    const char *header = request_variable(req, "HTTP_IDEMPOTENCY_KEY");
    if (header) {
        key = (struct text){header, strlen(header)};
        if ((e = validate_client_key(key)))
            return e;
    }
    e = webhook_post(req->db, req->name, text, key.s, req->config->webhook_rate, &replayed, &wait);
    if (e == ERR_RATE_LIMITED)
        req->retry_after = wait;
    if (e != OK)
        return e;
    reply_text(out, "text/plain; charset=utf-8", strdup("ok")); /* Slack's very answer */
    out->replayed = replayed;
    out->wake = !replayed;
    return OK;
}
