/* The registries of special addresses of the IANA, less what is reachable from everywhere. Of IPv6 only
 * what has been given out (2000::/3) is public, so that what comes to be reserved elsewhere is not. */
#include "courier/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};

static const char *const not_public[] = {
    /* IPv4 */
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    /* IPv6: protocols and Teredo, documentation, 6to4, documentation */
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
};

static bool parse_network(const char *text, struct network *out)
{
    char copy[64], *slash, *end;
    unsigned char four[4];
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return false;
    if ((slash = strchr(copy, '/')))
        *slash++ = 0;
    bool v4 = inet_pton(AF_INET, copy, four) == 1;
    if (!v4 && inet_pton(AF_INET6, copy, out->address) != 1)
        return false;
    if (v4) {
        memcpy(out->address, mapped, sizeof mapped);
        memcpy(out->address + 12, four, 4);
    }
    long most = v4 ? 32 : 128, bits = most;
    if (slash && (*slash < '0' || *slash > '9' || (bits = strtol(slash, &end, 10)) > most || *end))
        return false;
    out->bits = (int)(v4 ? 96 + bits : bits);
    return true;
}

static bool within(const unsigned char address[16], const struct network *n)
{
    int whole = n->bits / 8, rest = n->bits % 8;
    int mask = 0xff00 >> rest & 0xff;
    return !memcmp(address, n->address, (size_t)whole) && (!rest || ((address[whole] ^ n->address[whole]) & mask) == 0);
}

bool reach_parse(const char *text, struct reach *out)
{
    struct reach r = {0};
    char *copy = strdup(text), *save, *word;
    bool good = copy;
    for (word = good ? strtok_r(copy, ", ", &save) : NULL; word && good; word = strtok_r(NULL, ", ", &save))
        good = r.count < REACH_NETWORKS && parse_network(word, &r.allowed[r.count++]);
    free(copy);
    if (good)
        *out = r;
    return good;
}

static bool is_public(const unsigned char address[16])
{
    if (memcmp(address, mapped, sizeof mapped) != 0 && (address[0] & 0xe0) != 0x20)
        return false;
    for (size_t i = 0; i < sizeof not_public / sizeof *not_public; i++) {
        struct network n;
        if (!parse_network(not_public[i], &n) || within(address, &n))
            return false;
    }
    return true;
}

bool reach_allows(const struct reach *r, const struct sockaddr *address)
{
    unsigned char a[16];
    if (address->sa_family == AF_INET) {
        memcpy(a, mapped, sizeof mapped);
        memcpy(a + 12, &((const struct sockaddr_in *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(a, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
    } else {
        return false;
    }
    if (!memcmp(a, nat64, sizeof nat64))
        memcpy(a, mapped, sizeof mapped);
    for (int i = 0; i < r->count; i++)
        if (within(a, &r->allowed[i]))
            return true;
    return is_public(a);
}
