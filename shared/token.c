/* libjwt 1.10 checks a signature and nothing else: the algorithm, the key and every claim are
 * checked here. The kid is read from the header before the signature is known to be good, and only
 * chooses among our own keys. */
#include "shared/token.h"

#include "shared/id.h"
#include "shared/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PART_MOST = 8192 };

static const char *const dialects[DIALECTS] = {
    [DIALECT_DM] = "dm",       [DIALECT_CONV] = "conv",     [DIALECT_P2P] = "p2p",
    [DIALECT_ROOMS] = "rooms", [DIALECT_GROUPS] = "groups",
};

const char *dialect_name(enum dialect d)
{
    return dialects[d];
}

bool dialect_parse(const char *name, enum dialect *out)
{
    for (int i = 0; i < DIALECTS; i++)
        if (!strcmp(name, dialects[i])) {
            *out = (enum dialect)i;
            return true;
        }
    return false;
}

bool dialect_integers(enum dialect d)
{
    return d == DIALECT_P2P || d == DIALECT_ROOMS;
}

static const char *const scopes[] = {"read", "send", "admin"};
enum { SCOPES = sizeof scopes / sizeof *scopes };

unsigned scope_parse(const char *name, size_t len)
{
    for (int i = 0; i < SCOPES; i++)
        if (len == strlen(scopes[i]) && !strncmp(name, scopes[i], len))
            return 1u << i;
    return 0;
}

const char *scope_name(int i)
{
    return i < SCOPES ? scopes[i] : NULL;
}

/* ---- the key file ---- */

static bool parse_hex(const char *hex, struct key *k)
{
    size_t len = strlen(hex);
    if (len % 2 || len < 64 || len > 2 * sizeof k->secret || strspn(hex, "0123456789abcdefABCDEF") != len)
        return false;
    for (size_t i = 0; i < len / 2; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        k->secret[i] = (unsigned char)byte;
    }
    k->len = (int)(len / 2);
    return true;
}

/* Writes a file with one fresh key and links it into place: whoever comes second finds the first's. */
static bool make_file(const char *path)
{
    unsigned char secret[32], tag[4];
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary)
        return false;
    int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        return false;
    secret_bytes(secret, sizeof secret);
    secret_bytes(tag, sizeof tag);
    fputs("# Parley signing keys: `kid secret`. The first signs, all verify.\nk", f);
    for (size_t i = 0; i < sizeof tag; i++)
        fprintf(f, "%02x", tag[i]);
    fputc(' ', f);
    for (size_t i = 0; i < sizeof secret; i++)
        fprintf(f, "%02x", secret[i]);
    fputc('\n', f);
    bool ok = !fflush(f) && !fsync(fd);
    fclose(f);
    ok = ok && (!link(temporary, path) || errno == EEXIST);
    unlink(temporary);
    return ok;
}

static bool read_keys(FILE *f, struct keyring *ring)
{
    char line[512], kid[33], hex[129], extra;
    ring->count = 0;
    while (fgets(line, sizeof line, f)) {
        struct key *k = &ring->keys[ring->count];
        line[strcspn(line, "#\r\n")] = 0;
        int n = sscanf(line, "%32s %128s %c", kid, hex, &extra);
        if (n <= 0)
            continue;
        if (n != 2 || ring->count == KEYS_MAX || !parse_hex(hex, k))
            return false;
        strcpy(k->id, kid);
        ring->count++;
    }
    return ring->count > 0;
}

bool keyring_load(struct keyring *ring, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT && make_file(path))
        f = fopen(path, "re");
    if (!f) {
        fprintf(stderr, "KEY_FILE %s: %s\n", path, strerror(errno));
        return false;
    }
    bool ok = read_keys(f, ring);
    fclose(f);
    if (!ok)
        fprintf(stderr, "KEY_FILE %s: expected lines of `kid secret`, the secret 64 to 128 hex digits\n", path);
    return ok;
}

static const struct key *key_named(const struct keyring *ring, const char *kid)
{
    for (int i = 0; kid && i < ring->count; i++)
        if (!strcmp(ring->keys[i].id, kid))
            return &ring->keys[i];
    return NULL;
}

/* ---- tokens ---- */

