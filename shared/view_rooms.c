/* The rooms dialect (Authentication API): integers, bare objects. A direct conversation is a system
 * room here, a group a user room. */
#include "shared/view.h"

#include "shared/timefmt.h"

#include <json-c/json.h>

/* Exactly the document's five members: e-mail and display name have no place here. */
struct json_object *view_rooms_user(const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(u->id));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "is_active", json_object_new_boolean(u->is_active));
    json_object_object_add(o, "created_at", view_time(u->created_at));
    json_object_object_add(o, "updated_at", view_time(u->updated_at));
    return o;
}

struct json_object *view_rooms_login(const struct credentials *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "access_token", view_text(c->access_token));
    json_object_object_add(o, "token_type", json_object_new_string("bearer"));
    return o;
}

struct json_object *view_rooms_invitation(const struct invitation *i)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(i->id));
    json_object_object_add(o, "from_user", view_rooms_user(&i->from));
    json_object_object_add(o, "to_user", view_rooms_user(&i->to));
    json_object_object_add(o, "created_at", view_time(i->created_at));
    json_object_object_add(o, "updated_at", view_time(i->updated_at));
    return o;
}

struct json_object *view_rooms_contact(const struct contact *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(c->id));
    json_object_object_add(o, "other_user", view_rooms_user(&c->other));
    json_object_object_add(o, "created_at", view_time(c->created_at));
    json_object_object_add(o, "updated_at", view_time(c->updated_at));
    return o;
}

/* The document leaves "member objects" open: a user object that also tells of the membership suits
 * who expects a user and who expects something with a username. */
static struct json_object *member(const struct participant *p)
{
    struct json_object *o = view_rooms_user(&p->user);
    json_object_object_add(o, "role", view_text(p->role));
    json_object_object_add(o, "joined_at", view_time(p->joined_at));
    return o;
}

/* The owner as a user object. NULL in a direct conversation, and when the owner is no member. */
static struct json_object *owner(const struct conversation *c)
{
    for (int i = 0; c->is_group && i < c->people_count; i++)
        if (c->people[i].user.id == c->owner_id)
            return view_rooms_user(&c->people[i].user);
    return NULL;
}

struct json_object *view_rooms_room(const struct conversation *c)
{
    struct json_object *o = json_object_new_object();
    struct json_object *members = json_object_new_array();
    for (int i = 0; i < c->people_count; i++)
        json_object_array_add(members, member(&c->people[i]));
    json_object_object_add(o, "id", json_object_new_int64(c->id));
    json_object_object_add(o, "name", c->is_group ? view_text(c->name) : NULL);
    json_object_object_add(o, "owner", owner(c));
    json_object_object_add(o, "is_system", json_object_new_boolean(!c->is_group));
    json_object_object_add(o, "members", members);
    json_object_object_add(o, "created_at", view_time(c->created_at));
    json_object_object_add(o, "updated_at", view_time(c->updated_at));
    return o;
}

/* The document knows text only: media_url is there only when there is one. */
struct json_object *view_rooms_message(const struct message *m)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(m->id));
    json_object_object_add(o, "room_id", json_object_new_int64(m->conversation_id));
    json_object_object_add(o, "sender", view_rooms_user(&m->sender));
    json_object_object_add(o, "content", view_content(m->content));
    if (m->media_url)
        json_object_object_add(o, "media_url", view_text(m->media_url));
    json_object_object_add(o, "edited_at", view_time(m->edited_at));
    json_object_object_add(o, "created_at", view_time(m->created_at));
    json_object_object_add(o, "updated_at", view_time(m->edited_at == TIME_NONE ? m->created_at : m->edited_at));
    return o;
}
