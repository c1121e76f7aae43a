/* The contract's rules for what people type. Each takes text without NUL and answers OK or the
 * error that names the rule. */
#ifndef PARLEY_VALIDATE_H
#define PARLEY_VALIDATE_H

#include "shared/error.h"
#include "shared/model.h"

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF)? */
bool utf8_valid(const char *s, size_t len);
/* Characters (code points) of valid UTF-8. */
size_t utf8_length(const char *s, size_t len);
/* Bytes at the beginning of s, valid UTF-8, that end between two characters: max or up to three fewer, or all. */
size_t utf8_cut(const char *s, size_t max);

/* Percent-decoding (RFC 3986), + as a space for forms and queries. out has room for len + 1 bytes and
 * gets a NUL. False for a % without two hex digits. */
bool url_decode(const char *s, size_t len, bool plus_is_space, char *out, size_t *out_len);

MUSTCHECK enum error validate_username(struct text t);              /* 3-50 of A-Za-z0-9_.- */
MUSTCHECK enum error validate_username_alphanumeric(struct text t); /* 3-50 of A-Za-z0-9 */
MUSTCHECK enum error validate_email(struct text t);                 /* addr-spec, at most 254 bytes */
MUSTCHECK enum error validate_display_name(struct text t);          /* 1-100 characters */
MUSTCHECK enum error validate_name(struct text t);                  /* of a group: 1-100 characters */
MUSTCHECK enum error validate_label(struct text t);                 /* of a token: 1-100 characters */
MUSTCHECK enum error validate_password(struct text t);              /* at least 8 characters, at most 72 bytes */
/* content of at most max bytes and media_url; either may be absent (s NULL), not both. An empty
 * content counts as absent only beside a media_url. */
MUSTCHECK enum error validate_message(struct text content, struct text media_url, int max);
/* Fit to be posted to: http or https, at most 2048 bytes of printable ASCII, no user name, no fragment. */
bool callback_url_valid(struct text t);
MUSTCHECK enum error validate_consumer(struct text t);   /* a name: 1-64 of A-Za-z0-9_.- */
MUSTCHECK enum error validate_client_key(struct text t); /* 1-200 bytes, no control characters */

#endif
