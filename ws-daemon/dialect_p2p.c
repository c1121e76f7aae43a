/* p2p (ChatServer): /ws for its tokens. Integer ids; what was not delivered yet comes first; frames
 * with a status; and a recipient that can be set once and then be sent plain text. */
#include "shared/conversation_store.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/typing.h"

#include "shared/validate.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_MOST = 20 };

/* Whom plain text goes to: the socket's dialect_state. */
struct addressee {
    struct ref ref;
    bool is_group;
};

static struct json_object *error_frame(enum error e, const char *sentence)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("error"));
    json_object_object_add(o, "sender_id", json_object_new_int(0));
    json_object_object_add(o, "content", json_object_new_string(sentence));
    json_object_object_add(o, "error", json_object_new_string(sentence));
    json_object_object_add(o, "code", json_object_new_string(error_code(e)));
    return o;
}

static struct json_object *message_frame(const struct message *m, bool own)
{
    return view_p2p_message(m, own ? "SENT" : "DELIVERED");
}

static struct json_object *typing_frame(const struct typing *t)
{
    if (!t->on)
        return NULL; /* that system has no such frame */
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("typing"));
    json_object_object_add(o, "sender_id", json_object_new_int64(t->user_id));
    if (t->is_group)
        json_object_object_add(o, "group_id", json_object_new_int64(t->conversation_id));
    json_object_object_add(o, "timestamp", view_time(time_now()));
    return o;
}

static void opened(struct conn *c)
{
    struct frame *f = frame_json(view_p2p_welcome(c->me.username));
    conn_reply(c, f);
    frame_unref(f);
}

/* ---- operations ---- */

static enum error send_to(struct conn *c, const struct addressee *to, struct new_message *m)
{
    m->kind = conversation_kind_name(KIND_GROUP); /* a direct conversation is named by the person */
    if (to->is_group) {
        m->conversation = &to->ref;
    } else {
        m->recipient = &to->ref;
        m->or_conversation = true;
    }
    return sender_submit(c, m);
}

/* group_id, or recipient_id, which may name a person or a group; or whom set_recipient named. */
static enum error read_addressee(const struct conn *c, struct input *in, const char *person, struct addressee *out)
{
    bool given;
    enum error e = input_ref_optional(in, "group_id", true, &out->ref, &given);
    out->is_group = given;
    if (e != OK || given)
        return e;
    if (!input_has(in, person) && c->dialect_state) {
        *out = *(const struct addressee *)c->dialect_state;
        return OK;
    }
    return input_ref(in, person, true, &out->ref);
}

static enum error on_set_recipient(struct conn *c, struct input *in)
{
    struct addressee to;
    if (!input_has(in, "user_id") && !input_has(in, "group_id"))
        return input_fail(in, ERR_MISSING_FIELD, "user_id or group_id is required");
    enum error e = read_addressee(c, in, "user_id", &to);
    if (e != OK)
        return e;
    if (!c->dialect_state && !(c->dialect_state = malloc(sizeof to)))
        abort();
    *(struct addressee *)c->dialect_state = to;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("system"));
    json_object_object_add(o, "sender_id", json_object_new_int(0));
    json_object_object_add(o, "content", json_object_new_string("Recipient set"));
    json_object_object_add(o, to.is_group ? "group_id" : "recipient_id", json_object_new_int64(to.ref.id));
    struct frame *f = frame_json(o);
    conn_reply(c, f);
    frame_unref(f);
    return OK;
}

static enum error on_typing(struct conn *c, struct input *in)
{
    struct addressee to;
    enum error e = read_addressee(c, in, "recipient_id", &to);
    return e == OK ? typing_notice(c, true, &to.ref, to.is_group ? NULL : &to.ref) : e;
}

static enum error on_message(struct conn *c, struct input *in)
{
    struct new_message m = {0};
    struct addressee to = {0};
    struct text type;
    enum error e = input_text_optional(in, "type", &type);
    if (e == OK)
        e = read_addressee(c, in, "recipient_id", &to);
    if (e == OK)
        e = input_text_optional(in, "media_url", &m.media_url);
    if (!m.media_url.len)
        m.media_url.s = NULL; /* "" is what these clients send for none */
    if (e == OK)
        e = dialect_read_message(c, in, "content", &m);
    if (e == OK && type.len > TYPE_MOST)
        e = input_fail(in, ERR_INVALID_FIELD, "type may have at most %d bytes", TYPE_MOST);
    m.type = type.len ? type.s : NULL;
    return e == OK ? send_to(c, &to, &m) : e;
}

/* A frame is an action, a typing notice, or a message of any other type. */
static enum error find_type(struct input *in, struct text *out)
{
    struct text action, type;
    enum error e = input_text_optional(in, "action", &action);
    if (e == OK)
        e = input_text_optional(in, "type", &type);
    if (e == OK && action.s && strcmp(action.s, "set_recipient"))
        e = input_fail(in, ERR_INVALID_FIELD, "unknown action");
    if (e == OK)
        *out = action.s ? action : type.s && !strcmp(type.s, "typing") ? type : (struct text){"", 0};
    return e;
}

/* Plain text to whom set_recipient named. Whether there is anybody of that id is found out by the send. */
static bool on_text(struct conn *c, const char *text, size_t len)
{
    struct addressee *to = c->dialect_state;
    size_t blank = 0;
    while (!to && blank < len && strchr(" \t\r\n", text[blank]) && text[blank])
        blank++; /* JSON may begin so; with a recipient, text */
    if (blank == len || text[blank] == '{')
        return false;
    if (!to) {
        conn_error(c, ERR_BAD_JSON,
                   "no recipient is set: a message is a JSON object, or plain text after set_recipient");
        return true;
    }
    char *copy = strndup(text, len);
    if (!copy)
        abort();
    struct new_message m = {.sender = &c->me, .content = {copy, len}};
    enum error e = memchr(text, 0, len) || !utf8_valid(text, len)
                       ? ERR_INVALID_FIELD
                       : validate_message(m.content, m.media_url, c->daemon->config.message_max);
    if (e == OK)
        e = send_to(c, to, &m);
    if (e != OK)
        conn_error(c, e, error_sentence(e));
    free(copy);
    return true;
}

static const struct operation_entry operations[] = {
    {"set_recipient", false, on_set_recipient},
    {"typing", false, on_typing},
    {NULL, false, on_message},
    {0},
};

const struct dialect_ops dialect_p2p = {
    .dialect = DIALECT_P2P,
    .subprotocol = "chat.p2p",
    .integers = true,
    .groups = true,
    .own_differs = true,
    .pending = true,
    .receipts = true,
    .bad_token = BAD_TOKEN_HTTP,
    .find_type = find_type,
    .operations = operations,
    .error = error_frame,
    .message = message_frame,
    .typing = typing_frame,
    .text = on_text,
    .opened = opened,
};
