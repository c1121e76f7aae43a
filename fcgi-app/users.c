/* People. */
#include "fcgi-app/handlers.h"
#include "shared/view.h"

enum error users_me(struct request *req, struct reply *out)
{
    reply_json(out, 200, view_dm_user(&req->user));
    return OK;
}
