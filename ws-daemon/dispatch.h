/* From the feed to the sockets: who gets which change, rendered once per dialect. */
#ifndef PARLEY_DISPATCH_H
#define PARLEY_DISPATCH_H

#include "ws-daemon/feed.h"

struct daemon;

/* The feed's owner for this daemon: dispatches batches, and opens the doors once the feed stands. */
struct feed_owner dispatch_owner(struct daemon *d);

#endif