char *token_issue(const struct keyring *ring, const char *issuer, const struct identity *who, int ttl)
{
    const struct key *k = &ring->keys[0];
    char sub[UUID_TEXT], jti[SECRET_TEXT];
    long now = (long)time(NULL);
    char *text = NULL;
    jwt_t *jwt;
    if (jwt_new(&jwt))
        return NULL;
    id_uuid(who->user_id, who->user_created, sub);
    secret_make(jti);
    jti[22] = 0; /* 132 bits name a token well enough */
    if (!jwt_add_header(jwt, "kid", k->id) && !jwt_add_grant(jwt, "iss", issuer) && !jwt_add_grant(jwt, "sub", sub) &&
        !jwt_add_grant_int(jwt, "user_id", (long)who->user_id) && !jwt_add_grant(jwt, "username", who->username) &&
        !jwt_add_grant_int(jwt, "sid", (long)who->session_id) &&
        !jwt_add_grant(jwt, "dialect", dialect_name(who->dialect)) && !jwt_add_grant_int(jwt, "iat", now) &&
        !jwt_add_grant_int(jwt, "exp", now + ttl) && !jwt_add_grant(jwt, "jti", jti) &&
        !jwt_set_alg(jwt, JWT_ALG_HS256, k->secret, k->len))
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

/* Three parts of base64url (RFC 7515), none empty, no longer than a header. libb64, which libjwt decodes
 * with, writes behind its buffer for an empty part and reads beside its table for some other characters,
 * and libjwt keeps a part on the stack: neither gets to see anything else than this. */
static bool well_formed(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int part = 0; part < 3; part++) {
        size_t len = strspn(text, digits);
        if (!len || len > PART_MOST || text[len] != (part < 2 ? '.' : 0))
            return false;
        text += len + 1;
    }
    return true;
}

/* The kid of a token that is not verified yet. libjwt accepts any signature without a key, so this
 * answer is used for nothing but choosing the key. */
static const struct key *choose_key(const struct keyring *ring, const char *text)
{
    const struct key *k = NULL;
    jwt_t *jwt;
    if (jwt_decode(&jwt, text, NULL, 0))
        return NULL;
    if (jwt_get_alg(jwt) == JWT_ALG_NONE || jwt_get_alg(jwt) == JWT_ALG_HS256)
        k = key_named(ring, jwt_get_header(jwt, "kid"));
    jwt_free(jwt);
    return k;
}

static bool read_claims(jwt_t *jwt, const char *issuer, struct identity *out)
{
    struct ref sub;
    const char *iss = jwt_get_grant(jwt, "iss");
    const char *subject = jwt_get_grant(jwt, "sub");
    const char *username = jwt_get_grant(jwt, "username");
    const char *dialect = jwt_get_grant(jwt, "dialect");
    *out = (struct identity){
        .user_id = jwt_get_grant_int(jwt, "user_id"),
        .session_id = jwt_get_grant_int(jwt, "sid"),
        .expires = jwt_get_grant_int(jwt, "exp"),
        .scopes = SCOPES_ALL,
    };
    if (!iss || strcmp(iss, issuer) || !subject || !id_parse_uuid(subject, &sub) || !username || !dialect ||
        !dialect_parse(dialect, &out->dialect) || !jwt_get_grant(jwt, "jti") || jwt_get_grant_int(jwt, "iat") <= 0)
        return false;
    snprintf(out->username, sizeof out->username, "%s", username);
    out->user_created = sub.ms * 1000;
    return sub.id == out->user_id && out->user_id > 0 && out->session_id > 0 && out->expires > (int64_t)time(NULL);
}

enum error token_verify(const struct keyring *ring, const char *issuer, const char *text, struct identity *out)
{
    struct identity who;
    const struct key *k = well_formed(text) ? choose_key(ring, text) : NULL;
    jwt_t *jwt;
    if (!k || jwt_decode(&jwt, text, k->secret, k->len))
        return ERR_UNAUTHORIZED;
    bool good = jwt_get_alg(jwt) == JWT_ALG_HS256 && read_claims(jwt, issuer, &who);
    jwt_free(jwt);
    if (!good)
        return ERR_UNAUTHORIZED;
    *out = who;
    return OK;
}
