/* The dm dialect (User Flow): UUIDs, bare objects, no envelopes. */
#include "shared/view.h"

#include <json-c/json.h>

struct json_object *view_dm_user(const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(u->id, u->created_at));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "email", view_text(u->email));
    json_object_object_add(o, "display_name", view_text(u->display_name));
    json_object_object_add(o, "is_active", json_object_new_boolean(u->is_active));
    json_object_object_add(o, "email_verified", json_object_new_boolean(u->email_verified));
    json_object_object_add(o, "created_at", view_time(u->created_at));
    json_object_object_add(o, "updated_at", view_time(u->updated_at));
    return o;
}

static struct json_object *tokens(const struct credentials *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "access_token", view_text(c->access_token));
    json_object_object_add(o, "refresh_token", view_text(c->refresh_token));
    json_object_object_add(o, "token_type", json_object_new_string("bearer"));
    json_object_object_add(o, "expires_in", json_object_new_int(c->expires_in));
    return o;
}

struct json_object *view_dm_registered(const struct user *u, const struct credentials *c)
{
    struct json_object *o = view_dm_user(u);
    json_object_object_add(o, "user", view_dm_user(u));
    json_object_object_add(o, "tokens", tokens(c));
    return o;
}

struct json_object *view_dm_refreshed(const struct credentials *c)
{
    struct json_object *o = tokens(c);
    json_object_object_add(o, "tokens", tokens(c));
    return o;
}

struct json_object *view_dm_login(const struct user *u, const struct credentials *c)
{
    struct json_object *o = view_dm_refreshed(c);
    json_object_object_add(o, "user", view_dm_user(u));
    return o;
}

struct json_object *view_dm_message(const struct message *m)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", view_uuid(m->id, m->created_at));
    json_object_object_add(o, "sender_id", view_uuid(m->sender.id, m->sender.created_at));
    json_object_object_add(o, "sender_username", view_text(m->sender.username));
    json_object_object_add(o, "recipient_id", view_uuid(m->recipient.id, m->recipient.created_at));
    json_object_object_add(o, "content", view_content(m->content));
    json_object_object_add(o, "created_at", view_time(m->created_at));
    return o;
}

struct json_object *view_dm_conversation(const struct user *peer, const struct message *last)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "user_id", view_uuid(peer->id, peer->created_at));
    json_object_object_add(o, "username", view_text(peer->username));
    json_object_object_add(o, "last_message", view_content(last->content));
    json_object_object_add(o, "last_at", view_time(last->created_at));
    return o;
}
