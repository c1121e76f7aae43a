/* People: oneself, and others as everybody may see them. */
#include "fcgi-app/handlers.h"
#include "shared/directory_store.h"
#include "shared/view.h"

#include <json-c/json.h>

enum error users_me(struct request *req, struct reply *out)
{
    reply_json(out, 200, view_dm_user(&req->user));
    return OK;
}

static void show(struct reply *out, const struct user *u)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "user", view_conv_user(u));
    reply_json(out, 200, o);
}

/* By name, in either case. */
enum error users_find(struct request *req, struct reply *out)
{
    struct user u;
    struct text name = target_parameter(&req->target, "username");
    if (!name.s)
        return input_fail(&req->body, ERR_INVALID_PARAMETER, "username is required");
    enum error e = user_by_name(req->db, &req->arena, name.s, &u);
    if (e == OK)
        show(out, &u);
    return e;
}

enum error users_get(struct request *req, struct reply *out)
{
    struct user u;
    enum error e = user_by_ref(req->db, &req->arena, &req->refs[0], &u);
    if (e == OK)
        show(out, &u);
    return e;
}
