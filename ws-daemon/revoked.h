/* Tokens that still look good and are not: revoked sessions and disabled users, kept in memory so
 * that a handshake needs no query. Loaded from the database, then kept up by the feed. */
#ifndef PARLEY_REVOKED_H
#define PARLEY_REVOKED_H

#include "shared/config.h"
#include "shared/error.h"
#include "shared/token.h"

struct daemon;
struct revoked;

/* Sessions are forgotten once the longest-lived access token of config has expired. */
struct revoked *revoked_new(const struct config *config);
void revoked_free(struct revoked *r);

void revoked_add_session(struct revoked *r, int64_t session_id);
void revoked_add_user(struct revoked *r, int64_t user_id);
void revoked_remove_user(struct revoked *r, int64_t user_id); /* enabled again */

/* Forgets the sessions whose tokens have expired by now, a steady time (time_seconds()). */
void revoked_forget(struct revoked *r, double now);
/* For tests: sessions and users. */
int revoked_count(const struct revoked *r);

/* ERR_UNAUTHORIZED for a revoked session, ERR_DISABLED for a disabled user. */
MUSTCHECK enum error revoked_check(const struct revoked *r, const struct identity *who);

/* Loads the set, and the scripts' tokens (tokens.h), anew through the feed's connection, so that it fits the
 * feed's position; then calls done(d) unless the connection was lost. */
void revoked_load(struct daemon *d, void (*done)(struct daemon *d));

#endif
