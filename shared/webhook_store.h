/* Incoming webhooks: secret addresses that leave messages in a group; see db/0009_webhooks.sql. */
#ifndef PARLEY_WEBHOOK_STORE_H
#define PARLEY_WEBHOOK_STORE_H

#include "shared/store.h"

enum { WEBHOOKS_MOST = 20 /* of a conversation */ };

/* Makes one, its messages from a user of this username. ERR_USERNAME_TAKEN, ERR_TOO_MANY_WEBHOOKS,
 * ERR_CONVERSATION_NOT_FOUND, ERR_NOT_MEMBER, ERR_SYSTEM_ROOM, ERR_NOT_OWNER. */
MUSTCHECK enum error webhook_create(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                                    const char *username, const char *name, const char *secret,
                                    const struct caller *from, struct webhook *out);
/* Another secret: the old one is void. Or with NULL its end. ERR_NOT_FOUND, and as above. */
MUSTCHECK enum error webhook_change(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                                    const struct ref *hook, const char *secret, const struct caller *from,
                                    struct webhook *out);
/* Those of a conversation, to its participants. */
MUSTCHECK enum error webhook_list(struct db *db, struct arena *a, const struct identity *me, const struct ref *room,
                                  struct webhook **out, int *count);
/* Leaves a message, at most rate a minute. key NULL: none. ERR_NOT_FOUND, ERR_IDEMPOTENCY_CONFLICT,
 * ERR_RATE_LIMITED with *wait in seconds. */
MUSTCHECK enum error webhook_post(struct db *db, const char *secret, const char *content, const char *key, int rate,
                                  bool *replayed, int64_t *wait);

#endif
