/* The p2p dialect (ChatServer Example Flow): people, messages, and what was said last with whom. Its
 * document shows the sends; the rest is what the clients of that system read. Groups themselves are in
 * p2p_groups.c. */
#include "fcgi-app/handlers.h"
#include "shared/directory_store.h"
#include "shared/history_store.h"
#include "shared/receipt_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

enum { USERS_MOST = 1000, TYPE_MOST = 20 };

static const char *const status_names[] = {
    [REACH_NOBODY] = "PENDING",
    [REACH_CONNECTED] = "SENT",
    [REACH_ALL] = "DELIVERED",
};

/* An array of messages, each with its status. */
static enum error show_messages(struct request *req, const struct message *list, int count, struct json_object **out)
{
    enum reach *reach = arena_alloc(&req->arena, (size_t)count * sizeof *reach);
    enum error e = message_reach(req->db, &req->arena, list, count, reach);
    if (e != OK)
        return e;
    *out = json_object_new_array_ext(count);
    for (int i = 0; i < count; i++)
        json_object_array_add(*out, view_p2p_message(&list[i], status_names[reach[i]]));
    return OK;
}

/* ---- people ---- */

static enum error list_users(struct request *req, struct reply *out, bool with_last)
{
    struct directory_entry *list;
    int64_t limit = USERS_MOST, after = 0;
    int count;
    enum error e;
    if ((e = request_number(req, "limit", 1, &limit)) || (e = request_number(req, "after_id", 0, &after)))
        return e;
    limit = limit < USERS_MOST ? limit : USERS_MOST;
    if ((e = user_list(req->db, &req->arena, req->me.user_id, after, limit, with_last, &list, &count)))
        return e;
    struct json_object *array = json_object_new_array_ext(count);
    for (int i = 0; i < count; i++) {
        const struct user *u = &list[i].user;
        bool own = u->id == req->me.user_id;
        json_object_array_add(array,
                              with_last ? view_p2p_user_with_chat(u, own, &list[i].last) : view_p2p_user(u, own));
    }
    reply_json(out, 200, array);
    return OK;
}

enum error p2p_users(struct request *req, struct reply *out)
{
    return list_users(req, out, false);
}

enum error p2p_users_with_chat(struct request *req, struct reply *out)
{
    return list_users(req, out, true);
}

enum error p2p_user(struct request *req, struct reply *out)
{
    struct user u;
    enum error e = user_by_ref(req->db, &req->arena, &req->refs[0], &u);
    if (e == OK)
        reply_json(out, 200, view_p2p_user(&u, u.id == req->me.user_id));
    return e;
}

/* ---- sending ---- */

/* Clients of that system leave out what they do not send, or send "". */
static enum error read_message(struct request *req, struct new_message *m)
{
    struct text type;
    enum error e;
    if ((e = input_text_optional(&req->body, "content", &m->content)) ||
        (e = input_text_optional(&req->body, "media_url", &m->media_url)) ||
        (e = input_text_optional(&req->body, "type", &type)))
        return e;
    if (type.len > TYPE_MOST)
        return input_fail(&req->body, ERR_INVALID_FIELD, "type may have at most %d bytes", TYPE_MOST);
    m->type = type.len ? type.s : NULL;
    if (!m->media_url.len)
        m->media_url.s = NULL;
    if (!m->content.s && !m->media_url.s)
        return input_fail(&req->body, ERR_MISSING_FIELD, "content or media_url is required");
    if (!m->content.len && m->media_url.s)
        m->content.s = NULL;
    if ((e = validate_message(m->content, m->media_url, req->config->message_max)))
        return e;
    return request_client_key(req, &m->client_key);
}

/* It is stored, so it is answered as sent even when nobody can say how far it got. */
static void show_sent(struct request *req, struct reply *out, const struct message *m, bool replayed)
{
    enum reach reach;
    if (message_reach(req->db, &req->arena, m, 1, &reach) != OK)
        reach = REACH_NOBODY;
    reply_json(out, 201, view_p2p_sent(m, status_names[reach]));
    out->replayed = replayed;
    out->wake = !replayed;
}

/* As everywhere in that system, the recipient may be a group too: ids are never ambiguous. */
enum error p2p_send(struct request *req, struct reply *out)
{
    struct new_message m = {.sender = &req->me, .recipient = &req->refs[0]};
    struct message sent;
    bool replayed;
    enum error e = read_message(req, &m);
    if (e != OK)
        return e;
    e = message_send(req->db, &req->arena, &m, &sent, &replayed);
    if (e == ERR_RECIPIENT_NOT_FOUND) {
        m.recipient = NULL;
        m.conversation = &req->refs[0];
        m.kind = conversation_kind_name(KIND_GROUP);
        e = message_send(req->db, &req->arena, &m, &sent, &replayed);
    }
    if (e == OK)
        show_sent(req, out, &sent, replayed);
    return e == ERR_CONVERSATION_NOT_FOUND ? ERR_RECIPIENT_NOT_FOUND : e;
}

enum error p2p_send_to_group(struct request *req, struct reply *out)
{
    struct new_message m = {
        .sender = &req->me, .conversation = &req->refs[0], .kind = conversation_kind_name(KIND_GROUP)};
    struct message sent;
    bool replayed;
    enum error e;
    if ((e = read_message(req, &m)) || (e = message_send(req->db, &req->arena, &m, &sent, &replayed)))
        return e;
    show_sent(req, out, &sent, replayed);
    return OK;
}

/* ---- reading ---- */

/* The newest page before before_id (0: of all), oldest first within. */
static enum error show_history(struct request *req, struct reply *out, struct page *page)
{
    struct messages m;
    struct json_object *list;
    enum error e;
    if ((e = request_page(req, &page->limit, NULL)) || (e = request_number(req, "before_id", 0, &page->at)))
        return e;
    page->place = page->at ? PLACE_BEFORE_ID : PLACE_NEWEST;
    page->oldest_first = true;
    if ((e = history_page(req->db, &req->arena, req->me.user_id, page, &m)) ||
        (e = show_messages(req, m.list, m.count, &list)))
        return e;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "messages", list);
    json_object_object_add(o, "count", json_object_new_int(m.count));
    reply_json(out, 200, o);
    return OK;
}

/* With a person or of a group, whichever has the id. */
enum error p2p_history(struct request *req, struct reply *out)
{
    struct page page = {.conversation = &req->refs[0], .peer = &req->refs[0]};
    return show_history(req, out, &page);
}

enum error p2p_group_history(struct request *req, struct reply *out)
{
    struct page page = {.conversation = &req->refs[0], .kind = KIND_GROUP};
    return show_history(req, out, &page);
}

enum error p2p_chats(struct request *req, struct reply *out)
{
    struct message *list;
    struct json_object *array;
    int count;
    enum error e;
    if ((e = chat_list(req->db, &req->arena, req->me.user_id, &list, &count)) ||
        (e = show_messages(req, list, count, &array)))
        return e;
    reply_json(out, 200, array);
    return OK;
}
