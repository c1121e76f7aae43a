/* Who is connected here, and who is in which conversation: where a frame has to go. Knows people,
 * conversations and sockets, and nothing of what dialects say to them. */
#ifndef PARLEY_HUB_H
#define PARLEY_HUB_H

#include "ws-daemon/conn.h"

#include <stdbool.h>
#include <stdint.h>

struct hub;

struct hub *hub_new(void);
void hub_free(struct hub *h); /* sockets are not the hub's */

/* An authenticated socket joins its user's. ERR_TOO_MANY_SOCKETS beyond most. */
MUSTCHECK enum error hub_join(struct hub *h, struct conn *c, int most);
void hub_leave(struct hub *h, struct conn *c); /* fine for one that never joined */

/* The first socket of a user (follow user_next), NULL when none is connected here. */
struct conn *hub_user(const struct hub *h, int64_t user_id);

/* ---- members of groups, cached while there is traffic ---- */

bool hub_knows(const struct hub *h, int64_t conversation_id);
/* Empties the cache when it has grown past its bound. Not in the middle of a batch, which counts on
 * what is known. */
void hub_trim(struct hub *h);
/* Take in a group's members, any order, no duplicates. */
void hub_learn(struct hub *h, int64_t conversation_id, const int64_t *users, int count);
/* A membership that changed; groups not known stay so. */
void hub_member_added(struct hub *h, int64_t conversation_id, int64_t user_id);
void hub_member_removed(struct hub *h, int64_t conversation_id, int64_t user_id);
void hub_forget(struct hub *h, int64_t conversation_id);
/* The members, borrowed until the next call that changes them. *count 0 for an unknown group. */
const int64_t *hub_members(const struct hub *h, int64_t conversation_id, int *count);

#endif
