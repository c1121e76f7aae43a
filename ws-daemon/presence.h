/* Who is online, across daemons. A user is online from the first socket anywhere to the last; changes
 * are collected and written set by set, so a storm of reconnects is a few statements. */
#ifndef PARLEY_PRESENCE_H
#define PARLEY_PRESENCE_H

#include "ws-daemon/conn.h"

struct daemon;
struct presence;

struct presence *presence_new(struct daemon *d);
void presence_free(struct presence *p);

/* A socket was admitted, or is gone. The last one of a user going down counts once it has stayed so
 * for the debounce time. */
void presence_socket_up(struct conn *c);
void presence_socket_down(struct conn *c);

/* The database is back, perhaps after a crash that left nobody registered: find out soon. */
void presence_hurry(struct daemon *d);

/* The daemon ends: its users are down, unless they are elsewhere once the debounce time is over.
 * presence_has_left() tells when that is written, or cannot be. */
void presence_leave(struct daemon *d);
bool presence_has_left(const struct daemon *d);

#endif
