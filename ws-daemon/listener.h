/* The socket that nginx connects to, and what it takes from there to libwebsockets. */
#ifndef PARLEY_LISTENER_H
#define PARLEY_LISTENER_H

#include <stdbool.h>

struct daemon;

/* Takes over the socket that a supervisor holds, or opens WS_LISTEN. Connections wait in it until
 * listener_accept(). False after logging why not. */
bool listener_open(struct daemon *d);

/* From here on connections are accepted; no-op when they are already. */
void listener_accept(struct daemon *d);

/* No more is accepted: what comes waits for our successor where a supervisor holds the socket, and is
 * refused at once, so that nginx turns to another daemon, where it was ours alone. */
void listener_close(struct daemon *d);

#endif
