/* Frames waiting for a socket. A frame is rendered once and shared by reference by every outbox it
 * stands in; an outbox is bounded in bytes. */
#ifndef PARLEY_OUTBOX_H
#define PARLEY_OUTBOX_H

#include "shared/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;
struct message;

/* Text of a WebSocket message with room for its header in front, as lws_write wants it. */
struct frame {
    int refs;
    int64_t conversation_id, seq; /* somebody else's message, whose receipt is due once written; else 0 */
    size_t len;
    unsigned char bytes[]; /* LWS_PRE bytes of room, then len of text */
};

/* A frame with one reference. frame_json takes the object. Out of memory ends the process. */
struct frame *frame_new(const char *text, size_t len);
struct frame *frame_json(struct json_object *take);
void frame_unref(struct frame *f); /* NULL is fine */
unsigned char *frame_text(struct frame *f);
/* The frame shows this message to one who has to get it. */
void frame_of_message(struct frame *f, const struct message *m);

struct outbox {
    struct frame **ring; /* NULL while empty: an idle socket costs nothing */
    unsigned size, first, count;
    size_t bytes;
    size_t *total; /* of all outboxes, kept up to date; NULL: nobody asks */
};

/* Adds a reference to f. ERR_TOO_SLOW, and nothing added, when that would exceed max bytes. */
MUSTCHECK enum error outbox_push(struct outbox *o, struct frame *f, size_t max);
/* The oldest frame, whose reference passes to the caller; NULL when empty. */
struct frame *outbox_take(struct outbox *o);
bool outbox_is_empty(const struct outbox *o);
void outbox_release(struct outbox *o);

#endif
