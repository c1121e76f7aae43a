/* Who a token makes of its bearer, told without a query: a JWT by its signature, a script's token because
 * all of them are kept in memory, by their hashes. They are loaded with the revoked sessions and kept up by
 * the feed, so a new one is known here within milliseconds, at worst a second, of being made. */
#ifndef PARLEY_DAEMON_TOKENS_H
#define PARLEY_DAEMON_TOKENS_H

#include "shared/error.h"
#include "shared/token.h"

#include <libpq-fe.h>

struct daemon;
struct tokens;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *t);

/* What a token says, whichever kind it is, and whether it still stands: ERR_UNAUTHORIZED, ERR_DISABLED.
 * ERR_INSUFFICIENT_SCOPE: it is good, but not for this; limited: one of a single conversation will do. */
MUSTCHECK enum error tokens_check(struct daemon *d, const char *text, enum scope scope, bool limited,
                                  struct identity *out);

/* All of them, anew. */
void tokens_loaded(struct tokens *t, const PGresult *res);
/* A token was made: it is asked for, through the feed's connection. */
void tokens_made(struct daemon *d, int64_t token);
/* A session has ended, which may be a token's. */
void tokens_ended(struct tokens *t, int64_t session_id);
/* Once a second; now: a steady time. Forgets those that have been revoked or have expired. */
void tokens_forget(struct daemon *d, double now);
/* For tests: how many are kept. */
int tokens_count(const struct tokens *t);

#endif
