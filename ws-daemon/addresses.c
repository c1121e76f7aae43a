/* A hash by network; who has no socket is not in it. */
#include "ws-daemon/addresses.h"

#include "shared/address.h"

#include <stdlib.h>
#include <uthash.h>

struct address {
    char network[NETWORK_TEXT];
    int count;
    UT_hash_handle hh;
};

struct addresses {
    struct address *set;
};

struct addresses *addresses_new(void)
{
    struct addresses *all = calloc(1, sizeof *all);
    if (!all)
        abort();
    return all;
}

static void drop(struct addresses *all, struct address *a)
{
    HASH_DEL(all->set, a);
    free(a);
}

void addresses_free(struct addresses *all)
{
    if (!all)
        return;
    while (all->set)
        drop(all, all->set);
    free(all);
}

struct address *address_join(struct addresses *all, const char *address, int most)
{
    struct address *a;
    char network[NETWORK_TEXT];
    address_network(address, network);
    HASH_FIND_STR(all->set, network, a);
    if (a && a->count >= most)
        return NULL;
    if (!a) {
        a = calloc(1, sizeof *a);
        if (!a)
            abort();
        memcpy(a->network, network, sizeof network);
        HASH_ADD_STR(all->set, network, a);
    }
    a->count++;
    return a;
}

void address_leave(struct addresses *all, struct address *a)
{
    if (a && !--a->count)
        drop(all, a);
}
