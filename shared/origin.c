/* Origins are compared as text, as browsers send them: scheme, host and port in lower case. */
#include "shared/origin.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* What follows scheme://, or NULL when the scheme is not http or https. */
static const char *authority(const char *origin)
{
    if (!strncmp(origin, "http://", 7))
        return origin + 7;
    return strncmp(origin, "https://", 8) ? NULL : origin + 8;
}

static bool is_localhost(const char *origin)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = authority(origin);
    for (size_t i = 0; host && i < sizeof names / sizeof *names; i++) {
        size_t len = strlen(names[i]);
        if (strncmp(host, names[i], len))
            continue;
        if (!host[len] ||
            (host[len] == ':' && host[len + 1] && strspn(host + len + 1, "0123456789") == strlen(host + len + 1)))
            return true;
    }
    return false;
}

/* Host and port as they stand in an origin: a name, an address, or an IPv6 address in brackets. */
static bool is_origin(const char *word, size_t len)
{
    const char *host = authority(word), *end = word + len;
    if (!host || host >= end)
        return false;
    const char *p = host +
                    (*host == '[' ? strcspn(host, "]") + 1 : strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789-_."));
    if (p > host && p < end && *p == ':' && p + 1 < end)
        p += 1 + strspn(p + 1, "0123456789");
    return p > host && p == end;
}

bool origin_setting_valid(const char *setting)
{
    for (const char *p = setting; *(p += strspn(p, ", "));) {
        size_t n = strcspn(p, ", ");
        if (!(n == 1 && *p == '*') && !(n == 9 && !strncmp(p, "localhost", 9)) && !is_origin(p, n))
            return false;
        p += n;
    }
    return true;
}

bool origin_allowed(const char *setting, const char *origin)
{
    size_t len = strlen(origin);
    for (const char *p = setting; *p;) {
        p += strspn(p, ", ");
        size_t n = strcspn(p, ", ");
        bool word = n == 9 && !strncmp(p, "localhost", 9); /* no origin, though one could be sent */
        if ((n == 1 && *p == '*') || (word ? is_localhost(origin) : n && n == len && !strncmp(p, origin, n)))
            return true;
        p += n;
    }
    return false;
}

bool origin_is_host(const char *origin, const char *host)
{
    const char *from = authority(origin);
    return from && !strcasecmp(from, host);
}
