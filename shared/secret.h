/* Random secrets, their hashes, passwords. */
#ifndef PARLEY_SECRET_H
#define PARLEY_SECRET_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SECRET_TEXT = 44,   /* 32 random bytes in base64url without padding, and the NUL */
    SECRET_HASH = 32,   /* SHA-256 */
    PASSWORD_HASH = 128 /* crypt(3) text */
};

/* From here on this process leaves no core dump, which would hold keys, tokens and passwords. */
void secret_keep_from_dumps(void);

/* Fills out with n random bytes from the kernel. */
void secret_bytes(void *out, size_t n);

/* A fresh opaque secret: 256 random bits as text. */
void secret_make(char out[SECRET_TEXT]);

/* SHA-256 (FIPS 180-4) of text: all that is stored of a secret. */
void secret_hash(const char *text, unsigned char out[SECRET_HASH]);

/* bcrypt of password with a fresh salt; cost 4 to 17, each step doubles the time (12: ~180 ms).
 * The password is at most 72 bytes (validate_password()). False when the system cannot. */
bool password_hash(const char *password, int cost, char out[PASSWORD_HASH]);

/* Does the password match the hash? hash NULL (no such user) takes as long as a hash of this cost
 * and never matches. */
bool password_matches(const char *password, const char *hash, int cost);

#endif
