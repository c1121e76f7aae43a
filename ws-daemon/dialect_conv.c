/* conv (Workflow Diagrams), and the native surface's socket: /api/v1/ws. Frames are {type, data}. */
#include "shared/store.h"
#include "shared/view.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/receipts.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"
#include "ws-daemon/typing.h"

#include <json-c/json.h>

static void add(struct json_object *o, const char *name, struct json_object *value)
{
    json_object_object_add(o, name, value);
}

static struct json_object *error_frame(enum error e, const char *sentence)
{
    struct json_object *o = json_object_new_object();
    struct json_object *data = json_object_new_object();
    add(data, "error", json_object_new_string(sentence));
    add(data, "code", json_object_new_string(error_code(e)));
    add(o, "type", json_object_new_string("error"));
    add(o, "error", json_object_new_string(sentence));
    add(o, "data", data);
    return o;
}

static struct json_object *message_frame(const struct message *m, bool own)
{
    (void)own;
    return view_conv_frame("message", view_conv_message(m));
}

static struct json_object *typing_frame(const struct typing *t)
{
    struct json_object *data = json_object_new_object();
    add(data, "user_id", view_uuid(t->user_id, t->user_created));
    add(data, "conversation_id", view_uuid(t->conversation_id, t->conversation_created));
    return view_conv_frame(t->on ? "typing" : "typing_stop", data);
}

static struct json_object *presence_frame(int64_t user_id, int64_t user_created, bool online)
{
    struct json_object *data = json_object_new_object();
    add(data, "user_id", view_uuid(user_id, user_created));
    add(data, "status", json_object_new_string(online ? "online" : "offline"));
    return view_conv_frame("presence", data);
}

/* ---- operations ---- */

static enum error on_message(struct conn *c, struct input *in)
{
    struct new_message m = {0};
    struct ref conversation;
    enum error e = input_ref(in, "conversation_id", false, &conversation);
    if (e == OK)
        e = input_text_optional(in, "media_url", &m.media_url);
    if (e == OK)
        e = dialect_read_message(c, in, input_has(in, "body") ? "body" : "content", &m);
    if (e != OK)
        return e;
    m.conversation = &conversation;
    return sender_submit(c, &m);
}

static enum error mark(struct conn *c, struct input *in, bool read)
{
    struct ref message;
    enum error e = input_ref(in, "message_id", false, &message);
    return e == OK ? receipts_mark(c, &message, read) : e;
}

static enum error on_ack(struct conn *c, struct input *in)
{
    return mark(c, in, false);
}

static enum error on_read(struct conn *c, struct input *in)
{
    return mark(c, in, true);
}

static enum error typing(struct conn *c, struct input *in, bool on)
{
    struct ref conversation;
    enum error e = input_ref(in, "conversation_id", false, &conversation);
    return e == OK ? typing_notice(c, on, &conversation, NULL) : e;
}

static enum error on_typing(struct conn *c, struct input *in)
{
    return typing(c, in, true);
}

static enum error on_typing_stop(struct conn *c, struct input *in)
{
    return typing(c, in, false);
}

/* A socket outlives its token with the next one. */
static enum error on_auth(struct conn *c, struct input *in)
{
    enum error e = server_authenticate(c, in);
    if (e != OK)
        return e;
    struct json_object *data = json_object_new_object();
    json_object_object_add(data, "expires_at", view_time(c->me.expires * 1000000));
    struct frame *f = frame_json(view_conv_frame("authenticated", data));
    conn_reply(c, f);
    frame_unref(f);
    return OK;
}

static const struct operation_entry operations[] = {
    {"message", false, on_message}, {"auth", false, on_auth},
    {"ack", false, on_ack},         {"read", false, on_read},
    {"typing", false, on_typing},   {"typing_stop", false, on_typing_stop},
    {"ping", false, dialect_ping},  {0},
};

const struct dialect_ops dialect_conv = {
    .dialect = DIALECT_CONV,
    .subprotocol = "chat.conv",
    .groups = true,
    .bad_token = BAD_TOKEN_HTTP,
    .type_member = "type",
    .operations = operations,
    .error = error_frame,
    .message = message_frame,
    .event = view_conv_event,
    .typing = typing_frame,
    .presence = presence_frame,
};
