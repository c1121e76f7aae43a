/* Where the caller is logged in, and how that ends. Only the native surface has it, for the sessions of all. */
#include "fcgi-app/account.h"
#include "fcgi-app/handlers.h"
#include "shared/door_store.h"
#include "shared/view.h"

#include <json-c/json.h>

static struct json_object *item(const void *list, int i)
{
    return view_conv_session((const struct session_info *)list + i);
}

enum error sessions_list(struct request *req, struct reply *out)
{
    struct session_info *list;
    int64_t limit, offset;
    int count;
    enum error e;
    if ((e = request_page(req, &limit, &offset)) ||
        (e = session_list(req->db, &req->arena, &req->me, limit, offset, &list, &count)))
        return e;
    reply_json(out, 200, view_list("sessions", count, item, list));
    return OK;
}

enum error sessions_end(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    return reply_changed(out, session_end(req->db, &req->me, &req->refs[0], &from)); /* its sockets close */
}

enum error sessions_end_others(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    int64_t ended;
    enum error e = session_end_others(req->db, &req->me, &from, &ended);
    if (e != OK)
        return e;
    reply_member(out, 200, "ended", json_object_new_int64(ended));
    out->wake = true;
    return OK;
}

enum error sessions_change_password(struct request *req, struct reply *out)
{
    enum error e = account_change_password(req);
    if (e != OK)
        return e;
    reply_member(out, 200, "message",
                 json_object_new_string("the new password is set, and all other sessions have ended"));
    out->wake = true;
    return OK;
}
