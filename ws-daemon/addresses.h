/* How many sockets each client address holds, as a bound on what one of them can take up. */
#ifndef PARLEY_ADDRESSES_H
#define PARLEY_ADDRESSES_H

#include <stdbool.h>

struct address;
struct addresses;

struct addresses *addresses_new(void);
void addresses_free(struct addresses *all);

/* One more socket of an address as the front door names it; its network counts (shared/address.h). NULL:
 * it has as many as it may. Until address_leave() the caller holds what is returned. */
struct address *address_join(struct addresses *all, const char *address, int most);
/* NULL: it was not counted. */
void address_leave(struct addresses *all, struct address *a);

#endif
