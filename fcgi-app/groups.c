/* The groups dialect (API Documentation): direct conversations, groups, who is in them, and what was
 * said there. Each path knows its own kind: a group's id names no conversation, and the other way. */
#include "fcgi-app/handlers.h"
#include "shared/history_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

/* ---- direct conversations ---- */

static struct json_object *conversation_item(const void *list, int i)
{
    return view_groups_conversation((const struct conversation *)list + i);
}

enum error groups_conversations(struct request *req, struct reply *out)
{
    struct conversation *list;
    int count;
    enum error e = conversation_list(req->db, &req->arena, req->me.user_id, KIND_DIRECT, false, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("conversations", count, conversation_item, list));
    return e;
}

/* Makes it, or finds it: the answer is the same. */
enum error groups_open(struct request *req, struct reply *out)
{
    struct ref user;
    struct conversation c;
    bool created;
    enum error e;
    if ((e = input_ref(&req->body, "user_id", false, &user)) ||
        (e = direct_start(req->db, &req->arena, req->me.user_id, &user, &c, &created)))
        return e;
    reply_member(out, 200, "conversation", view_groups_conversation(&c));
    out->wake = created;
    return OK;
}

enum error groups_conversation(struct request *req, struct reply *out)
{
    struct conversation c;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_DIRECT, &c);
    if (e == OK)
        reply_member(out, 200, "conversation", view_groups_conversation(&c));
    return e;
}

/* ---- groups ---- */

static struct json_object *group_item(const void *list, int i)
{
    return view_groups_group((const struct conversation *)list + i);
}

enum error groups_list(struct request *req, struct reply *out)
{
    struct conversation *list;
    int count;
    enum error e = conversation_list(req->db, &req->arena, req->me.user_id, KIND_GROUP, false, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("groups", count, group_item, list));
    return e;
}

enum error groups_create(struct request *req, struct reply *out)
{
    struct text name;
    struct conversation c;
    enum error e;
    if ((e = input_text(&req->body, "name", &name)) || (e = validate_name(name)) ||
        (e = group_create(req->db, &req->arena, req->me.user_id, name.s, NULL, 0, &c, NULL)))
        return e;
    reply_member(out, 201, "group", view_groups_group(&c));
    out->wake = true;
    return OK;
}

enum error groups_get(struct request *req, struct reply *out)
{
    struct conversation c;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_GROUP, &c);
    if (e == OK)
        reply_member(out, 200, "group", view_groups_group(&c));
    return e;
}

/* What changing a group's members comes to. A direct conversation is no group. */
static enum error changed(struct reply *out, enum error e, const char *said)
{
    if (e != OK)
        return e == ERR_SYSTEM_ROOM ? ERR_CONVERSATION_NOT_FOUND : e;
    reply_member(out, 200, "message", json_object_new_string(said));
    out->wake = true;
    return OK;
}

/* One who is in it already stays; nothing changes and the answer is the same. */
enum error groups_add(struct request *req, struct reply *out)
{
    struct ref user;
    enum error e = input_ref(&req->body, "user_id", false, &user);
    if (e != OK)
        return e;
    e = members_add(req->db, &req->arena, req->me.user_id, &req->refs[0], &user, 1, NULL, NULL);
    return changed(out, e, "Member added successfully");
}

/* The creator takes out others; anyone, the creator too, may take out themself. */
enum error groups_remove(struct request *req, struct reply *out)
{
    const struct ref *group = &req->refs[0], *member = &req->refs[1];
    enum error e;
    if (member->id != req->me.user_id)
        e = member_remove(req->db, req->me.user_id, group, member);
    else if (id_matches(member, req->me.user_created))
        e = group_quit(req->db, req->me.user_id, group);
    else
        e = ERR_USER_NOT_FOUND;
    return changed(out, e, "Member removed successfully");
}

/* ---- messages ---- */

static struct json_object *message_item(const void *list, int i)
{
    return view_groups_message((const struct message *)list + i);
}

/* Newest first. next_cursor names the last message shown and goes on behind it. */
static enum error history(struct request *req, struct reply *out, enum conversation_kind kind)
{
    struct text cursor = target_parameter(&req->target, "cursor");
    struct page page = {.conversation = &req->refs[0], .kind = kind};
    char next[CURSOR_TEXT];
    struct messages m;
    enum error e;
    if ((e = request_page(req, &page.limit, NULL)))
        return e;
    if (cursor.len && cursor_parse_time(cursor.s, &page) != OK)
        return input_fail(&req->body, ERR_INVALID_PARAMETER, "cursor has to be an RFC 3339 timestamp");
    if ((e = history_page(req->db, &req->arena, req->me.user_id, &page, &m)))
        return e;
    struct json_object *o = view_list("messages", m.count, message_item, m.list);
    bool more = m.count && m.older;
    if (more)
        cursor_format_time(&m.list[m.count - 1], next);
    json_object_object_add(o, "next_cursor", more ? json_object_new_string(next) : NULL);
    reply_json(out, 200, o);
    return OK;
}

static enum error send(struct request *req, struct reply *out, enum conversation_kind kind)
{
    struct new_message m = {.sender = &req->me, .conversation = &req->refs[0], .kind = conversation_kind_name(kind)};
    struct message sent;
    bool replayed;
    enum error e;
    if ((e = input_text(&req->body, "content", &m.content)) ||
        (e = validate_message(m.content, m.media_url, req->config->message_max)) ||
        (e = request_client_key(req, &m.client_key)) || (e = message_send(req->db, &req->arena, &m, &sent, &replayed)))
        return e;
    reply_member(out, 201, "message", view_groups_message(&sent));
    out->replayed = replayed;
    out->wake = !replayed;
    return OK;
}

enum error groups_direct_history(struct request *req, struct reply *out)
{
    return history(req, out, KIND_DIRECT);
}

enum error groups_direct_send(struct request *req, struct reply *out)
{
    return send(req, out, KIND_DIRECT);
}

enum error groups_history(struct request *req, struct reply *out)
{
    return history(req, out, KIND_GROUP);
}

enum error groups_send(struct request *req, struct reply *out)
{
    return send(req, out, KIND_GROUP);
}
