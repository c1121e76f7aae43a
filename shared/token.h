/* Access tokens: JWT (RFC 7519), HS256, signed with the first key of the key file and verified with
 * the key their `kid` names. */
#ifndef PARLEY_TOKEN_H
#define PARLEY_TOKEN_H

#include "shared/error.h"

#include <stdbool.h>
#include <stdint.h>

/* The published APIs. A token's `dialect` claim names the one that issued it. */
enum dialect { DIALECT_DM, DIALECT_CONV, DIALECT_P2P, DIALECT_ROOMS, DIALECT_GROUPS, DIALECTS };

const char *dialect_name(enum dialect d);
bool dialect_parse(const char *name, enum dialect *out);
/* Do this dialect's clients see integers (/v1) rather than UUIDs (/api)? */
bool dialect_integers(enum dialect d);

/* Who a request or socket is: what a verified token says. */
struct identity {
    int64_t user_id;
    int64_t user_created; /* microseconds; whole milliseconds, as the UUID keeps no more */
    int64_t session_id;
    int64_t expires; /* seconds since the epoch */
    enum dialect dialect;
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
