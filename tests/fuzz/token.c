/* Access tokens: any text; any header and claims signed with a good key (the first line and the second
 * of an input that begins with `s`); and Authorization headers. */
#include "shared/token.h"
#include "fcgi-app/request.h"
#include "tests/fuzz/support/fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

static const struct keyring ring = {
    .count = 2,
    .keys = {{"new", "0123456789abcdef0123456789abcdef", 32}, {"old", "fedcba9876543210fedcba9876543210", 32}},
};

/* base64url without padding (RFC 7515); out has room for 4 bytes per 3 and a NUL. */
static size_t encode(const void *bytes, size_t len, char *out)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
    while (n && out[n - 1] == '=')
        out[--n] = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    return n;
}

static char *sign(const char *text)
{
    size_t head = strcspn(text, "\n"), len = strlen(text);
    const char *claims = text + head + (text[head] == '\n');
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    char *token = malloc(len * 4 / 3 + 200);
    CHECK(token);
    size_t n = encode(text, head, token);
    token[n++] = '.';
    n += encode(claims, strlen(claims), token + n);
    CHECK(HMAC(EVP_sha256(), ring.keys[0].secret, ring.keys[0].len, (unsigned char *)token, n, mac, &mac_len));
    token[n++] = '.';
    encode(mac, mac_len, token + n);
    return token;
}

static void verify(const char *text)
{
    struct identity who, before;
    memset(&who, 0x55, sizeof who);
    before = who;
    if (token_verify(&ring, "parley", text, &who) != OK) {
        CHECK(!memcmp(&who, &before, sizeof who));
        return;
    }
    CHECK(who.user_id > 0 && who.session_id > 0 && who.expires > time(NULL) && who.dialect < DIALECTS);
    CHECK(memchr(who.username, 0, sizeof who.username));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_cache cache;
    struct identity who;
    char *text = fuzz_text(data, size);
    char *token = *text == 's' ? sign(text + 1) : NULL;
    verify(token ? token : text);
    const char *bearer = bearer_token(text);
    CHECK(!bearer || (*bearer && bearer >= text + 7));
    media_of(text);
    enum error direct = token_verify(&ring, "parley", token ? token : text, &who);
    CHECK(token_cache_verify(&cache, &ring, "parley", token ? token : text, &who) == direct);
    free(token);
    free(text);
    return 0;
}
