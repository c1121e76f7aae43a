/* The dialects' views: model in, JSON out. No SQL, no HTTP, no sockets.
 * Each function returns a new json_object the caller owns. One file per dialect. */
#ifndef PARLEY_VIEW_H
#define PARLEY_VIEW_H

#include "shared/model.h"
#include "shared/token.h"

#include <stdbool.h>

struct json_object;

/* What a registration or login hands out. */
struct credentials {
    const char *access_token;
    const char *refresh_token; /* NULL: the surface has none */
    int expires_in;            /* seconds the access token lives */
};

/* ---- pieces the views share ---- */

struct json_object *view_text(const char *s); /* null for NULL */
struct json_object *view_content(struct text t);
struct json_object *view_time(int64_t us); /* null for TIME_NONE */
struct json_object *view_uuid(int64_t id, int64_t created_us);

/* RFC 9457 problem details with the members older clients read: the body of every HTTP error. */
struct json_object *view_problem(enum error e, const char *sentence);

/* ---- dm, and what /api/v1 shares with it ---- */

struct json_object *view_dm_user(const struct user *u);
/* The user's members plus `user` and `tokens`: one answer for dm and conv. */
struct json_object *view_dm_registered(const struct user *u, const struct credentials *c);
struct json_object *view_dm_login(const struct user *u, const struct credentials *c);
struct json_object *view_dm_refreshed(const struct credentials *c);
struct json_object *view_dm_message(const struct message *m); /* REST, and the bare frame: six fields */
/* One line of the conversation list: the other person and the last message. */
struct json_object *view_dm_conversation(const struct user *peer, const struct message *last);

#endif
