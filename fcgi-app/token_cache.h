/* Tokens this worker has verified before. A client shows the same token with every request, and verifying
 * it costs as much as everything else the worker itself does for a send. Whether its session still stands
 * is asked with each request. */
#ifndef PARLEY_TOKEN_CACHE_H
#define PARLEY_TOKEN_CACHE_H

#include "shared/token.h"

enum {
    TOKEN_SETS = 128,
    TOKEN_WAYS = 4,  /* places of a set */
    TOKEN_TEXT = 512 /* longer ones, which we do not make, are verified each time */
};

struct token_cache {
    struct passed {
        char text[TOKEN_TEXT];
        struct identity who; /* expires 0: an empty place */
        int64_t noted;       /* when this worker last noted the use of a script's token; microseconds */
    } sets[TOKEN_SETS][TOKEN_WAYS];
    unsigned next; /* whose turn it is to make room, in any set */
};

/* A token that was put here and has not expired; NULL: not known. */
struct passed *token_cache_find(struct token_cache *cache, const char *text);
/* Remembers a good token; NULL when it is too long. */
struct passed *token_cache_put(struct token_cache *cache, const char *text, const struct identity *who);

/* token_verify() with a memory. */
MUSTCHECK enum error token_cache_verify(struct token_cache *cache, const struct keyring *ring, const char *issuer,
                                        const char *text, struct identity *out);

/* Forgets everything: the keys have changed. */
void token_cache_clear(struct token_cache *cache);

#endif
