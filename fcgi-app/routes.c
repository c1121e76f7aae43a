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
 * dialect   the surface: rules of registration, and the `dialect` of the tokens issued here
 * handler   see handlers.h */
#include "fcgi-app/handlers.h"
#include "fcgi-app/router.h"

#define V1 "/api/v1"

static const struct route table[] = {
    /* ---- accounts and sessions */
    {POST, V1 "/auth/register",              BODY | FORM,              DIALECT_CONV, auth_register},
    {POST, V1 "/auth/login",                 BODY | FORM,              DIALECT_CONV, auth_login},
    {POST, V1 "/auth/refresh",               BODY | FORM,              DIALECT_CONV, auth_refresh},
    {POST, V1 "/auth/logout",                AUTH,                     DIALECT_CONV, auth_logout},
    {GET,  V1 "/auth/verify",                0,                        DIALECT_CONV, mail_verify},
    {POST, V1 "/auth/verify",                0,                        DIALECT_CONV, mail_verify},
    {POST, V1 "/auth/password/forgot",       BODY | FORM,              DIALECT_CONV, mail_forgot_password},
    {POST, V1 "/auth/password/reset",        BODY | FORM,              DIALECT_CONV, mail_reset_password},
    {GET,  V1 "/users/me",                   AUTH,                     DIALECT_CONV, users_me},

    /* ---- dm */
    {POST, V1 "/messages/dm",                AUTH_TOKEN | BODY | FORM, DIALECT_DM,   dm_send},
    {GET,  V1 "/messages/dm/{uuid}",         AUTH,                     DIALECT_DM,   dm_history},
    {GET,  V1 "/messages/conversations",     AUTH,                     DIALECT_DM,   dm_conversations},
};

const struct route *routes(int *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}
