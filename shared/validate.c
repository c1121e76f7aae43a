/* No state, no allocation. */
#include "shared/validate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Length of the sequence that starts at s, 0 when it is not well-formed (Unicode 15, table 3-7). */
static size_t sequence(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (left < n || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool utf8_valid(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = sequence((const unsigned char *)s + i, len - i);
        if (!n)
            return false;
        i += n;
    }
    return true;
}

size_t utf8_length(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

size_t utf8_cut(const char *s, size_t max)
{
    size_t len = strnlen(s, max);
    while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    int low = tolower((unsigned char)c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

bool url_decode(const char *s, size_t len, bool plus_is_space, char *out, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '%') {
            int high = len - i > 2 ? hex_value(s[i + 1]) : -1;
            int low = len - i > 2 ? hex_value(s[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = (char)(s[i] == '+' && plus_is_space ? ' ' : s[i]);
        }
    }
    out[n] = 0;
    *out_len = n;
    return true;
}

static bool all_of(struct text t, const char *others, size_t least, size_t most)
{
    for (size_t i = 0; i < t.len; i++)
        if (!isalnum((unsigned char)t.s[i]) && !strchr(others, t.s[i]))
            return false;
    return t.len >= least && t.len <= most;
}

enum error validate_username(struct text t)
{
    return all_of(t, "_.-", 3, 50) ? OK : ERR_USERNAME_INVALID;
}

enum error validate_username_alphanumeric(struct text t)
{
    return all_of(t, "", 3, 50) ? OK : ERR_USERNAME_NOT_ALPHANUMERIC;
}

enum error validate_consumer(struct text t)
{
    return all_of(t, "_.-", 1, 64) ? OK : ERR_CONSUMER_INVALID;
}

/* Dot-separated labels of letters, digits and hyphens, none empty or with a hyphen at its edge. */
static bool domain_valid(const char *s, size_t len)
{
    bool dot = false;
    size_t label = 0;
    if (len > 253)
        return false;
    for (size_t i = 0; i <= len; i++) {
        if (i == len || s[i] == '.') {
            if (!label || label > 63 || s[i - 1] == '-')
                return false;
            dot |= i < len;
            label = 0;
        } else if (isalnum((unsigned char)s[i]) || (s[i] == '-' && label)) {
            label++;
        } else {
            return false;
        }
    }
    return dot;
}

/* The dot-atom form of RFC 5322; no quoted strings, comments or address literals. */
enum error validate_email(struct text t)
{
    const char *at = t.len <= 254 ? memchr(t.s, '@', t.len) : NULL;
    size_t local = at ? (size_t)(at - t.s) : 0;
    if (!local || local > 64 || t.s[0] == '.' || t.s[local - 1] == '.')
        return ERR_EMAIL_INVALID;
    for (size_t i = 0; i < local; i++)
        if ((!isalnum((unsigned char)t.s[i]) && !strchr("!#$%&'*+-/=?^_`{|}~.", t.s[i])) ||
            (t.s[i] == '.' && t.s[i + 1] == '.'))
            return ERR_EMAIL_INVALID;
    return domain_valid(at + 1, t.len - local - 1) ? OK : ERR_EMAIL_INVALID;
}

static bool one_to_hundred(struct text t)
{
    size_t n = utf8_length(t.s, t.len);
    return n >= 1 && n <= 100 && strspn(t.s, " \t\r\n") != t.len;
}

enum error validate_display_name(struct text t)
{
    return one_to_hundred(t) ? OK : ERR_DISPLAY_NAME_INVALID;
}

enum error validate_name(struct text t)
{
    return one_to_hundred(t) ? OK : ERR_NAME_INVALID;
}

enum error validate_label(struct text t)
{
    return one_to_hundred(t) ? OK : ERR_LABEL_INVALID;
}

enum error validate_password(struct text t)
{
    return utf8_length(t.s, t.len) >= 8 && t.len <= 72 ? OK : ERR_PASSWORD_WEAK;
}

static bool media_url_valid(struct text t)
{
    size_t scheme = !strncasecmp(t.s, "http://", 7) ? 7 : !strncasecmp(t.s, "https://", 8) ? 8 : 0;
    if (!scheme || t.len == scheme || t.len > 2048 || strchr("/?#", t.s[scheme]))
        return false;
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.s[i] <= ' ' || t.s[i] == 0x7f)
            return false;
    return true;
}

bool callback_url_valid(struct text t)
{
    if (!media_url_valid(t) || strchr(t.s, '#') || strchr(t.s, '\\'))
        return false;
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.s[i] > '~')
            return false;
    const char *host = strstr(t.s, "://") + 3;
    return !memchr(host, '@', strcspn(host, "/?"));
}

enum error validate_message(struct text content, struct text media_url, int max)
{
    if (!content.len && !media_url.s)
        return ERR_CONTENT_EMPTY;
    if (content.len > (size_t)max)
        return ERR_CONTENT_TOO_LONG;
    return !media_url.s || media_url_valid(media_url) ? OK : ERR_MEDIA_URL_INVALID;
}

enum error validate_client_key(struct text t)
{
    if (!t.len || t.len > 200 || !utf8_valid(t.s, t.len))
        return ERR_CLIENT_KEY_INVALID;
    for (size_t i = 0; i < t.len; i++)
        if ((unsigned char)t.s[i] < ' ' || t.s[i] == 0x7f)
            return ERR_CLIENT_KEY_INVALID;
    return OK;
}
