/* WebSocket clients of the doctor: opened, listened to and held one after the other, while all of them
 * are kept alive. */
#ifndef PARLEY_SOCKET_H
#define PARLEY_SOCKET_H

#include "shared/arena.h"

#include <stdbool.h>

struct sockets;

struct socket {
    struct lws *wsi; /* NULL: not open any more */
    struct arena *arena;
    bool established;
    int status;          /* HTTP's, where the upgrade failed; 0: not even that */
    int close_code;      /* of the peer's close frame; 0: none */
    const char *error;   /* why it failed, in words */
    const char *token;   /* for the Authorization header; NULL: none */
    const char *awaited; /* what socket_await() looks for */
    bool found;
    char *frame; /* the one that is coming in, cut at its room */
    int frame_len;
};

/* host, port and TLS as in the URL; NULL when it names none. cacert NULL: the system's. */
struct sockets *sockets_new(struct arena *a, const char *url, const char *cacert);
/* Closes them all. */
void sockets_free(struct sockets *s);

/* Opens a socket and waits until that has succeeded or failed, at most seconds. Never NULL; lives as
 * long as s. */
struct socket *socket_open(struct sockets *s, const char *path, const char *token, double seconds);
/* Begins to look for a frame that contains text; socket_await() tells whether it came. */
void socket_expect(struct socket *k, const char *text);
bool socket_await(struct sockets *s, struct socket *k, double seconds);
/* Waits until the peer has closed; false when it is open still after so many seconds. */
bool socket_closes(struct sockets *s, struct socket *k, double seconds);

#endif
