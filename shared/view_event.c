/* What happened, as the conv socket and GET /api/v1/events tell it: {type, data}, UUIDs. */
#include "shared/view.h"

#include <json-c/json.h>
#include <string.h>

static void add(struct json_object *o, const char *name, struct json_object *value)
{
    json_object_object_add(o, name, value);
}

static struct json_object *message(const struct change *c)
{
    return view_conv_message(&c->message);
}

static struct json_object *receipt(const struct change *c)
{
    struct json_object *data = json_object_new_object();
    add(data, "message_id", view_uuid(c->message.id, c->message.created_at));
    add(data, "conversation_id", view_uuid(c->message.conversation_id, c->message.conversation_created_at));
    add(data, "user_id", view_uuid(c->event.user_id, c->event.user_created));
    add(data, "status", json_object_new_string(c->event.kind));
    return data;
}

static struct json_object *deleted(const struct change *c)
{
    struct json_object *data = json_object_new_object();
    add(data, "id", view_uuid(c->message.id, c->message.created_at));
    add(data, "conversation_id", view_uuid(c->message.conversation_id, c->message.conversation_created_at));
    return data;
}

/* Membership and the conversation itself: whom it is about, who did it. */
static struct json_object *about(const struct change *c)
{
    struct json_object *data = json_object_new_object();
    if (c->event.conversation_id)
        add(data, "conversation_id", view_uuid(c->event.conversation_id, c->event.conversation_created));
    if (c->event.user_id)
        add(data, "user_id", view_uuid(c->event.user_id, c->event.user_created));
    if (c->event.actor_id)
        add(data, "actor_id", view_uuid(c->event.actor_id, c->event.actor_created));
    return data;
}

static struct json_object *renamed(const struct change *c)
{
    struct json_object *data = about(c);
    add(data, "name", view_text(c->event.conversation_name));
    return data;
}

static const struct {
    const char *kind; /* in the database */
    const char *type; /* on the wire */
    struct json_object *(*data)(const struct change *c);
} table[] = {
    {"message", "message", message},
    {"message_edited", "message_edited", message},
    {"message_deleted", "message_deleted", deleted},
    {"delivered", "delivery_ack", receipt},
    {"read", "delivery_ack", receipt},
    {"conversation_created", "conversation_created", about},
    {"conversation_renamed", "conversation_renamed", renamed},
    {"owner_changed", "owner_changed", about},
    {"conversation_deleted", "conversation_deleted", about},
    {"member_added", "member_added", about},
    {"member_removed", "member_removed", about},
    {"contact_added", "contact_added", about},
    {"contact_removed", "contact_removed", about},
    {"invitation_received", "invitation_received", about},
};
enum { COUNT = sizeof table / sizeof *table };

static int find(const char *kind)
{
    int i = 0;
    while (i < COUNT && strcmp(table[i].kind, kind))
        i++;
    return i;
}

struct json_object *view_conv_event(const struct change *c)
{
    int i = find(c->event.kind);
    return i < COUNT ? view_conv_frame(table[i].type, table[i].data(c)) : NULL;
}

struct json_object *view_event(const struct change *c, const char *cursor)
{
    struct json_object *o = view_conv_event(c);
    add(o, "created_at", view_time(c->event.at));
    add(o, "cursor", view_text(cursor));
    return o;
}

struct json_object *view_consumer(const char *name, const char *cursor, int64_t created_at, int64_t acknowledged_at)
{
    struct json_object *o = json_object_new_object();
    add(o, "name", view_text(name));
    add(o, "cursor", view_text(cursor));
    add(o, "created_at", view_time(created_at));
    add(o, "acknowledged_at", view_time(acknowledged_at));
    return o;
}

bool view_event_kinds(struct arena *a, const char *type, const char **kinds)
{
    bool known = false;
    for (int i = 0; i < COUNT; i++) {
        if (type && strcmp(table[i].type, type))
            continue;
        known = true;
        *kinds = arena_printf(a, "%s%s%s", *kinds, **kinds ? "," : "", table[i].kind);
    }
    return known;
}
