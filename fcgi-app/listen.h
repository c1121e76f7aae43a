/* The socket nginx connects to. */
#ifndef PARLEY_LISTEN_H
#define PARLEY_LISTEN_H

#include <stdbool.h>

/* A listening socket at `where`: a path, "host:port", or ":port" for every address of this host.
 * A path's stale socket is replaced, and everybody may connect to the new one: the directory decides
 * who can. -1 after logging why not. */
int listen_open(const char *where);

/* Is fd a listening socket (that somebody opened for us)? */
bool listen_inherited(int fd);

#endif
