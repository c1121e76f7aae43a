/* Every handler of the route table. The router has matched the path and kept the guards; a handler
 * reads its fields, calls one store function and shows the result through its dialect's view.
 * Each returns OK with *out filled in, or the error to show. */
#ifndef PARLEY_HANDLERS_H
#define PARLEY_HANDLERS_H

#include "fcgi-app/reply.h"
#include "fcgi-app/request.h"

typedef enum error handler(struct request *req, struct reply *out);

/* ---- auth.c ---- */
handler auth_register, auth_login, auth_refresh, auth_logout;

/* ---- mail.c ---- */
handler mail_verify, mail_forgot_password, mail_reset_password;

/* ---- users.c ---- */
handler users_me;

/* ---- dm.c ---- */
handler dm_send, dm_history, dm_conversations;

#endif
