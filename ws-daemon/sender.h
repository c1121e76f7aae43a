/* Messages that arrive over sockets: written many per transaction. The echo is not made here: what
 * was committed comes back through the feed, like everybody's. */
#ifndef PARLEY_SENDER_H
#define PARLEY_SENDER_H

#include "shared/error.h"
#include "ws-daemon/conn.h"

struct daemon;
struct new_message;
struct sender;

struct sender *sender_new(struct daemon *d);
void sender_free(struct sender *s);

/* Takes a message of c to be stored; everything in *m is copied. Errors that come later are answered
 * to the socket; so is what the feed will not bring to it: a message its client_key had stored before, and
 * one of a room it is not subscribed to.
 * ERR_UNAVAILABLE: the database is away, or too much waits for it already. */
MUSTCHECK enum error sender_submit(struct conn *c, const struct new_message *m);

/* The database is known to be back. */
void sender_hurry(struct sender *s);

/* How many messages wait or are under way. */
int sender_backlog(const struct sender *s);

#endif
