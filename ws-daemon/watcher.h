/* One who waits for events: what events.c, which knows what is to be told, and events_http.c, which knows
 * how it is written, have in common. */
#ifndef PARLEY_WATCHER_H
#define PARLEY_WATCHER_H

#include "shared/event_output.h"
#include "ws-daemon/events.h"

#include <ev.h>

struct reader;

enum watcher_state {
    WATCHER_QUEUED,  /* its turn to read a page has yet to come */
    WATCHER_READING, /* a page, or its consumer, is under way */
    WATCHER_WAITING, /* all has been told: waits for something to happen, or for its time */
    WATCHER_WRITING, /* something goes out to the client */
    WATCHER_GONE,    /* the connection is closed; freed with the last reference */
};

struct watcher {
    struct daemon *daemon;
    struct lws *wsi;    /* NULL when gone */
    struct identity me; /* user_id 0: refused */
    enum watcher_state state;
    int refs; /* the connection's own, and one per query under way */

    struct arena arena; /* what was asked for */
    struct event_request ask;
    enum accept accept;
    struct position at; /* up to here all has been told */
    struct arena place; /* at's strings */
    bool placed;        /* a page has been read, so the position is a good one */
    bool behind;        /* there is more to read, or there may be */
    bool due;           /* a poll whose time is up */
    enum error reason;  /* why it has to end once what is being written is; OK: it goes on */
    ev_timer deadline;  /* of a poll */
    ev_io peer;         /* notices when the client hangs up */
    bool dead;          /* it did, or it has to be cut off */

    /* The answer. */
    int status;
    const char *type;
    const char *challenge; /* the header WWW-Authenticate; "": none */
    bool headed;           /* the headers are out, or on their way */
    bool last;             /* then the connection is closed */
    char origin[256];      /* of the page that asks; "": none */
    char *out;             /* what is going out; from malloc */
    size_t out_len, out_at;
    double wrote_at; /* steady time of the last progress */

    struct reader *reader; /* its user's; NULL: none */
    struct watcher *user_prev, *user_next;
    struct watcher *prev, *next; /* all */
    struct watcher *queue_prev, *queue_next;
};

/* ---- events.c ---- */

/* A new watcher in WATCHER_WAITING, with one reference, the connection's. */
struct watcher *watcher_new(struct daemon *d, struct lws *wsi);
/* It knows who asks, and what for: joins its user's, and begins. */
void watcher_start(struct watcher *w);
/* Answers with an error, or ends the stream with it, once what is being written is through. */
void watcher_end(struct watcher *w, enum error reason, const char *sentence);
/* What was to be written is written. False: the connection is to be closed. */
bool watcher_written(struct watcher *w);
/* There is something to write, or to close. */
void watcher_want_writable(struct watcher *w);
/* The connection is of no use: it is closed as soon as may be. */
void watcher_drop(struct watcher *w);
/* The connection is closed. */
void watcher_close(struct watcher *w);

#endif
