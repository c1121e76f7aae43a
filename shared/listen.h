/* The socket nginx connects to: one a supervisor holds and hands over, or one of our own. */
#ifndef PARLEY_LISTEN_H
#define PARLEY_LISTEN_H

#include <stdbool.h>

/* A listening socket at `where`: a path, "host:port", or ":port" for every address of this host.
 * A path's stale socket is replaced, and everybody may connect to the new one: the directory decides
 * who can. -1 after logging why not, naming the setting it came from. */
int listen_open(const char *where, const char *setting);

/* The listening socket this process was started with, by systemd's protocol (LISTEN_FDS, LISTEN_PID;
 * see sd_listen_fds(3)), closed on exec; -1: there is none. Who starts us keeps it open, so that
 * connections wait in it while one of us takes over from another. */
int listen_handed_over(void);

enum { LISTEN_NAME_SIZE = 128 };

/* Where the socket fd listens, as the kernel knows it: a path, or "address:port" in numbers ("[::]:9000").
 * Under socket activation no setting has it. Empty when it cannot be told. */
void listen_name(int fd, char name[LISTEN_NAME_SIZE]);

/* Is fd a listening socket (that somebody opened for us)? */
bool listen_inherited(int fd);

#endif
