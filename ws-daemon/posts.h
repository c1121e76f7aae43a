/* Messages posted from SQL (db/0011_chat_post.sql): moves them into their conversations as soon as the
 * transaction that posted them has committed. They come to the sockets as all others do, by the feed. */
#ifndef PARLEY_POSTS_H
#define PARLEY_POSTS_H

#include "ws-daemon/daemon.h"

/* What the NOTIFY of such a transaction says. */
#define POSTS_SAID "posts"

struct posts;
struct posts *posts_new(struct daemon *d);
void posts_free(struct posts *p);

/* Something was posted. */
void posts_look(struct daemon *d);

#endif
