/* Whom a client's address stands for, where things are counted by address. */
#ifndef PARLEY_ADDRESS_H
#define PARLEY_ADDRESS_H

enum { NETWORK_TEXT = 64 };

/* The network that counts as one client: an IPv4 address itself (also when mapped into IPv6), the /64 of an
 * IPv6 one, as whoever has one of its addresses has them all (RFC 6177). What is no address counts as
 * it is, cut to the room there is; NULL as "". */
void address_network(const char *address, char out[NETWORK_TEXT]);

#endif
