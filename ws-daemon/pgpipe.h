/* A PostgreSQL connection that never waits: libpq in pipeline mode on the libev loop. It connects by
 * itself, with backoff and jitter, and connects again when it is lost. */
#ifndef PARLEY_PGPIPE_H
#define PARLEY_PGPIPE_H

#include "shared/config.h"
#include "shared/error.h"
#include "shared/query.h"

#include <ev.h>
#include <stdbool.h>

enum { PGPIPE_UNIT = 64 }; /* queries of a unit at most */

struct pgpipe;

/* A unit's end. OK: every query ran and the unit is committed; results[0..count) are its results,
 * borrowed for the call. ERR_UNAVAILABLE: the connection was lost or the database is in trouble, the
 * unit may or may not have been committed. ERR_INTERNAL: a query failed, nothing was committed;
 * constraint names the unique index that refused, else "". */
typedef void pgpipe_done(void *arg, enum error e, PGresult **results, int count, const char *constraint);

/* What a pipe tells its owner; either may be NULL. */
struct pgpipe_owner {
    void (*up)(void *arg);                            /* connected, statements prepared */
    void (*down)(void *arg);                          /* lost; every unit has been answered */
    void (*notified)(void *arg, const char *payload); /* NOTIFY on a channel it listens to */
    void *arg;
};

/* Starts connecting at once. Borrows loop, config, url (a libpq conninfo or URI) and name, which the
 * log shows. */
struct pgpipe *pgpipe_new(struct ev_loop *loop, const struct config *config, const char *url, const char *name,
                          struct pgpipe_owner owner);
/* Closes; the units under way get ERR_UNAVAILABLE, the owner is not told. NULL is fine. */
void pgpipe_free(struct pgpipe *p);

/* How many units wait for their end. */
int pgpipe_backlog(const struct pgpipe *p);

/* Can units be submitted? */
bool pgpipe_is_up(const struct pgpipe *p);

/* Sends queries as one unit: one transaction, committed together. done is called once, later, unless
 * the answer is ERR_UNAVAILABLE: then it is not called; NULL: what becomes of it is nobody's business.
 * The queries' texts are copied. */
MUSTCHECK enum error pgpipe_submit(struct pgpipe *p, const struct query *queries, int count, pgpipe_done *done,
                                   void *arg);

/* The database is known to be back: connects now if it was waiting to. */
void pgpipe_hurry(struct pgpipe *p);

/* Gives the connection up, as when the server had closed it; it connects anew. */
void pgpipe_reset(struct pgpipe *p, const char *reason);

#endif
