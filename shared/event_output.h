/* A page of events in each of the forms a client may ask for. */
#ifndef PARLEY_EVENT_OUTPUT_H
#define PARLEY_EVENT_OUTPUT_H

#include "shared/event_input.h"

/* How long a stream's client waits before it connects again (the `retry` of the HTML standard). */
enum { EVENT_RETRY_MS = 2000 };

/* The page's text, the caller frees it: {events, cursor, has_more}; lines; or a piece of a stream, whose
 * beginning (opening) tells a cursor even before the first event. Cursors are made in the arena. */
char *event_page_text(const struct event_page *p, struct arena *a, enum accept accept, bool opening, size_t *len);

/* The form's Content-Type. */
const char *event_page_type(enum accept accept);

#endif
