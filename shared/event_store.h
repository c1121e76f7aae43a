/* What happened, page by page, for those without a socket; and positions the server keeps for its
 * scripts, by name. */
#ifndef PARLEY_EVENT_STORE_H
#define PARLEY_EVENT_STORE_H

#include "shared/position.h"
#include "shared/store.h"

/* What a reader wants of it. */
struct event_filter {
    const struct ref *conversation; /* NULL: all the reader is in */
    const char *kinds;              /* text of an array: "{message,read}" */
};

/* A change as SQL_EVENTS shows it, from the event's id on. */
void change_read(struct row *r, struct change *out);

enum { EVENT_PAGE_BYTES = 128 * 1024 };

struct event_page {
    struct change *list; /* in order, each of them shown once */
    int count;
    bool more;            /* there are more behind the last one by now */
    bool member;          /* the reader is in the conversation the filter names */
    struct position from; /* as asked for, with upto filled in */
    struct position next; /* behind the page */
};

/* A page has at most `limit` events, and fewer when they are large (EVENT_PAGE_BYTES of text).
 * Nothing is shown from the position NULL: it is for learning the present. ERR_CURSOR,
 * ERR_CURSOR_EXPIRED, ERR_CONVERSATION_NOT_FOUND; that the reader is not in the conversation is an error
 * of the caller's to raise, as the last page of one who left may hold just that. */
void events_query(struct query *q, struct arena *a, int64_t me, const struct position *from,
                  const struct event_filter *filter, int64_t limit);
MUSTCHECK enum error events_result(const PGresult *res, struct arena *a, const struct position *from,
                                   const struct event_filter *filter, int64_t limit, struct event_page *out);
MUSTCHECK enum error events(struct db *db, struct arena *a, int64_t me, const struct position *from,
                            const struct event_filter *filter, int64_t limit, struct event_page *out);

/* The position behind the i-th event of a page. */
struct position event_position(const struct event_page *p, int i);

/* ---- consumers ---- */

enum { CONSUMERS_MOST = 100 };

struct consumer {
    const char *name;
    struct position position;
    int64_t created_at, acknowledged_at; /* TIME_NONE: never */
};

/* The consumer, made when there is none: it begins at the present. ERR_TOO_MANY_CONSUMERS. */
void consumer_open_query(struct query *q, int64_t me, const char *name);
MUSTCHECK enum error consumer_open_result(const PGresult *res, struct arena *a, struct consumer *out);
MUSTCHECK enum error consumer_open(struct db *db, struct arena *a, int64_t me, const char *name, struct consumer *out);
/* All up to the position is done with; makes it too. ERR_CURSOR, ERR_CURSOR_EXPIRED,
 * ERR_TOO_MANY_CONSUMERS. */
MUSTCHECK enum error consumer_ack(struct db *db, struct arena *a, int64_t me, const char *name,
                                  const struct position *position, struct consumer *out);
MUSTCHECK enum error consumer_list(struct db *db, struct arena *a, int64_t me, struct consumer **out, int *count);
/* ERR_CONSUMER_NOT_FOUND. */
MUSTCHECK enum error consumer_delete(struct db *db, int64_t me, const char *name);

#endif
