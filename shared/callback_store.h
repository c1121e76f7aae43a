/* Callbacks: URLs to which what happens in a group is posted; db/0010_callbacks.sql has the rules. */
#ifndef PARLEY_CALLBACK_STORE_H
#define PARLEY_CALLBACK_STORE_H

#include "shared/db.h"
#include "shared/model.h"
#include "shared/store.h"

enum { CALLBACK_SECRET = 32, CALLBACKS_MOST = 10, CALLBACK_URL_MOST = 2048 };

struct callback {
    int64_t id;
    const char *url;
    bool enabled;
    const char *disabled_reason;       /* why the courier disabled it; NULL: it did not */
    int64_t failing_since, created_at; /* TIME_NONE: it is not failing */
    int64_t pending, dead;             /* deliveries */
};

struct callback_delivery {
    int64_t id, attempts, last_status; /* of the last answer; 0: none came */
    const char *kind, *state, *error;  /* kind: of the event; error NULL: none */
    int64_t created_at, next_attempt_at, finished_at;
};

/* ---- for the group's owner ----
 * ERR_CONVERSATION_NOT_FOUND, ERR_NOT_MEMBER, ERR_SYSTEM_ROOM for a direct one, ERR_NOT_OWNER; where one
 * is named ERR_CALLBACK_NOT_FOUND. */

/* Which callback of which conversation, and who asks. */
struct callback_ref {
    const struct ref *conversation, *callback; /* callback NULL: all, or a new one */
    int64_t me;
    struct caller from; /* for the audit log, which gets a line of each change */
};

/* ERR_TOO_MANY_CALLBACKS. */
MUSTCHECK enum error callback_create(struct db *db, struct arena *a, const struct callback_ref *at, const char *url,
                                     const unsigned char secret[CALLBACK_SECRET], struct callback *out);
MUSTCHECK enum error callback_list(struct db *db, struct arena *a, const struct callback_ref *at, struct callback **out,
                                   int *count);
MUSTCHECK enum error callback_enable(struct db *db, struct arena *a, const struct callback_ref *at, bool enabled,
                                     struct callback *out);
MUSTCHECK enum error callback_delete(struct db *db, const struct callback_ref *at);
/* Newest first; state NULL: of any. */
MUSTCHECK enum error callback_deliveries(struct db *db, struct arena *a, const struct callback_ref *at,
                                         const char *state, int64_t limit, int64_t offset,
                                         struct callback_delivery **out, int *count);
/* All that are dead are to be tried again; how many. ERR_CALLBACK_DISABLED. */
MUSTCHECK enum error callback_redeliver(struct db *db, const struct callback_ref *at, int64_t *count);

/* ---- the courier ---- */

/* A delivery to make now. */
struct callback_post {
    int64_t id, attempt, created_at, callback_id; /* attempt: from 1; tells this claim from later ones */
    const char *url;
    struct text secret; /* CALLBACK_SECRET bytes */
    bool moot;          /* there is nothing to tell any more */
    struct change change;
};

/* Looks for what happened since the last call, at most `most` changes at once; *looked: how many there
 * were. */
MUSTCHECK enum error callbacks_plan(struct db *db, int64_t most, int64_t *looked);

/* Claims what is due longest for lease seconds; id 0: nothing is, of callbacks nobody is at. */
MUSTCHECK enum error callback_claim(struct db *db, struct arena *a, int64_t lease, struct callback_post *out);

/* How an attempt ended. */
struct callback_result {
    const char *state;          /* delivered, dropped, pending (it failed) or refused (and for good) */
    int64_t status;             /* the answer's; 0: none came */
    const char *error;          /* NULL: none */
    int64_t delay_ms, pause_ms; /* until the next attempt; until the callback's other deliveries go on */
};

/* *state: what the delivery is now; NULL: it is another courier's. *disabled: so was its callback. */
MUSTCHECK enum error callback_finish(struct db *db, struct arena *a, const struct callback_post *post,
                                     const struct callback_result *result, const char **state, bool *disabled);

/* How many deliveries are owed, and how many dead letters there are, of callbacks that are enabled. */
MUSTCHECK enum error callbacks_queue(struct db *db, int64_t *pending, int64_t *dead);

#endif
