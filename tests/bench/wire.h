/* wire.h - what the load generators share: sockets, clocks and a WebSocket client codec. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_TEXT = 1, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* One frame as it lies in the receive buffer; payload is borrowed from there. */
struct ws_frame {
    int opcode;
    const uint8_t *payload;
    size_t len;
    size_t consumed; /* header and payload together */
};

/* Largest number of bytes a frame needs on top of its payload. */
#define WS_FRAME_OVERHEAD 14

/** Microseconds of a clock that never jumps. */
int64_t now_us(void);

/** Microseconds of processor time this process has used. */
int64_t cpu_us(void);

/** Print "name: what: strerror" and exit 2. */
void die(const char *what) __attribute__((noreturn));

/** Connect to "host:port" or to a unix socket's path (anything with a '/').
 *  Returns a non-blocking descriptor, or -1 with errno set. */
int wire_connect(const char *target);

/** Read a whole file; the result is NUL-terminated and needs free. */
char *wire_slurp(const char *path, size_t *len);

/** Write the upgrade request for path into dst; returns its length, 0 if it does not fit. */
size_t ws_upgrade_put(char *dst, size_t cap, const char *path);

/** Length of a complete 101 answer's head, 0 while it is incomplete, -1 when it is a refusal. */
long ws_upgrade_get(const char *buf, size_t len);

/** Write one masked client frame into dst (len + WS_FRAME_OVERHEAD bytes); returns its length. */
size_t ws_frame_put(uint8_t *dst, enum ws_opcode op, const void *payload, size_t len);

/** 1 and *out when buf begins with a whole server frame, 0 when more is needed, -1 on nonsense. */
int ws_frame_get(const uint8_t *buf, size_t len, struct ws_frame *out);

#endif
