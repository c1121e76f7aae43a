/* Tokens for scripts: opaque secrets of which the database keeps the hash. To everything that knows
 * sessions each is a session; see db/0008_tokens.sql. */
#ifndef PARLEY_TOKEN_STORE_H
#define PARLEY_TOKEN_STORE_H

#include "shared/store.h"

#define SCRIPT_TOKEN_PREFIX "parley_"
enum {
    SCRIPT_TOKEN_TEXT = sizeof SCRIPT_TOKEN_PREFIX - 1 + SECRET_TEXT,
    SCRIPT_TOKENS_MOST = 100,       /* of a user */
    SCRIPT_TOKEN_NOTE_US = 60000000 /* how exact the last use is */
};

/* Has this the form of one? Then it is no JWT. */
bool script_token_is(const char *text);
void script_token_make(char out[SCRIPT_TOKEN_TEXT]);

/* A token that is to be made. */
struct new_token {
    struct text label;
    unsigned scopes;
    const struct ref *conversation; /* NULL: not limited to one */
    int64_t lifetime;               /* seconds; 0: for ever */
    const char *user_agent;
    const struct caller *from;
};

/* me without a session: an administrator makes it for that user, who has to be enabled (ERR_USER_NOT_FOUND).
 * ERR_TOO_MANY_TOKENS, ERR_CONVERSATION_NOT_FOUND, ERR_NOT_MEMBER, ERR_UNAUTHORIZED. */
MUSTCHECK enum error token_create(struct db *db, struct arena *a, const struct identity *me, const char *secret,
                                  const struct new_token *t, struct token_info *out);
MUSTCHECK enum error token_list(struct db *db, struct arena *a, const struct identity *me, int64_t limit,
                                int64_t offset, struct token_info **out, int *count);
/* Ends one of the caller's tokens (ERR_NOT_FOUND), or with NULL all of them. */
MUSTCHECK enum error token_revoke(struct db *db, const struct identity *me, const struct ref *token,
                                  const struct caller *from, int64_t *ended);

/* Whose a secret is. ERR_UNAUTHORIZED when nobody's, revoked or expired; whether it still stands has to be
 * asked with each use, as of any session. */
MUSTCHECK enum error token_find(struct db *db, const char *secret, struct identity *out);

/* Notes the use of a token; call it once in SCRIPT_TOKEN_NOTE_US. */
void token_used_query(struct query *q, int64_t token);

/* Is the message of the conversation? ERR_INSUFFICIENT_SCOPE when not. */
MUSTCHECK enum error token_message(struct db *db, const struct ref *message, int64_t conversation_id);

/* For the daemon, which knows all tokens by heart: all of them (token 0) or one. */
void token_identities_query(struct query *q, int64_t token);
struct token_identity {
    unsigned char hash[SECRET_HASH];
    struct identity who;
    bool revoked;
};
void token_identity_read(struct row *r, struct token_identity *out);

#endif
