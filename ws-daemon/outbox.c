/* A ring that doubles as needed and is given back when it runs empty. */
#include "ws-daemon/outbox.h"

#include "shared/model.h"

#include <json-c/json.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

/* What a frame costs beside its text: libwebsockets' room, malloc's and the ring's. */
enum { OVERHEAD = LWS_PRE + 48, FIRST_SIZE = 8 };

struct frame *frame_new(const char *text, size_t len)
{
    struct frame *f = malloc(sizeof *f + LWS_PRE + len);
    if (!f)
        abort();
    f->refs = 1;
    f->conversation_id = f->seq = 0;
    f->len = len;
    memcpy(f->bytes + LWS_PRE, text, len);
    return f;
}

struct frame *frame_json(struct json_object *take)
{
    size_t len;
    const char *text = json_object_to_json_string_length(take, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                                         &len);
    struct frame *f = frame_new(text, len);
    json_object_put(take);
    return f;
}

void frame_unref(struct frame *f)
{
    if (f && !--f->refs)
        free(f);
}

unsigned char *frame_text(struct frame *f)
{
    return f->bytes + LWS_PRE;
}

void frame_of_message(struct frame *f, const struct message *m)
{
    f->conversation_id = m->conversation_id;
    f->seq = m->seq;
}

static void grow(struct outbox *o)
{
    unsigned size = o->size ? o->size * 2 : FIRST_SIZE;
    struct frame **ring = malloc(size * sizeof *ring);
    if (!ring)
        abort();
    for (unsigned i = 0; i < o->count; i++)
        ring[i] = o->ring[(o->first + i) % o->size];
    free(o->ring);
    o->ring = ring;
    o->size = size;
    o->first = 0;
}

static void count_bytes(struct outbox *o, const struct frame *f, bool add)
{
    size_t cost = f->len + OVERHEAD;
    o->bytes += add ? cost : -cost;
    if (o->total)
        *o->total += add ? cost : -cost;
}

enum error outbox_push(struct outbox *o, struct frame *f, size_t max)
{
    if (o->bytes + f->len + OVERHEAD > max)
        return ERR_TOO_SLOW;
    if (o->count == o->size)
        grow(o);
    f->refs++;
    o->ring[(o->first + o->count++) % o->size] = f;
    count_bytes(o, f, true);
    return OK;
}

struct frame *outbox_take(struct outbox *o)
{
    if (!o->count)
        return NULL;
    struct frame *f = o->ring[o->first];
    o->first = (o->first + 1) % o->size;
    count_bytes(o, f, false);
    if (!--o->count) {
        free(o->ring);
        *o = (struct outbox){.total = o->total};
    }
    return f;
}

bool outbox_is_empty(const struct outbox *o)
{
    return !o->count;
}

void outbox_release(struct outbox *o)
{
    struct frame *f;
    while ((f = outbox_take(o)))
        frame_unref(f);
}
