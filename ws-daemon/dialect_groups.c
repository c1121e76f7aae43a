/* groups (API Documentation): /ws for its tokens. {type: "message", data} and {type: "error"}. */
#include "shared/conversation_store.h"
#include "shared/view.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/sender.h"

#include <json-c/json.h>

static struct json_object *error_frame(enum error e, const char *sentence)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("error"));
    json_object_object_add(o, "message", json_object_new_string(sentence));
    json_object_object_add(o, "code", json_object_new_string(error_code(e)));
    return o;
}

static struct json_object *message_frame(const struct message *m, bool own)
{
    (void)own;
    return view_groups_frame(m);
}

/* conversation_id names a direct conversation, group_id a group; the other one is null. */
static enum error on_message(struct conn *c, struct input *in)
{
    struct new_message m = {0};
    struct ref conversation, group;
    bool has_conversation = false, has_group = false;
    enum error e = input_ref_optional(in, "conversation_id", false, &conversation, &has_conversation);
    if (e == OK)
        e = input_ref_optional(in, "group_id", false, &group, &has_group);
    if (e == OK && has_conversation == has_group)
        e = input_fail(in, has_group ? ERR_INVALID_FIELD : ERR_MISSING_FIELD,
                       "either conversation_id or group_id is required");
    if (e == OK)
        e = dialect_read_message(c, in, "content", &m);
    if (e != OK)
        return e;
    m.conversation = has_group ? &group : &conversation;
    m.kind = conversation_kind_name(has_group ? KIND_GROUP : KIND_DIRECT);
    return sender_submit(c, &m);
}

static const struct operation_entry operations[] = {
    {"message", false, on_message},
    {0},
};

const struct dialect_ops dialect_groups = {
    .dialect = DIALECT_GROUPS,
    .subprotocol = "chat.groups",
    .groups = true,
    .bad_token = BAD_TOKEN_HTTP,
    .type_member = "type",
    .operations = operations,
    .error = error_frame,
    .message = message_frame,
};
