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
handler rooms_register, rooms_login, rooms_me;

/* ---- mail.c ---- */
handler mail_verify, mail_forgot_password, mail_reset_password;

/* ---- users.c ---- */
handler users_me, users_find, users_get;

/* ---- dm.c ---- */
handler dm_send, dm_history, dm_conversations;

/* ---- conv.c ---- */
handler conv_create, conv_list, conv_get, conv_rename, conv_delete, conv_add, conv_remove, conv_leave;

/* ---- messages.c ---- */
handler messages_send, messages_history, messages_edit, messages_delete, messages_deliveries, messages_read,
    messages_read_all;

/* ---- contacts.c ---- */
handler contacts_invite, contacts_list, contacts_accept, contacts_reject, contacts_remove;

/* ---- rooms_contacts.c ---- */
handler rooms_invite, rooms_accept, rooms_contacts, rooms_check_contact;

/* ---- rooms.c ---- */
handler rooms_create, rooms_list, rooms_get, rooms_add, rooms_remove, rooms_history;

#endif
