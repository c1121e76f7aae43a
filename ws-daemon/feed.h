/* What became visible in the database, in order, each change once: the daemon's only source of
 * messages and events, its own included.
 *
 * The position is a pg_snapshot. A poll asks for the rows whose transaction the old snapshot did not
 * see and the new one does; however transactions overlap, that is exact. NOTIFY only says when to
 * look; a look every second covers a notification that never came. */
#ifndef PARLEY_FEED_H
#define PARLEY_FEED_H

#include "shared/config.h"
#include "shared/model.h"

#include <ev.h>
#include <stdbool.h>

struct feed;

struct feed_owner {
    /* A batch, in order, valid during the call. It stands until feed_done(): then the feed goes on. */
    void (*changes)(void *arg, const struct change *changes, int count);
    /* Something another daemon said through NOTIFY, that is kept nowhere. */
    void (*said)(void *arg, const char *payload);
    /* The feed stands at the present, for the first time or again after the connection was lost. */
    void (*ready)(void *arg);
    void *arg;
};

struct feed *feed_new(struct ev_loop *loop, const struct config *config, struct feed_owner owner);
void feed_free(struct feed *f);

/* Look as soon as possible: something was committed. */
void feed_poke(struct feed *f);

/* The owner is through with the batch it was handed, and the feed's position moves behind it. */
void feed_done(struct feed *f);
/* The owner could not deal with it now: it comes again after the connection is back. */
void feed_again(struct feed *f);

/* The connection's pipe, for queries whose answer has to fit the position; and the position: the
 * snapshot whose changes have all been handed out. "" before the first. */
struct pgpipe *feed_pipe(struct feed *f);
const char *feed_position(const struct feed *f);

/* Does it stand exactly at its position: no change between it and the next has been handed out, and
 * what the position sees has been? (Not so after a crash of PostgreSQL, until it has polled again:
 * messages stored since may have transaction ids that the position took for ended.) */
bool feed_is_settled(const struct feed *f);

/* PostgreSQL may have crashed: the feed is not settled until it has polled. */
void feed_doubt(struct feed *f);

#endif
