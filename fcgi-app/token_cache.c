/* A token belongs to a set chosen by its signature; when the set is full, its places take turns. */
#include "fcgi-app/token_cache.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

/* The end of a good signature is as random as any hash; FNV-1a spreads its few characters. A forged
 * one finds at most tokens that it is not equal to. */
static struct passed *set_of(struct token_cache *cache, const char *text, size_t len)
{
    uint32_t hash = 2166136261u;
    for (size_t i = len < 12 ? 0 : len - 12; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return cache->sets[(hash ^ hash >> 16) % TOKEN_SETS];
}

struct passed *token_cache_find(struct token_cache *cache, const char *text)
{
    size_t len = strlen(text);
    if (len >= TOKEN_TEXT)
        return NULL;
    struct passed *set = set_of(cache, text, len);
    int64_t now = time(NULL);
    for (int i = 0; i < TOKEN_WAYS; i++)
        if (set[i].who.expires > now && !CRYPTO_memcmp(set[i].text, text, len + 1))
            return &set[i];
    return NULL;
}

struct passed *token_cache_put(struct token_cache *cache, const char *text, const struct identity *who)
{
    size_t len = strlen(text);
    if (len >= TOKEN_TEXT)
        return NULL;
    struct passed *p = &set_of(cache, text, len)[cache->next++ % TOKEN_WAYS];
    memcpy(p->text, text, len + 1);
    p->who = *who;
    p->noted = 0;
    return p;
}

enum error token_cache_verify(struct token_cache *cache, const struct keyring *ring, const char *issuer,
                              const char *text, struct identity *out)
{
    const struct passed *p = token_cache_find(cache, text);
    enum error e = p ? OK : token_verify(ring, issuer, text, out);
    if (p)
        *out = p->who;
    else if (e == OK)
        token_cache_put(cache, text, out);
    return e;
}

void token_cache_clear(struct token_cache *cache)
{
    memset(cache, 0, sizeof *cache);
}
