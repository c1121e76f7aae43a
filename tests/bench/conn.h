/* conn.h - a set of WebSocket connections over one epoll descriptor. */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include "wire.h"

#define CHUNK (256 * 1024) /* one read, or one batch of frames written */

struct conn {
    int fd; /* -1 once lost */
    bool open;
    const char *path;  /* borrowed: what to ask the upgrade for */
    uint8_t *in, *out; /* a partial frame; bytes the kernel did not take */
    size_t in_len, out_len;
    struct group *group; /* the owner's: this file never looks at it */
    int64_t next;        /* the owner's too */
};

struct conns {
    const char *target;
    struct conn *all;
    int n, n_open, epoll;
    int64_t errors;
    /* Called for each text frame, with the frame's bytes borrowed. */
    void (*on_text)(struct conns *set, struct conn *c, const struct ws_frame *f);
    uint8_t chunk[CHUNK];
};

/** Open all connections of the set, a few at a time; exits 1 when one is refused. */
void conns_open(struct conns *set);

/** Wait at most timeout_ms for something to happen, and handle what did. */
void conns_turn(struct conns *set, int timeout_ms);

/** Write now; what the kernel does not take is kept and written when it does. */
void conn_write(struct conns *set, struct conn *c, const uint8_t *bytes, size_t len);

/** Count an error; the first few are printed with the text that shows them. */
void conns_fault(struct conns *set, const char *what, const void *text, size_t len);

#endif
