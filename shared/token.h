/* Access tokens: JWT (RFC 7519), HS256, signed with the first key of the key file and verified with
 * the key their `kid` names. */
#ifndef PARLEY_TOKEN_H
#define PARLEY_TOKEN_H

#include "shared/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The published APIs. A token's `dialect` claim names the one that issued it. */
enum dialect { DIALECT_DM, DIALECT_CONV, DIALECT_P2P, DIALECT_ROOMS, DIALECT_GROUPS, DIALECTS };

const char *dialect_name(enum dialect d);
bool dialect_parse(const char *name, enum dialect *out);
/* Do this dialect's clients see integers (/v1) rather than UUIDs (/api)? */
bool dialect_integers(enum dialect d);

/* What a token is good for. A login is good for everything; a script's token (token_store.h) has some of
 * the first three, and never the last: signing in and out, passwords, tokens. */
enum scope { SCOPE_READ = 1, SCOPE_SEND = 2, SCOPE_ADMIN = 4, SCOPE_LOGIN = 8, SCOPES_ALL = 15 };

/* 0: there is none of this name. A login's has no name. */
unsigned scope_parse(const char *name, size_t len);
const char *scope_name(int i); /* of the bit 1 << i; NULL: no more */

/* Who a request or socket is: what a verified token says. */
struct identity {
    int64_t user_id;
    int64_t user_created; /* microseconds; whole milliseconds, as the UUID keeps no more */
    int64_t session_id;
    int64_t expires; /* seconds since the epoch */
    enum dialect dialect;
    unsigned scopes;
    int64_t conversation_id; /* the only one the token may touch; 0: any */
    char username[51];
};

enum { KEYS_MAX = 16 };

struct key {
    char id[33];
    unsigned char secret[64];
    int len;
};

struct keyring {
    struct key keys[KEYS_MAX];
    int count;
};

/* Reads the key file: `kid secret` a line, secret in hex (32 to 64 bytes), # comments. A missing
 * file is made with one random key and mode 0600; two programs may start at the same moment.
 * False after printing a sentence that names the file. */
bool keyring_load(struct keyring *ring, const char *path);

/* Signs a token for *who, valid for ttl seconds from now. malloc'd, the caller frees it; NULL when
 * out of memory. */
char *token_issue(const struct keyring *ring, const char *issuer, const struct identity *who, int ttl);

/* ERR_UNAUTHORIZED unless text is a token of ours: HS256, a known kid, its issuer, not expired and
 * every claim in place. Whether its session still stands only the database knows. */
MUSTCHECK enum error token_verify(const struct keyring *ring, const char *issuer, const char *text,
                                  struct identity *out);

#endif
