/* dm (User Flow): /ws/chat. Bare message objects both ways, {"error": …} for a bad frame. */
#include "shared/store.h"
#include "shared/view.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/sender.h"

#include <json-c/json.h>

static struct json_object *error_frame(enum error e, const char *sentence)
{
    struct json_object *o = json_object_new_object();
    (void)e;
    json_object_object_add(o, "error", json_object_new_string(sentence));
    return o;
}

static struct json_object *message_frame(const struct message *m, bool own)
{
    (void)own;
    return view_dm_message(m);
}

static enum error on_message(struct conn *c, struct input *in)
{
    struct new_message m = {0};
    struct ref recipient;
    enum error e = input_ref(in, "recipient_id", false, &recipient);
    if (e == OK)
        e = dialect_read_message(c, in, "content", &m);
    if (e != OK)
        return e;
    m.recipient = &recipient;
    return sender_submit(c, &m);
}

static const struct operation_entry operations[] = {
    {NULL, false, on_message},
    {0},
};

const struct dialect_ops dialect_dm = {
    .dialect = DIALECT_DM,
    .subprotocol = "chat.dm",
    .bad_token = BAD_TOKEN_CLOSE,
    .operations = operations,
    .error = error_frame,
    .message = message_frame,
};
