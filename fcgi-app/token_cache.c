/* One place per token, chosen by its signature's end; the later of two that share it stays. */
#include "fcgi-app/token_cache.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

/* The last characters of a good signature are as random as any hash; a forged one finds at most a
 * token that it is not equal to. */
static struct passed *place(struct token_cache *cache, const char *text, size_t len)
{
    unsigned hash = 0;
    for (size_t i = len < 8 ? 0 : len - 8; i < len; i++)
        hash = hash * 31 + (unsigned char)text[i];
    return &cache->passed[hash % TOKEN_CACHE];
}

enum error token_cache_verify(struct token_cache *cache, const struct keyring *ring,
                              const char *issuer, const char *text, struct identity *out)
{
    size_t len = strlen(text);
    if (len >= TOKEN_TEXT)
        return token_verify(ring, issuer, text, out);
    struct passed *p = place(cache, text, len);
    if (p->who.expires > (int64_t)time(NULL) && !CRYPTO_memcmp(p->text, text, len + 1)) {
        *out = p->who;
        return OK;
    }
    enum error e = token_verify(ring, issuer, text, out);
    if (e == OK) {
        memcpy(p->text, text, len + 1);
        p->who = *out;
    }
    return e;
}

void token_cache_clear(struct token_cache *cache)
{
    memset(cache, 0, sizeof *cache);
}
