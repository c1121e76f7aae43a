/* getrandom(2), OpenSSL's SHA-256 and libcrypt's bcrypt behind narrow doors. */
#include "shared/secret.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

void secret_keep_from_dumps(void)
{
    /* One byte, not none: a handler the kernel pipes dumps to (core(5)) gets them whatever the limit is, except
     * with this one. A hard limit of none, should there be one already, stays. */
    struct rlimit limit = {1, 1};
    if (setrlimit(RLIMIT_CORE, &limit)) {
        limit = (struct rlimit){0, 0};
        setrlimit(RLIMIT_CORE, &limit);
    }
}

void secret_bytes(void *out, size_t n)
{
    if (getrandom(out, n, 0) != (ssize_t)n) /* never for n <= 256 on a running system */
        abort();
}

void secret_make(char out[SECRET_TEXT])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[33] = {0};
    char *p = out;
    secret_bytes(bytes, 32);
    for (int i = 0; i < 33; i += 3) {
        unsigned v = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0 && p < out + SECRET_TEXT - 1; shift -= 6)
            *p++ = digits[v >> shift & 63];
    }
    *p = 0;
}

void secret_hash(const char *text, unsigned char out[SECRET_HASH])
{
    SHA256((const unsigned char *)text, strlen(text), out);
}

bool password_hash(const char *password, int cost, char out[PASSWORD_HASH])
{
    struct crypt_data data = {0};
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    unsigned char salt[16];
    secret_bytes(salt, sizeof salt);
    if (!crypt_gensalt_rn("$2b$", (unsigned long)cost, (char *)salt, sizeof salt, setting, sizeof setting))
        return false;
    const char *hash = crypt_r(password, setting, &data);
    bool ok = hash && *hash != '*' && strlen(hash) < PASSWORD_HASH;
    if (ok)
        strcpy(out, hash);
    OPENSSL_cleanse(&data, sizeof data);
    return ok;
}

bool password_matches(const char *password, const char *hash, int cost)
{
    struct crypt_data data = {0};
    char decoy[PASSWORD_HASH];
    if (!hash)
        return password_hash(password, cost, decoy) && false;
    const char *made = crypt_r(password, hash, &data);
    size_t len = strlen(hash);
    bool same = made && *made != '*' && strlen(made) == len && !CRYPTO_memcmp(made, hash, len);
    OPENSSL_cleanse(&data, sizeof data);
    return same;
}
