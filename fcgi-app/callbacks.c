/* Callbacks (outgoing webhooks) of a group, for its owner. What they post is the courier's business. */
#include "fcgi-app/handlers.h"
#include "shared/callback_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

static struct callback_ref at(struct request *req, bool one)
{
    return (struct callback_ref){&req->refs[0], one ? &req->refs[1] : NULL, req->me.user_id, request_caller(req)};
}

static void show(struct reply *out, int status, const struct callback *c, const char *secret)
{
    struct json_object *o = json_object_new_object(), *shown = view_callback(c);
    if (secret)
        json_object_object_add(shown, "secret", json_object_new_string(secret));
    json_object_object_add(o, "callback", shown);
    reply_json(out, status, o);
}

/* The one time the secret is shown: in the form of Standard Webhooks, whose libraries take it as it is. */
enum error callbacks_create(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, false);
    unsigned char secret[CALLBACK_SECRET];
    char text[64] = "whsec_";
    struct text url;
    struct callback c;
    enum error e = input_text(&req->body, "url", &url);
    if (e == OK && !callback_url_valid(url))
        e = input_fail(&req->body, ERR_INVALID_FIELD,
                       "url has to be an http or https address of at most %d bytes,"
                       " without a user name and without #",
                       CALLBACK_URL_MOST);
    if (e != OK)
        return e;
    secret_bytes(secret, sizeof secret);
    EVP_EncodeBlock((unsigned char *)text + strlen(text), secret, sizeof secret);
    e = callback_create(req->db, &req->arena, &where, url.s, secret, &c);
    if (e == OK)
        show(out, 201, &c, text);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, sizeof text);
    return e;
}

static struct json_object *item(const void *list, int i)
{
    return view_callback((const struct callback *)list + i);
}

enum error callbacks_list(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, false);
    struct callback *list;
    int count;
    enum error e = callback_list(req->db, &req->arena, &where, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("callbacks", count, item, list));
    return e;
}

enum error callbacks_enable(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, true);
    struct callback c;
    bool enabled;
    enum error e = input_bool(&req->body, "enabled", &enabled);
    if (e == OK)
        e = callback_enable(req->db, &req->arena, &where, enabled, &c);
    if (e == OK)
        show(out, 200, &c, NULL);
    return e;
}

enum error callbacks_delete(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, true);
    enum error e = callback_delete(req->db, &where);
    if (e == OK)
        reply_empty(out);
    return e;
}

static struct json_object *delivery(const void *list, int i)
{
    return view_callback_delivery((const struct callback_delivery *)list + i);
}

static bool state_known(const char *s)
{
    return !strcmp(s, "pending") || !strcmp(s, "delivered") || !strcmp(s, "dead") || !strcmp(s, "dropped");
}

enum error callbacks_deliveries(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, true);
    struct text state = target_parameter(&req->target, "state");
    struct callback_delivery *list;
    int64_t limit, offset;
    int count;
    enum error e = request_page(req, &limit, &offset);
    if (e == OK && state.s && !state_known(state.s))
        e = input_fail(&req->body, ERR_INVALID_PARAMETER, "state has to be pending, delivered, dead or dropped");
    if (e == OK)
        e = callback_deliveries(req->db, &req->arena, &where, state.s, limit, offset, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("deliveries", count, delivery, list));
    return e;
}

enum error callbacks_redeliver(struct request *req, struct reply *out)
{
    struct callback_ref where = at(req, true);
    int64_t count;
    enum error e = callback_redeliver(req->db, &where, &count);
    if (e != OK)
        return e;
    reply_member(out, 200, "redelivered", json_object_new_int64(count));
    return OK;
}
