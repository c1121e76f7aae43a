/* Forgetting messages by age, in steps; db/0012_retention.sql has the rules. */
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

#endif
