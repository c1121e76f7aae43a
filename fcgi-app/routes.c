/* The endpoints, one line each.
 *
 * method    GET (answers HEAD too), POST, PUT, PATCH or DELETE.
 * pattern   Segments are compared as they are; in braces stands a typed one:
 *             {uuid}  a row's UUID → req->refs[], in order. Another text is another path: 404.
 *             {int}   a row's integer → req->refs[]
 *             {name}  any text that is not empty → req->name
 * guards    what the router has seen to before it calls the handler:
 *             AUTH        the bearer token's session stands and its user is enabled: req->me, req->user
 *             AUTH_TOKEN  the token is good (req->me); the handler's own statement checks the session,
 *                         so that a send costs one round trip to the database
 *             BODY        the body is a JSON object: req->body
 *             FORM        with BODY: a flat form-encoded body will do (the native surface)
 *           what a script's token needs; where none of these stands, only a login will do:
 *             READ, SEND  to look, and say what was seen; to send messages and change one's own
 *             ADMIN       to change conversations and contacts
 *           and where a token limited to one conversation may come:
 *             ROOM        the first segment in braces names a conversation, which has to be that one
 *             MESSAGE     the same of a message's conversation
 *             NARROWS     the handler sees to it, or there is nothing of any conversation here
 * dialect   the surface: rules of registration, and the `dialect` of the tokens issued here
 * handler   see handlers.h */
#include "fcgi-app/handlers.h"
#include "fcgi-app/router.h"

#define V1 "/api/v1"

