/* The WebSocket side (RFC 6455) on libwebsockets: listening, handshakes, frames in and out. */
#ifndef PARLEY_SERVER_H
#define PARLEY_SERVER_H

#include "shared/error.h"

#include <stdbool.h>

struct conn;
struct daemon;
struct input;

/* Makes the context, which has nothing to do yet. False after logging why not. */
MUSTCHECK bool server_new(struct daemon *d);

/* What has to stand before the first socket is let in. */
enum server_part { PART_FEED = 1, PART_QUERIES = 2, PART_SENDER = 4, PART_EVENTS = 8, PARTS_ALL = 15 };

/* A part stands, maybe not for the first time. The last of them lets sockets in. */
void server_ready(struct daemon *d, enum server_part part);

/* An authenticated socket joins the hub, catches up and goes live. */
void server_admit(struct conn *c);

/* Takes the identity of the frame's `token`, the first or a fresher one of the same user: the socket lives
 * as long as that. ERR_UNAUTHORIZED, ERR_DISABLED; ERR_MISSING_FIELD, ERR_INVALID_FIELD. */
MUSTCHECK enum error server_authenticate(struct conn *c, struct input *in);

/* Once a second: pings sockets that are silent, drops those that stay so, closes those whose token has
 * expired or that never authenticated. (libwebsockets' own timers run late on a foreign loop.) */
void server_sweep(struct daemon *d);

/* Closes every socket with 1001, and tells each when to come back; takes no new ones. */
void server_stop(struct daemon *d);

/* Frees the context; after the loop has ended. */
void server_free(struct daemon *d);

#endif
