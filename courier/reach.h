/* Which addresses callbacks may be posted to: the public ones, and the networks that are allowed. */
#ifndef PARLEY_COURIER_REACH_H
#define PARLEY_COURIER_REACH_H

#include <stdbool.h>
#include <sys/socket.h>

enum { REACH_NETWORKS = 32 };

struct network {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    int bits;                  /* of the 128 */
};

struct reach {
    struct network allowed[REACH_NETWORKS];
    int count;
};

/* Reads networks between commas, each `address` or `address/bits`. False for anything else. */
bool reach_parse(const char *text, struct reach *out);

/* May this address be connected to? Public is what is neither reserved, private, on this link or this
 * machine, nor a way around that: IPv4 in IPv6 (mapped, NAT64) counts as what is inside it. */
bool reach_allows(const struct reach *r, const struct sockaddr *address);

#endif
