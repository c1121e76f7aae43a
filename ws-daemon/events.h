/* Those who wait for events without a socket: GET /api/v1/events held open, until something happens (a
 * long poll) or as a stream. Each holds a position; what happens only wakes it, and then it reads its next
 * page from the database, so that nothing waits for a slow one in memory. */
#ifndef PARLEY_EVENTS_H
#define PARLEY_EVENTS_H

#include "shared/error.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdint.h>

struct daemon;
struct events;
struct watcher;

struct events *events_new(struct daemon *d);
void events_free(struct events *e); /* NULL is fine */

/* ---- HTTP, called by the server (events_http.c) ---- */

/* A request has come in. Answers what libwebsockets wants to hear; *out is the connection's watcher, NULL
 * when it was refused. */
int events_request(struct lws *wsi, struct daemon *d, struct watcher **out);
int events_writable(struct watcher *w);
void events_closed(struct watcher *w);

/* ---- what happens (events.c) ---- */

/* Something this user may see has become visible. */
void events_poke(struct daemon *d, int64_t user_id);
/* The user's, or with session_id those of that session alone, have to end. */
void events_end_user(struct daemon *d, int64_t user_id, int64_t session_id, enum error reason);
/* Once a second. */
void events_sweep(struct daemon *d);
/* The daemon goes down: polls are answered now, streams end. */
void events_stop(struct daemon *d);
/* How many there are, or still wait for the database. */
int events_count(const struct daemon *d);

#endif
