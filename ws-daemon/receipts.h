/* Delivered and read: watermarks a socket moves forward. What that means to others comes back through
 * the feed. */
#ifndef PARLEY_RECEIPTS_H
#define PARLEY_RECEIPTS_H

#include "shared/error.h"
#include "shared/id.h"
#include "ws-daemon/conn.h"

struct daemon;
struct receipts;
struct receipts *receipts_new(struct daemon *d);
void receipts_free(struct receipts *r);

/* The socket's user has got, or read, everything up to this message of a conversation of theirs.
 * An error that comes later is answered to the socket. */
MUSTCHECK enum error receipts_mark(struct conn *c, const struct ref *message, bool read);

/* A message was written to a socket of a dialect that has no acks: counts as delivered. Collected and
 * stored a few times a second. */
void receipts_shown(struct conn *c, int64_t conversation_id, int64_t seq);

/* Is all of that stored, or is the database away? */
bool receipts_are_written(const struct daemon *d);

#endif
