/* The dialects' views: model in, JSON out. No SQL, no HTTP, no sockets.
 * Each function returns a new json_object the caller owns. One file per dialect. */
#ifndef PARLEY_VIEW_H
#define PARLEY_VIEW_H

#include "shared/arena.h"
#include "shared/model.h"
#include "shared/token.h"

#include <stdbool.h>
#include <stdio.h>

struct json_object;

/* What a registration or login hands out. */
struct credentials {
    const char *access_token;
    const char *refresh_token; /* NULL: the surface has none */
    int expires_in;            /* seconds the access token lives */
};

/* ---- pieces the views share ---- */

struct json_object *view_text(const char *s);    /* null for NULL */
struct json_object *view_content(struct text t); /* "" for none: clients of text never saw null */
struct json_object *view_time(int64_t us);       /* null for TIME_NONE */
struct json_object *view_uuid(int64_t id, int64_t created_us);

/* RFC 9457 problem details with the members older clients read: the body of every HTTP error. */
struct json_object *view_problem(enum error e, const char *sentence);
/* The header WWW-Authenticate that goes with it (RFC 6750); "": none. */
const char *view_challenge(enum error e);

/* ---- dm, and what /api/v1 shares with it ---- */

struct json_object *view_dm_user(const struct user *u);
/* The user's members plus `user` and `tokens`: one answer for dm and conv. */
struct json_object *view_dm_registered(const struct user *u, const struct credentials *c);
struct json_object *view_dm_login(const struct user *u, const struct credentials *c);
struct json_object *view_dm_refreshed(const struct credentials *c);
struct json_object *view_dm_message(const struct message *m); /* REST, and the bare frame: six fields */
/* One line of the conversation list: the other person and the last message. */
struct json_object *view_dm_conversation(const struct user *peer, const struct message *last);

/* ---- conv (view_conv.c): UUIDs, envelopes on REST, {type, data} on sockets ---- */

struct json_object *view_conv_message(const struct message *m); /* body and content, conversation_id, … */
struct json_object *view_conv_conversation(const struct conversation *c);
struct json_object *view_conv_delivery(const struct delivery *d);
struct json_object *view_conv_contact(const struct contact *c);
struct json_object *view_conv_invitation(const struct invitation *i);
struct json_object *view_conv_user(const struct user *u); /* another user: no email */
struct json_object *view_conv_session(const struct session_info *s);
struct json_object *view_webhook(const struct webhook *w);  /* without its address */
struct json_object *view_token(const struct token_info *t); /* without its secret */
struct json_object *view_conv_frame(const char *type, struct json_object *take_data);

/* ---- what happened (view_event.c): the conv socket's frames, and their like on REST ---- */

/* {type, data}; NULL for a change that nobody is shown. Also for new messages. */
struct json_object *view_conv_event(const struct change *c);
/* An event of GET /api/v1/events: the frame's members, when it happened, and the cursor behind it. */
struct json_object *view_event(const struct change *c, const char *cursor);
struct json_object *view_consumer(const char *name, const char *cursor, int64_t created_at, int64_t acknowledged_at);

/* Appends to *kinds, the text of an array's elements, those of a type ("delivery_ack": delivered and
 * read); of NULL all there are. False for an unknown type. */
bool view_event_kinds(struct arena *a, const char *type, const char **kinds);

/* ---- callbacks (view_callback.c) ---- */

struct callback;
struct callback_delivery;
struct callback_post;
struct json_object *view_callback(const struct callback *c);
struct json_object *view_callback_delivery(const struct callback_delivery *d);
struct json_object *
view_callback_body(const struct callback_post *p); /* what is posted: {id, type, data, created_at} */

/* ---- lines of text (view_lines.c), for people and for shells: fields between tabs, none of them empty,
 * "-" in the place of what is not there ---- */

#define VIEW_LINES_TYPE "text/plain; charset=utf-8"

/* A line each: time, conversation, message, who, text, media_url. The caller frees it. */
char *view_message_lines(const struct message *list, int count);
/* cursor, type, and then the same; of what is no message, text is the status or who did it. */
void view_event_line(FILE *out, const struct change *c, const char *cursor);

/* ---- p2p (view_p2p.c): integers ---- */

/* status: SENT, PENDING or DELIVERED. The REST answer has `message` ("Message sent successfully") too. */
struct json_object *view_p2p_message(const struct message *m, const char *status);
struct json_object *view_p2p_sent(const struct message *m, const char *status);
struct json_object *view_p2p_user(const struct user *u, bool own); /* email only when own */
struct json_object *view_p2p_user_with_chat(const struct user *u, bool own, const struct message *last);
struct json_object *view_p2p_registered(const struct user *u, const struct credentials *c);
struct json_object *view_p2p_login(const struct user *u, const struct credentials *c);
struct json_object *view_p2p_group(const struct conversation *c);
struct json_object *view_p2p_member(const struct participant *p);
struct json_object *view_p2p_welcome(const char *username); /* the socket's first frame */

/* ---- rooms (view_rooms.c): integers ---- */

struct json_object *view_rooms_user(const struct user *u);
struct json_object *view_rooms_login(const struct credentials *c);
struct json_object *view_rooms_invitation(const struct invitation *i);
struct json_object *view_rooms_contact(const struct contact *c);
struct json_object *view_rooms_room(const struct conversation *c); /* direct: is_system, name and owner null */
struct json_object *view_rooms_message(const struct message *m);

/* ---- groups (view_groups.c): UUIDs, envelopes ---- */

struct json_object *view_groups_registered(const struct user *u, const struct credentials *c);
struct json_object *view_groups_login(const struct user *u, const struct credentials *c);
struct json_object *view_groups_conversation(const struct conversation *c); /* direct */
struct json_object *view_groups_group(const struct conversation *c);
struct json_object *view_groups_message(const struct message *m); /* REST: conversation_id or group_id */
struct json_object *view_groups_frame(const struct message *m);   /* {type:"message", data:{both ids}} */

/* A list in an envelope: {"name": [...]}, made by calling item on each. NULL name: a bare array. */
struct json_object *view_list(const char *name, int count, struct json_object *(*item)(const void *list, int i),
                              const void *list);

#endif
