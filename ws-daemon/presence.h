/* Who is online, across daemons. A user is online from the first socket anywhere to the last; changes
 * are collected and written set by set, so a storm of reconnects is a few statements. */
#ifndef PARLEY_PRESENCE_H
#define PARLEY_PRESENCE_H

#include "ws-daemon/conn.h"

struct daemon;
struct presence;

struct presence *presence_new(struct daemon *d);
void presence_free(struct presence *p);

/* The user's first socket on this daemon is up, or the last one down (debounced). */
void presence_up(struct daemon *d, int64_t user_id, int64_t user_created);
void presence_down(struct daemon *d, int64_t user_id, int64_t user_created);

/* Tells a new socket who of its people is online. */
void presence_greet(struct conn *c);

/* What a daemon said: users who came or went. */
void presence_said(struct daemon *d, const char *payload);

/* The daemon ends: its users are down, unless they are elsewhere. */
void presence_leave(struct daemon *d);

#endif
