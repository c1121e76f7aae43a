/* The groups dialect (API Documentation): UUIDs. Handlers put the envelopes ({conversation}, {group},
 * {message}, {messages, next_cursor}) around what is made here. People appear as bare ids. */
#include "shared/view.h"

#include <json-c/json.h>

/* What registration and login share; the caller gives the user it shows. */
static struct json_object *signed_in(struct json_object *take_user, const struct credentials *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "user", take_user);
    json_object_object_add(o, "access_token", view_text(c->access_token));
    json_object_object_add(o, "refresh_token", view_text(c->refresh_token));
    return o;
}

static struct json_object *user(const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(u->id, u->created_at));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "email", view_text(u->email));
    return o;
}

struct json_object *view_groups_registered(const struct user *u, const struct credentials *c)
{
    struct json_object *shown = user(u);
    json_object_object_add(shown, "created_at", view_time(u->created_at));
    return signed_in(shown, c);
}

struct json_object *view_groups_login(const struct user *u, const struct credentials *c)
{
    return signed_in(user(u), c);
}

static struct json_object *people_ids(const struct conversation *c)
{
    struct json_object *ids = json_object_new_array();
    for (int i = 0; i < c->people_count; i++)
        json_object_array_add(ids, view_uuid(c->people[i].user.id, c->people[i].user.created_at));
    return ids;
}

struct json_object *view_groups_conversation(const struct conversation *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(c->id, c->created_at));
    json_object_object_add(o, "participants", people_ids(c));
    json_object_object_add(o, "created_at", view_time(c->created_at));
    json_object_object_add(o, "updated_at", view_time(c->updated_at));
    return o;
}

/* created_by is null when that account is gone. */
struct json_object *view_groups_group(const struct conversation *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(c->id, c->created_at));
    json_object_object_add(o, "name", view_text(c->name));
    json_object_object_add(o, "created_by", c->owner_id ? view_uuid(c->owner_id, c->owner_created_at) : NULL);
    json_object_object_add(o, "members", people_ids(c));
    json_object_object_add(o, "created_at", view_time(c->created_at));
    return o;
}

/* The place of a message is conversation_id for a direct one and group_id otherwise. REST shows the
 * one that applies, frames both, the other null. The document knows text only: media_url is there only
 * when there is one. */
static struct json_object *message(const struct message *m, bool both)
{
    struct json_object *o = json_object_new_object();
    struct json_object *place = view_uuid(m->conversation_id, m->conversation_created_at);
    json_object_object_add(o, "id", view_uuid(m->id, m->created_at));
    json_object_object_add(o, "sender_id", view_uuid(m->sender.id, m->sender.created_at));
    json_object_object_add(o, m->is_group ? "group_id" : "conversation_id", place);
    if (both)
        json_object_object_add(o, m->is_group ? "conversation_id" : "group_id", NULL);
    json_object_object_add(o, "content", view_content(m->content));
    if (m->media_url)
        json_object_object_add(o, "media_url", view_text(m->media_url));
    json_object_object_add(o, "created_at", view_time(m->created_at));
    return o;
}

struct json_object *view_groups_message(const struct message *m)
{
    return message(m, false);
}

struct json_object *view_groups_frame(const struct message *m)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("message"));
    json_object_object_add(o, "data", message(m, true));
    return o;
}
