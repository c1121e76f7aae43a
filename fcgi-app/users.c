/* People: oneself, and others as everybody may see them. */
#include "fcgi-app/handlers.h"
#include "shared/directory_store.h"
#include "shared/view.h"

enum error users_me(struct request *req, struct reply *out)
{
    reply_json(out, 200, view_dm_user(&req->user));
    return OK;
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
        reply_member(out, 200, "user", view_conv_user(&u));
    return e;
}

enum error users_get(struct request *req, struct reply *out)
{
    struct user u;
    enum error e = user_by_ref(req->db, &req->arena, &req->refs[0], &u);
    if (e == OK)
        reply_member(out, 200, "user", view_conv_user(&u));
    return e;
}
