/* A daemon with sockets but without libwebsockets and PostgreSQL. */
#ifndef PARLEY_FUZZ_SOCKETS_H
#define PARLEY_FUZZ_SOCKETS_H

#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"

/* A socket that waits for its first frame; sockets_admit() makes it user 1's. */
struct conn *sockets_open(const struct dialect_ops *ops);
void sockets_admit(struct conn *c);
void sockets_close(struct conn *c);

/* One turn of the loop; then what the socket was sent, which has to be JSON, is thrown away. */
void sockets_turn(struct conn *c);

/* The whole of a frame target. The input's first byte says how the database answers and whether the
 * socket has a token yet; frames follow, with 0x1e between them. `@@` in a frame becomes a good token. */
int sockets_fuzz(const struct dialect_ops *ops, const uint8_t *data, size_t size);

#endif
