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
handler p2p_register, p2p_login;
handler groups_register, groups_login, groups_refresh;

/* ---- sessions.c ---- */
handler sessions_list, sessions_end, sessions_end_others, sessions_change_password;

/* ---- tokens.c ---- */
handler tokens_create, tokens_list, tokens_revoke, tokens_revoke_all;

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

/* ---- events.c ---- */
handler events_list, consumers_list, consumers_ack, consumers_delete;

/* ---- callbacks.c ---- */
handler callbacks_create, callbacks_list, callbacks_enable, callbacks_delete, callbacks_deliveries, callbacks_redeliver;

/* ---- webhooks.c ---- */
handler webhooks_create, webhooks_list, webhooks_rotate, webhooks_delete, webhooks_post;

/* ---- contacts.c ---- */
handler contacts_invite, contacts_list, contacts_accept, contacts_reject, contacts_remove;

/* ---- rooms_contacts.c ---- */
handler rooms_invite, rooms_accept, rooms_contacts, rooms_check_contact;

/* ---- rooms.c ---- */
handler rooms_create, rooms_list, rooms_get, rooms_add, rooms_remove, rooms_history;

/* ---- p2p.c ---- */
handler p2p_users, p2p_users_with_chat, p2p_user, p2p_send, p2p_send_to_group, p2p_history, p2p_group_history,
    p2p_chats;

/* ---- p2p_groups.c ---- */
handler p2p_groups, p2p_create_group, p2p_members, p2p_add_member;

/* ---- groups.c ---- */
handler groups_conversations, groups_open, groups_conversation, groups_direct_history, groups_direct_send;
handler groups_list, groups_create, groups_get, groups_add, groups_remove, groups_history, groups_send;

#endif
