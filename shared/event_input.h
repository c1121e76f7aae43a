/* What a request for events asks for: read alike by the workers, who answer at once, and by the daemon,
 * who can wait. */
#ifndef PARLEY_EVENT_INPUT_H
#define PARLEY_EVENT_INPUT_H

#include "shared/event_store.h"
#include "shared/target.h"

enum { WAIT_MOST_S = 60 };

/* What an Accept header (RFC 9110, 12.5.1) asks for: the first of these it names, JSON by default. */
enum accept { ACCEPT_JSON, ACCEPT_TEXT, ACCEPT_STREAM };
enum accept accept_of(const char *header); /* NULL: there is none */

struct event_request {
    struct position from; /* seen NULL: the present, or the consumer's */
    const char *consumer; /* NULL: none */
    struct ref conversation;
    struct event_filter filter; /* points to conversation */
    int64_t limit, wait;        /* wait: seconds, at most WAIT_MOST_S */
};

/* Reads the parameters after, consumer, conversation, type, limit and wait; last_event_id, unless NULL,
 * is the header's (EventSource), which is newer than any parameter. Strings are the arena's. *out must not
 * be moved. ERR_INVALID_PARAMETER, ERR_CURSOR, ERR_CONSUMER_INVALID, with a sentence in `in`. */
MUSTCHECK enum error event_request_read(const struct target *t, struct arena *a, struct input *in,
                                        const char *last_event_id, struct event_request *out);

/* Narrows a request to what a script's token may read: with a token limited to one conversation, that
 * conversation, and no consumer, which would be its user's. ERR_INSUFFICIENT_SCOPE. */
MUSTCHECK enum error event_request_narrow(struct event_request *r, const struct identity *me);

#endif
