/* The p2p dialect's groups and who is in them. Their messages are in p2p.c. */
#include "fcgi-app/handlers.h"
#include "shared/conversation_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

/* As registering and sending do there, a change says that it worked. */
static void show_changed(struct reply *out, int status, const struct conversation *c, const char *said)
{
    struct json_object *o = view_p2p_group(c);
    json_object_object_add(o, "message", json_object_new_string(said));
    reply_json(out, status, o);
    out->wake = true;
}

static struct json_object *group_item(const void *list, int i)
{
    return view_p2p_group((const struct conversation *)list + i);
}

enum error p2p_groups(struct request *req, struct reply *out)
{
    struct conversation *list;
    int count;
    enum error e = conversation_list(req->db, &req->arena, req->me.user_id, KIND_GROUP, false, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list(NULL, count, group_item, list));
    return e;
}

enum error p2p_create_group(struct request *req, struct reply *out)
{
    struct text name;
    struct conversation c;
    enum error e;
    if ((e = input_text(&req->body, "name", &name)) || (e = validate_name(name)) ||
        (e = group_create(req->db, &req->arena, req->me.user_id, name.s, NULL, 0, &c, NULL)))
        return e;
    show_changed(out, 201, &c, "Group created successfully");
    return OK;
}

static struct json_object *member_item(const void *list, int i)
{
    return view_p2p_member((const struct participant *)list + i);
}

enum error p2p_members(struct request *req, struct reply *out)
{
    struct conversation c;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_GROUP, &c);
    if (e == OK)
        reply_json(out, 200, view_list(NULL, c.people_count, member_item, c.people));
    return e;
}

enum error p2p_add_member(struct request *req, struct reply *out)
{
    struct ref user;
    struct conversation c;
    enum error e;
    if ((e = input_ref(&req->body, "user_id", true, &user)))
        return e;
    e = members_add(req->db, &req->arena, req->me.user_id, &req->refs[0], &user, 1, &c, NULL);
    if (e == OK)
        show_changed(out, 200, &c, "Member added successfully");
    return e == ERR_SYSTEM_ROOM ? ERR_CONVERSATION_NOT_FOUND : e; /* no group has this id */
}
