/* The head of an HTTP answer, header by header, for what is no WebSocket. */
#ifndef PARLEY_HEAD_H
#define PARLEY_HEAD_H

#include <libwebsockets.h>
#include <stdbool.h>

/* Written to memory of the caller's, from start on; good until something had no room. */
struct head {
    struct lws *wsi;
    unsigned char *start, *at, *end;
    bool good;
};

/* Begins with the status, the type and the length of the body in bytes (LWS_ILLEGAL_HTTP_CONTENT_LEN: unknown, it ends
 * with the connection), in the bytes between start and end, before which there is LWS_PRE of room. */
void head_begin(struct head *h, struct lws *wsi, unsigned char *start, unsigned char *end, int status, const char *type,
                lws_filepos_t length);

/* name is in lower case and ends with a colon. */
void head_add(struct head *h, const char *name, const char *value);

/* What goes with the status of an error: its challenge ("": none), and when to try again. */
void head_add_refusal(struct head *h, int status, const char *challenge);

/* Ends the head and sends it. False when it had no room, or nobody is there: the connection has to end. */
bool head_send(struct head *h);

#endif
