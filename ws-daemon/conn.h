/* A socket: who it is, what waits for it, and the states it goes through. */
#ifndef PARLEY_CONN_H
#define PARLEY_CONN_H

#include "shared/error.h"
#include "shared/id.h"
#include "shared/token.h"
#include "ws-daemon/outbox.h"

#include <stdbool.h>
#include <stdint.h>

struct address;
struct daemon;
struct dialect_ops;
struct lws;
struct replay;
struct typist;

enum conn_state {
    CONN_GREETING, /* upgraded, not yet authenticated: waits for the first frame (rooms) */
    CONN_REPLAY,   /* authenticated, catching up: live frames wait in `held` */
    CONN_LIVE,     /* gets every frame as it comes */
    CONN_CLOSING,  /* takes and gets nothing more but what is in the outbox, then the close frame */
    CONN_GONE,     /* the socket is closed; freed with the last reference */
};

struct conn {
    struct daemon *daemon;
    struct lws *wsi; /* NULL when CONN_GONE */
    const struct dialect_ops *ops;
    struct identity me;      /* user_id 0 until authenticated */
    struct address *address; /* where it is counted; NULL: not known */
    char request_id[33];     /* the front door's, for the log; "" without one */
    enum conn_state state;
    enum error reason; /* why it is closing */
    bool leaving;      /* its close frame is libwebsockets' by now, which waits for the peer's */
    int refs;          /* the socket's own and one per operation under way */
    int pending;       /* sends that wait for the database */
    bool paused;       /* reading is stopped until they are fewer */
    struct outbox outbox;
    struct outbox held; /* live frames of CONN_REPLAY */
    char *in;           /* the frame that is arriving */
    size_t in_len, in_size;
    double tokens, tokens_at; /* frame rate: what is left, and when it was counted */
    /* Steady times: */
    double opened_at;           /* for the greeting's limit */
    double heard_at, pinged_at; /* of the last frame or pong, and of our last ping */
    double closing_at;          /* when it began to close */
    bool ping_due, dead;
    char *since;                        /* ?since= as it came, until used */
    int64_t since_id;                   /* the message it names: was shown, also when the feed has it yet to come */
    bool behind;                        /* since was refused: what it missed stays undelivered, and so does the rest */
    struct replay *replay;              /* while in CONN_REPLAY, or a page is under way */
    bool holding;                       /* the replay has begun: live frames are held */
    bool greeting;                      /* presence: who of its people is online is being asked */
    int64_t greeted_in;                 /* the turn in which that began, 0: not yet */
    int64_t greeted_to;                 /* the id it has come to; INT64_MAX: the end */
    int greeted;                        /* how many the last answer told of */
    struct typist *typists;             /* what its user is typing in */
    int typing_asked;                   /* notices of that whose way is not known yet */
    void *dialect_state;                /* the dialect's own, freed with free(3) */
    struct conn *prev, *next;           /* all sockets */
    struct conn *user_prev, *user_next; /* the user's sockets */
};

/* A new socket, in CONN_GREETING; the caller has its reference. */
struct conn *conn_new(struct daemon *d, struct lws *wsi, const struct dialect_ops *ops);
struct conn *conn_ref(struct conn *c);
void conn_unref(struct conn *c);

/* The one function that changes a state; an impossible step ends the process. */
void conn_set_state(struct conn *c, enum conn_state state);

/* Queue a frame: conn_push for live ones (held back while replaying), conn_reply for answers to this
 * socket alone. A socket whose outbox is full is closed with 4008. No-ops when closing or gone. */
void conn_push(struct conn *c, struct frame *f);
void conn_reply(struct conn *c, struct frame *f);
/* An error in the dialect's shape, then closes if the error's row says so. */
void conn_error(struct conn *c, enum error e, const char *sentence);

/* Closes with the error's close code once the outbox is written. */
void conn_close(struct conn *c, enum error reason);

/* The replay is through: what was held goes out, and the socket is live. */
void conn_go_live(struct conn *c);

/* Appends to the arriving frame; ERR_BODY_TOO_LARGE past the limit. */
MUSTCHECK enum error conn_receive(struct conn *c, const char *bytes, size_t len, size_t max);

/* May another frame be taken now (token bucket)? */
bool conn_allow_frame(struct conn *c, double now, int rate, int burst);

/* A send was handed to the database, or answered: stops and resumes reading around the bound. */
void conn_pending(struct conn *c, int change);

#endif
