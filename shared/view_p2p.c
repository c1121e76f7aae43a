/* The p2p dialect (ChatServer Example Flow): integers, bare objects. Its document shows few answers;
 * the rest is what the contract says its clients read. */
#include "shared/view.h"

#include "shared/timefmt.h"

#include <json-c/json.h>
#include <stdio.h>

/* recipient_id names the other person, or the group, which group_id then names again: that is how
 * these clients tell the two apart. What a message does not have is "", as what they send for it. */
static void add_message(struct json_object *o, const struct message *m, const char *status)
{
    int64_t to = m->is_group ? m->conversation_id : m->recipient.id;
    json_object_object_add(o, "id", json_object_new_int64(m->id));
    json_object_object_add(o, "sender_id", json_object_new_int64(m->sender.id));
    json_object_object_add(o, "recipient_id", json_object_new_int64(to));
    json_object_object_add(o, "type", view_text(m->type));
    json_object_object_add(o, "content", view_content(m->content));
    json_object_object_add(o, "media_url", json_object_new_string(m->media_url ? m->media_url : ""));
    json_object_object_add(o, "timestamp", view_time(m->created_at));
    json_object_object_add(o, "status", view_text(status));
    if (m->is_group)
        json_object_object_add(o, "group_id", json_object_new_int64(m->conversation_id));
}

struct json_object *view_p2p_message(const struct message *m, const char *status)
{
    struct json_object *o = json_object_new_object();
    add_message(o, m, status);
    return o;
}

struct json_object *view_p2p_sent(const struct message *m, const char *status)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "message", json_object_new_string("Message sent successfully"));
    add_message(o, m, status);
    return o;
}

struct json_object *view_p2p_user(const struct user *u, bool own)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(u->id));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "display_name", view_text(u->display_name));
    if (own)
        json_object_object_add(o, "email", view_text(u->email));
    json_object_object_add(o, "created_at", view_time(u->created_at));
    return o;
}

/* last is the newest message between the caller and this user; NULL: they never wrote. */
struct json_object *view_p2p_user_with_chat(const struct user *u, bool own, const struct message *last)
{
    struct json_object *o = view_p2p_user(u, own);
    bool some = last && last->id;
    json_object_object_add(o, "last_message_content", some ? view_content(last->content) : NULL);
    json_object_object_add(o, "last_message_timestamp", some ? view_time(last->created_at) : NULL);
    json_object_object_add(o, "last_message_sender_id", some ? json_object_new_int64(last->sender.id) : NULL);
    return o;
}

struct json_object *view_p2p_registered(const struct user *u, const struct credentials *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(u->id));
    json_object_object_add(o, "username", view_text(u->username));
    json_object_object_add(o, "email", view_text(u->email));
    json_object_object_add(o, "created_at", view_time(u->created_at));
    json_object_object_add(o, "message", json_object_new_string("User registered successfully"));
    json_object_object_add(o, "token", view_text(c->access_token));
    return o;
}

struct json_object *view_p2p_login(const struct user *u, const struct credentials *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "message", json_object_new_string("Login successful"));
    json_object_object_add(o, "token", view_text(c->access_token));
    json_object_object_add(o, "user", view_p2p_user(u, true));
    return o;
}

/* user_id is what the request that adds a member calls the user; id is what every user object does. */
struct json_object *view_p2p_member(const struct participant *p)
{
    struct json_object *o = view_p2p_user(&p->user, false);
    json_object_object_add(o, "user_id", json_object_new_int64(p->user.id));
    json_object_object_add(o, "role", view_text(p->role));
    json_object_object_add(o, "joined_at", view_time(p->joined_at));
    return o;
}

/* That system's clients read group_id where a group was made and id in the list. owner_id is null when
 * the owner is gone. Without its people loaded a group has no `members`. */
struct json_object *view_p2p_group(const struct conversation *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_int64(c->id));
    json_object_object_add(o, "group_id", json_object_new_int64(c->id));
    json_object_object_add(o, "name", view_text(c->name));
    json_object_object_add(o, "owner_id", c->owner_id ? json_object_new_int64(c->owner_id) : NULL);
    json_object_object_add(o, "created_at", view_time(c->created_at));
    if (!c->people)
        return o;
    struct json_object *members = json_object_new_array();
    for (int i = 0; i < c->people_count; i++)
        json_object_array_add(members, view_p2p_member(&c->people[i]));
    json_object_object_add(o, "members", members);
    return o;
}

/* From user 0, who is nobody: the server itself. */
struct json_object *view_p2p_welcome(const char *username)
{
    struct json_object *o = json_object_new_object();
    char content[128]; /* a username has at most 50 characters, all ASCII */
    snprintf(content, sizeof content, "Welcome, %s!", username);
    json_object_object_add(o, "type", json_object_new_string("system"));
    json_object_object_add(o, "sender_id", json_object_new_int(0));
    json_object_object_add(o, "content", json_object_new_string(content));
    json_object_object_add(o, "timestamp", view_time(time_now()));
    return o;
}
