/* Accounts and sessions, as each surface shows them. */
#include "fcgi-app/account.h"
#include "fcgi-app/handlers.h"
#include "shared/store.h"

#include <json-c/json.h>

/* ---- /api/v1: one answer serves dm and conv ---- */

enum error auth_register(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_register(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 201, view_dm_registered(&u, &tokens));
    return e;
}

enum error auth_login(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_login(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 200, view_dm_login(&u, &tokens));
    return e;
}

enum error auth_refresh(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_refresh(req, true, &u, &tokens);
    out->wake = e == ERR_REFRESH_INVALID; /* it may have been theft, which closes sockets */
    if (e == OK)
        reply_json(out, 200, view_dm_refreshed(&tokens));
    return e;
}

/* ---- rooms: a registration opens no session ---- */

enum error rooms_register(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials none;
    enum error e = account_register(req, &u, &none);
    if (e == OK)
        reply_json(out, 201, view_rooms_user(&u));
    return e;
}

enum error rooms_login(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_login(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 200, view_rooms_login(&tokens));
    return e;
}

enum error rooms_me(struct request *req, struct reply *out)
{
    reply_json(out, 200, view_rooms_user(&req->user));
    return OK;
}

/* ---- p2p ---- */

enum error p2p_register(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_register(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 201, view_p2p_registered(&u, &tokens));
    return e;
}

enum error p2p_login(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_login(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 200, view_p2p_login(&u, &tokens));
    return e;
}

/* ---- groups ---- */

enum error groups_register(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_register(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 200, view_groups_registered(&u, &tokens));
    return e;
}

enum error groups_login(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_login(req, &u, &tokens);
    if (e == OK)
        reply_json(out, 200, view_groups_login(&u, &tokens));
    return e;
}

/* The refresh token stays as it is. */
enum error groups_refresh(struct request *req, struct reply *out)
{
    struct user u;
    struct credentials tokens;
    enum error e = account_refresh(req, false, &u, &tokens);
    out->wake = e == ERR_REFRESH_INVALID;
    if (e != OK)
        return e;
    reply_member(out, 200, "access_token", view_text(tokens.access_token));
    return OK;
}

/* ---- every surface ---- */

enum error auth_logout(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    enum error e = session_revoke(req->db, req->me.session_id, &from);
    if (e != OK)
        return e;
    reply_member(out, 200, "message", json_object_new_string("Logged out successfully"));
    out->wake = true;
    return OK;
}
