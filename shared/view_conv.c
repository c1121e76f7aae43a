/* The conv dialect (Workflow Diagrams) and the native surface: UUIDs. Handlers put the envelopes
 * ({conversation}, {message}, {messages, next_cursor}) around what is made here. Accounts look as
 * they do in dm. */
#include "shared/view.h"

#include <json-c/json.h>

struct json_object *view_conv_user(const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(u->id, u->created_at));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "display_name", view_text(u->display_name));
    json_object_object_add(o, "is_active", json_object_new_boolean(u->is_active));
    json_object_object_add(o, "created_at", view_time(u->created_at));
    json_object_object_add(o, "updated_at", view_time(u->updated_at));
    return o;
}

/* `body` is the document's name for the text, `content` everybody else's. client_msg_id is what the
 * sender called the message, so that its echo finds the line it belongs to. A direct message names
 * its recipient too: who reads only dm needs no second look. */
struct json_object *view_conv_message(const struct message *m)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(m->id, m->created_at));
    json_object_object_add(o, "conversation_id", view_uuid(m->conversation_id, m->conversation_created_at));
    json_object_object_add(o, "sender_id", view_uuid(m->sender.id, m->sender.created_at));
    json_object_object_add(o, "sender_username", view_text(m->sender.username));
    if (!m->is_group)
        json_object_object_add(o, "recipient_id", view_uuid(m->recipient.id, m->recipient.created_at));
    json_object_object_add(o, "body", view_content(m->content));
    json_object_object_add(o, "content", view_content(m->content));
    json_object_object_add(o, "media_url", view_text(m->media_url));
    json_object_object_add(o, "client_msg_id", view_text(m->client_key));
    json_object_object_add(o, "created_at", view_time(m->created_at));
    json_object_object_add(o, "edited_at", view_time(m->edited_at));
    return o;
}

static struct json_object *participant(const struct participant *p)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "user_id", view_uuid(p->user.id, p->user.created_at));
    json_object_object_add(o, "username", view_text(p->user.username));
    json_object_object_add(o, "display_name", view_text(p->user.display_name));
    json_object_object_add(o, "role", view_text(p->role));
    json_object_object_add(o, "joined_at", view_time(p->joined_at));
    return o;
}

/* name and owner_id are null in a direct conversation, owner_id also when the owner is gone;
 * last_message is null before the first one. */
struct json_object *view_conv_conversation(const struct conversation *c)
{
    struct json_object *o = json_object_new_object();
    struct json_object *people = json_object_new_array();
    for (int i = 0; i < c->people_count; i++)
        json_object_array_add(people, participant(&c->people[i]));
    json_object_object_add(o, "id", view_uuid(c->id, c->created_at));
    json_object_object_add(o, "type", json_object_new_string(c->is_group ? "group" : "direct"));
    json_object_object_add(o, "name", view_text(c->name));
    json_object_object_add(o, "owner_id", c->owner_id ? view_uuid(c->owner_id, c->owner_created_at) : NULL);
    json_object_object_add(o, "participants", people);
    json_object_object_add(o, "last_message", c->last && c->last->id ? view_conv_message(c->last) : NULL);
    json_object_object_add(o, "unread_count", json_object_new_int64(c->unread));
    json_object_object_add(o, "created_at", view_time(c->created_at));
    json_object_object_add(o, "updated_at", view_time(c->updated_at));
    return o;
}

struct json_object *view_conv_delivery(const struct delivery *d)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "user_id", view_uuid(d->user_id, d->user_created_at));
    json_object_object_add(o, "status", view_text(d->status));
    json_object_object_add(o, "delivered_at", view_time(d->delivered_at));
    json_object_object_add(o, "read_at", view_time(d->read_at));
    return o;
}

/* Contacts and invitations have the names of the rooms document, the only one that speaks of them,
 * and the conversation the two can write in at once. */
struct json_object *view_conv_contact(const struct contact *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(c->id, c->created_at));
    json_object_object_add(o, "other_user", view_conv_user(&c->other));
    json_object_object_add(o, "conversation_id", view_uuid(c->conversation_id, c->conversation_created_at));
    json_object_object_add(o, "created_at", view_time(c->created_at));
    json_object_object_add(o, "updated_at", view_time(c->updated_at));
    return o;
}

struct json_object *view_conv_invitation(const struct invitation *i)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(i->id, i->created_at));
    json_object_object_add(o, "from_user", view_conv_user(&i->from));
    json_object_object_add(o, "to_user", view_conv_user(&i->to));
    json_object_object_add(o, "created_at", view_time(i->created_at));
    json_object_object_add(o, "updated_at", view_time(i->updated_at));
    return o;
}

/* take_data NULL: a frame of its type alone, like {"type":"pong"}. */
struct json_object *view_conv_frame(const char *type, struct json_object *take_data)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", view_text(type));
    if (take_data)
        json_object_object_add(o, "data", take_data);
    return o;
}

struct json_object *view_webhook(const struct webhook *w)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(w->id, w->created_at));
    json_object_object_add(o, "name", view_text(w->name));
    json_object_object_add(o, "username", view_text(w->username));
    json_object_object_add(o, "made_by", view_uuid(w->maker_id, w->maker_created_at));
    json_object_object_add(o, "created_at", view_time(w->created_at));
    json_object_object_add(o, "used_at", view_time(w->used_at));
    return o;
}

struct json_object *view_token(const struct token_info *t)
{
    struct json_object *o = json_object_new_object(), *scopes = json_object_new_array();
    const char *name;
    for (int i = 0; (name = scope_name(i)); i++)
        if (t->scopes & 1u << i)
            json_object_array_add(scopes, json_object_new_string(name));
    json_object_object_add(o, "id", view_uuid(t->id, t->created_at));
    json_object_object_add(o, "label", view_text(t->label));
    json_object_object_add(o, "scopes", scopes);
    json_object_object_add(o, "conversation_id",
                           t->conversation_id ? view_uuid(t->conversation_id, t->conversation_created_at) : NULL);
    json_object_object_add(o, "created_at", view_time(t->created_at));
    json_object_object_add(o, "expires_at", view_time(t->expires_at));
    json_object_object_add(o, "used_at", view_time(t->used_at));
    return o;
}

struct json_object *view_conv_session(const struct session_info *s)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(s->id, s->created_at));
    json_object_object_add(o, "dialect", view_text(s->dialect));
    json_object_object_add(o, "user_agent", view_text(s->user_agent));
    json_object_object_add(o, "address", view_text(s->address));
    json_object_object_add(o, "created_at", view_time(s->created_at));
    json_object_object_add(o, "used_at", view_time(s->used_at));
    json_object_object_add(o, "expires_at", view_time(s->expires_at));
    json_object_object_add(o, "current", json_object_new_boolean(s->current));
    return o;
}