/* clang-format off */
static const struct route table[] = {
    /* ---- accounts and sessions */
    {POST,   V1 "/auth/register",        BODY | FORM,           DIALECT_CONV, auth_register},
    {POST,   V1 "/auth/login",           BODY | FORM,           DIALECT_CONV, auth_login},
    {POST,   V1 "/auth/refresh",         BODY | FORM,           DIALECT_CONV, auth_refresh},
    {POST,   V1 "/auth/logout",          AUTH,                  DIALECT_CONV, auth_logout},
    {GET,    V1 "/auth/verify",          0,                     DIALECT_CONV, mail_verify},
    {POST,   V1 "/auth/verify",          0,                     DIALECT_CONV, mail_verify},
    {POST,   V1 "/auth/password/forgot", BODY | FORM,           DIALECT_CONV, mail_forgot_password},
    {POST,   V1 "/auth/password/reset",  BODY | FORM,           DIALECT_CONV, mail_reset_password},
    {POST,   V1 "/auth/password",        AUTH | BODY | FORM,    DIALECT_CONV, sessions_change_password},
    {GET,    V1 "/sessions",             AUTH,                  DIALECT_CONV, sessions_list},
    {DELETE, V1 "/sessions",             AUTH,                  DIALECT_CONV, sessions_end_others},
    {DELETE, V1 "/sessions/{uuid}",      AUTH,                  DIALECT_CONV, sessions_end},
    {POST,   V1 "/tokens",               AUTH | BODY | FORM,    DIALECT_CONV, tokens_create},
    {GET,    V1 "/tokens",               AUTH,                  DIALECT_CONV, tokens_list},
    {DELETE, V1 "/tokens",               AUTH,                  DIALECT_CONV, tokens_revoke_all},
    {DELETE, V1 "/tokens/{uuid}",        AUTH,                  DIALECT_CONV, tokens_revoke},
    {GET,    V1 "/users/me",             AUTH | READ | NARROWS, DIALECT_CONV, users_me},
    {GET,    V1 "/users",                AUTH | READ,           DIALECT_CONV, users_find},
    {GET,    V1 "/users/{uuid}",         AUTH | READ,           DIALECT_CONV, users_get},

    /* ---- dm */
    {POST, V1 "/messages/dm",            AUTH_TOKEN | BODY | FORM | SEND, DIALECT_DM, dm_send},
    {GET,  V1 "/messages/dm/{uuid}",     AUTH | READ,                     DIALECT_DM, dm_history},
    {GET,  V1 "/messages/conversations", AUTH | READ,                     DIALECT_DM, dm_conversations},

    /* ---- conv */
    {POST,   V1 "/conversations",                            AUTH | BODY | ADMIN,                    DIALECT_CONV, conv_create},
    {GET,    V1 "/conversations",                            AUTH | READ,                            DIALECT_CONV, conv_list},
    {GET,    V1 "/conversations/{uuid}",                     AUTH | READ | ROOM,                     DIALECT_CONV, conv_get},
    {PATCH,  V1 "/conversations/{uuid}",                     AUTH | BODY | FORM | ADMIN | ROOM,      DIALECT_CONV, conv_rename},
    {DELETE, V1 "/conversations/{uuid}",                     AUTH | ADMIN | ROOM,                    DIALECT_CONV, conv_delete},
    {POST,   V1 "/conversations/{uuid}/participants",        AUTH | BODY | FORM | ADMIN | ROOM,      DIALECT_CONV, conv_add},
    {DELETE, V1 "/conversations/{uuid}/participants/{uuid}", AUTH | ADMIN | ROOM,                    DIALECT_CONV, conv_remove},
    {POST,   V1 "/conversations/{uuid}/leave",               AUTH | ADMIN | ROOM,                    DIALECT_CONV, conv_leave},
    {POST,   V1 "/conversations/{uuid}/messages",            AUTH_TOKEN | BODY | FORM | SEND | ROOM, DIALECT_CONV, messages_send},
    {GET,    V1 "/conversations/{uuid}/messages",            AUTH | READ | ROOM,                     DIALECT_CONV, messages_history},
    {GET,    V1 "/messages/{uuid}/deliveries",               AUTH | READ | MESSAGE,                  DIALECT_CONV, messages_deliveries},

    /* ---- what the native surface adds */
    {POST,   V1 "/conversations/{uuid}/read", AUTH | READ | ROOM,                  DIALECT_CONV, messages_read_all},
    {POST,   V1 "/messages/{uuid}/read",      AUTH | READ | MESSAGE,               DIALECT_CONV, messages_read},
    {PATCH,  V1 "/messages/{uuid}",           AUTH | BODY | FORM | SEND | MESSAGE, DIALECT_CONV, messages_edit},
    {DELETE, V1 "/messages/{uuid}",           AUTH | SEND | MESSAGE,               DIALECT_CONV, messages_delete},
    {POST,   V1 "/conversations/{uuid}/callbacks", AUTH | BODY | FORM | ADMIN | ROOM, DIALECT_CONV, callbacks_create},
    {GET,    V1 "/conversations/{uuid}/callbacks", AUTH | READ | ROOM, DIALECT_CONV, callbacks_list},
    {PATCH,  V1 "/conversations/{uuid}/callbacks/{uuid}", AUTH | BODY | FORM | ADMIN | ROOM, DIALECT_CONV, callbacks_enable},
    {DELETE, V1 "/conversations/{uuid}/callbacks/{uuid}", AUTH | ADMIN | ROOM, DIALECT_CONV, callbacks_delete},
    {GET,    V1 "/conversations/{uuid}/callbacks/{uuid}/deliveries", AUTH | READ | ROOM, DIALECT_CONV, callbacks_deliveries},
    {POST,   V1 "/conversations/{uuid}/callbacks/{uuid}/redeliver", AUTH | ADMIN | ROOM, DIALECT_CONV, callbacks_redeliver},
    {GET,    V1 "/events",                    AUTH | READ | NARROWS,               DIALECT_CONV, events_list},
    {GET,    V1 "/consumers",                 AUTH | READ,                         DIALECT_CONV, consumers_list},
    {POST,   V1 "/consumers/{name}/ack",      AUTH | BODY | FORM | READ,           DIALECT_CONV, consumers_ack},
    {DELETE, V1 "/consumers/{name}",          AUTH | READ,                         DIALECT_CONV, consumers_delete},
    {GET,    V1 "/contacts",                  AUTH | READ,                         DIALECT_CONV, contacts_list},
    {POST,   V1 "/contacts/invite",           AUTH | BODY | FORM | ADMIN,          DIALECT_CONV, contacts_invite},
    {POST,   V1 "/contacts/{uuid}/accept",    AUTH | ADMIN,                        DIALECT_CONV, contacts_accept},
    {POST,   V1 "/contacts/{uuid}/reject",    AUTH | ADMIN,                        DIALECT_CONV, contacts_reject},
    {DELETE, V1 "/contacts/{uuid}",           AUTH | ADMIN,                        DIALECT_CONV, contacts_remove},

    /* ---- incoming webhooks; the address of the last one is a secret (see request_logged_path()) */
    {POST,   V1 "/conversations/{uuid}/webhooks",               AUTH | BODY | FORM | ADMIN | ROOM, DIALECT_CONV, webhooks_create},
    {GET,    V1 "/conversations/{uuid}/webhooks",               AUTH | READ | ROOM,                DIALECT_CONV, webhooks_list},
    {POST,   V1 "/conversations/{uuid}/webhooks/{uuid}/rotate", AUTH | ADMIN | ROOM,               DIALECT_CONV, webhooks_rotate},
    {DELETE, V1 "/conversations/{uuid}/webhooks/{uuid}",        AUTH | ADMIN | ROOM,               DIALECT_CONV, webhooks_delete},
    {POST,   "/hooks/{name}",                                   0,                                 DIALECT_CONV, webhooks_post},

    /* ---- rooms */
    {POST,   "/v1/auth/register",                BODY,                       DIALECT_ROOMS, rooms_register},
    {POST,   "/v1/auth/login",                   BODY,                       DIALECT_ROOMS, rooms_login},
    {GET,    "/v1/auth/me",                      AUTH | READ | NARROWS,      DIALECT_ROOMS, rooms_me},
    {POST,   "/v1/contacts/invite",              AUTH | BODY | ADMIN,        DIALECT_ROOMS, rooms_invite},
    {POST,   "/v1/contacts/{int}/accept",        AUTH | ADMIN,               DIALECT_ROOMS, rooms_accept},
    {POST,   "/v1/contacts/{int}/reject",        AUTH | ADMIN,               DIALECT_ROOMS, contacts_reject},
    {GET,    "/v1/contacts",                     AUTH | READ,                DIALECT_ROOMS, rooms_contacts},
    {GET,    "/v1/contacts/check/{name}",        AUTH | READ,                DIALECT_ROOMS, rooms_check_contact},
    {DELETE, "/v1/contacts/{int}",               AUTH | ADMIN,               DIALECT_ROOMS, contacts_remove},
    {POST,   "/v1/rooms",                        AUTH | BODY | ADMIN,        DIALECT_ROOMS, rooms_create},
    {GET,    "/v1/rooms",                        AUTH | READ,                DIALECT_ROOMS, rooms_list},
    {GET,    "/v1/rooms/{int}",                  AUTH | READ | ROOM,         DIALECT_ROOMS, rooms_get},
    {DELETE, "/v1/rooms/{int}",                  AUTH | ADMIN | ROOM,        DIALECT_ROOMS, conv_delete},
    {POST,   "/v1/rooms/{int}/members",          AUTH | BODY | ADMIN | ROOM, DIALECT_ROOMS, rooms_add},
    {DELETE, "/v1/rooms/{int}/members/{name}",   AUTH | ADMIN | ROOM,        DIALECT_ROOMS, rooms_remove},
    {POST,   "/v1/rooms/{int}/leave",            AUTH | ADMIN | ROOM,        DIALECT_ROOMS, conv_leave},
    {GET,    "/v1/messages/rooms/{int}/history", AUTH | READ | ROOM,         DIALECT_ROOMS, rooms_history},

    /* ---- p2p */
    {POST, "/v1/users/register",         BODY,                            DIALECT_P2P, p2p_register},
    {POST, "/v1/users/login",            BODY,                            DIALECT_P2P, p2p_login},
    {GET,  "/v1/users",                  AUTH | READ,                     DIALECT_P2P, p2p_users},
    {GET,  "/v1/users/with-chat-info",   AUTH | READ,                     DIALECT_P2P, p2p_users_with_chat},
    {GET,  "/v1/users/{int}",            AUTH | READ,                     DIALECT_P2P, p2p_user},
    {POST, "/v1/messages/p2p/{int}",     AUTH_TOKEN | BODY | SEND,        DIALECT_P2P, p2p_send},
    {GET,  "/v1/messages/history/{int}", AUTH | READ,                     DIALECT_P2P, p2p_history},
    {GET,  "/v1/chats",                  AUTH | READ,                     DIALECT_P2P, p2p_chats},
    {GET,  "/v1/groups",                 AUTH | READ,                     DIALECT_P2P, p2p_groups},
    {POST, "/v1/groups",                 AUTH | BODY | ADMIN,             DIALECT_P2P, p2p_create_group},
    {GET,  "/v1/groups/{int}/members",   AUTH | READ | ROOM,              DIALECT_P2P, p2p_members},
    {POST, "/v1/groups/{int}/members",   AUTH | BODY | ADMIN | ROOM,      DIALECT_P2P, p2p_add_member},
    {POST, "/v1/messages/group/{int}",   AUTH_TOKEN | BODY | SEND | ROOM, DIALECT_P2P, p2p_send_to_group},
    {GET,  "/v1/groups/{int}/messages",  AUTH | READ | ROOM,              DIALECT_P2P, p2p_group_history},

    /* ---- groups */
    {POST,   "/api/auth/register",                 BODY,                            DIALECT_GROUPS, groups_register},
    {POST,   "/api/auth/login",                    BODY,                            DIALECT_GROUPS, groups_login},
    {POST,   "/api/auth/refresh",                  BODY,                            DIALECT_GROUPS, groups_refresh},
    {POST,   "/api/auth/logout",                   AUTH,                            DIALECT_GROUPS, auth_logout},
    {GET,    "/api/conversations",                 AUTH | READ,                     DIALECT_GROUPS, groups_conversations},
    {POST,   "/api/conversations",                 AUTH | BODY | ADMIN,             DIALECT_GROUPS, groups_open},
    {GET,    "/api/conversations/{uuid}",          AUTH | READ | ROOM,              DIALECT_GROUPS, groups_conversation},
    {GET,    "/api/conversations/{uuid}/messages", AUTH | READ | ROOM,              DIALECT_GROUPS, groups_direct_history},
    {POST,   "/api/conversations/{uuid}/messages", AUTH_TOKEN | BODY | SEND | ROOM, DIALECT_GROUPS, groups_direct_send},
    {GET,    "/api/groups",                        AUTH | READ,                     DIALECT_GROUPS, groups_list},
    {POST,   "/api/groups",                        AUTH | BODY | ADMIN,             DIALECT_GROUPS, groups_create},
    {GET,    "/api/groups/{uuid}",                 AUTH | READ | ROOM,              DIALECT_GROUPS, groups_get},
    {POST,   "/api/groups/{uuid}/members",         AUTH | BODY | ADMIN | ROOM,      DIALECT_GROUPS, groups_add},
    {DELETE, "/api/groups/{uuid}/members/{uuid}",  AUTH | ADMIN | ROOM,             DIALECT_GROUPS, groups_remove},
    {GET,    "/api/groups/{uuid}/messages",        AUTH | READ | ROOM,              DIALECT_GROUPS, groups_history},
    {POST,   "/api/groups/{uuid}/messages",        AUTH_TOKEN | BODY | SEND | ROOM, DIALECT_GROUPS, groups_send},
};
/* clang-format on */

const struct route *routes(int *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}
