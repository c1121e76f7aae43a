/* The rooms dialect (Authentication API): rooms, who is in them, and what was said there. A direct
 * conversation is a system room, a group a user room. Leaving and deleting one answer nothing, and so
 * are those of conv.c. */
#include "fcgi-app/handlers.h"
#include "shared/history_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

enum { NAMES_MOST = 1000 };

/* The usernames of a body's member; those of strangers are passed over by the store. */
struct names {
    struct text *list;
    int count;
};

static enum error read_names(struct request *req, const char *member, struct names *out)
{
    out->list = arena_alloc(&req->arena, NAMES_MOST * sizeof *out->list);
    return input_texts(&req->body, member, out->list, NAMES_MOST, &out->count);
}

static struct json_object *room_item(const void *list, int i)
{
    return view_rooms_room((const struct conversation *)list + i);
}

/* ---- making and reading ---- */

enum error rooms_create(struct request *req, struct reply *out)
{
    struct text name;
    struct names members;
    struct conversation room;
    enum error e;
    if ((e = input_text(&req->body, "name", &name)) || (e = validate_name(name)) ||
        (e = read_names(req, "member_usernames", &members)) ||
        (e = group_create_with_contacts(req->db, &req->arena, req->me.user_id, name.s, members.list, members.count,
                                        &room)))
        return e;
    reply_json(out, 201, view_rooms_room(&room));
    out->wake = true;
    return OK;
}

enum error rooms_list(struct request *req, struct reply *out)
{
    struct conversation *list;
    int count;
    enum error e = conversation_list(req->db, &req->arena, req->me.user_id, KIND_ANY, false, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("rooms", count, room_item, list));
    return e;
}

enum error rooms_get(struct request *req, struct reply *out)
{
    struct conversation room;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_ANY, &room);
    if (e == OK)
        reply_json(out, 200, view_rooms_room(&room));
    return e;
}

/* ---- members ---- */

enum error rooms_add(struct request *req, struct reply *out)
{
    struct names members;
    struct conversation room;
    enum error e;
    if (!input_has(&req->body, "usernames"))
        return input_fail(&req->body, ERR_MISSING_FIELD, "usernames is required");
    if ((e = read_names(req, "usernames", &members)) ||
        (e = members_add_contacts(req->db, &req->arena, req->me.user_id, &req->refs[0], members.list, members.count,
                                  &room)))
        return e;
    reply_json(out, 200, view_rooms_room(&room));
    out->wake = true;
    return OK;
}

/* Only the owner: a member who names themself here is told so, and leaves by the path for that. */
enum error rooms_remove(struct request *req, struct reply *out)
{
    struct conversation room;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_ANY, &room);
    if (e == OK && room.is_group && room.owner_id != req->me.user_id)
        e = ERR_NOT_OWNER;
    if (e == OK)
        e = member_remove_by_name(req->db, req->me.user_id, &req->refs[0], req->name);
    if (e != OK)
        return e;
    out->wake = true;
    return rooms_get(req, out);
}

/* ---- messages ---- */

static struct json_object *message_item(const void *list, int i)
{
    return view_rooms_message((const struct message *)list + i);
}

/* The newest page before before_id (0: of all), oldest first within. */
enum error rooms_history(struct request *req, struct reply *out)
{
    struct page page = {.conversation = &req->refs[0], .oldest_first = true};
    struct messages m;
    enum error e;
    if ((e = request_page(req, &page.limit, NULL)) || (e = request_number(req, "before_id", 0, &page.at)))
        return e;
    page.place = page.at ? PLACE_BEFORE_ID : PLACE_NEWEST;
    if ((e = history_page(req->db, &req->arena, req->me.user_id, &page, &m)))
        return e;
    struct json_object *o = view_list("messages", m.count, message_item, m.list);
    json_object_object_add(o, "has_more", json_object_new_boolean(m.older));
    reply_json(out, 200, o);
    return OK;
}
