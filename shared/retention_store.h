/* Forgetting by age, in steps: messages (db/0012_retention.sql has the rules), and what is done with
 * (db/0016_years.sql). */
#ifndef PARLEY_RETENTION_STORE_H
#define PARLEY_RETENTION_STORE_H

#include "shared/db.h"

/* What a step did. */
struct purge {
    int64_t conversation; /* 0: none had anything to delete */
    int64_t messages;     /* deleted */
    int64_t wait_ms;      /* no step before this makes sense */
};

/* One step of the walk that all couriers do together; it takes milliseconds. default_days: how long
 * messages are kept where a conversation has no rule of its own, 0: for ever. */
MUSTCHECK enum error messages_purge(struct db *db, int64_t default_days, struct purge *out);

/* One step: at most PURGE_BATCH rows that nobody needs any more. *gone: how many there were; so many means that
 * there may be more. audit_purge() forgets what is older than so many days, at least 1. */
enum { PURGE_BATCH = 5000 };
MUSTCHECK enum error mail_purge(struct db *db, int64_t *gone);
MUSTCHECK enum error callbacks_purge(struct db *db, int64_t *gone);
MUSTCHECK enum error audit_purge(struct db *db, int64_t days, int64_t *gone);

#endif
