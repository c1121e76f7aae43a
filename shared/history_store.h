/* Reading a conversation's messages page by page, and editing and deleting one's own. */
#ifndef PARLEY_HISTORY_STORE_H
#define PARLEY_HISTORY_STORE_H

#include "shared/conversation_store.h"
#include "shared/store.h"
#include "shared/timefmt.h"

/* A place in a history. Names are of what the page shows. */
enum place {
    PLACE_NEWEST,     /* the newest messages */
    PLACE_BEFORE_SEQ, /* the newest before seq `at` */
    PLACE_AFTER_SEQ,  /* the oldest after seq `at` */
    PLACE_BEFORE_ID,  /* the same by message id; any id is a place, ids order a conversation */
    PLACE_AFTER_ID,
    PLACE_AROUND_ID,   /* that message, half a page before it and the rest after */
    PLACE_BEFORE_TIME, /* before `at` microseconds, with `rest` as time_parse() gives it */
};

/* Which messages: a conversation, or the one with a person (peer; an empty page when they never
 * talked). With both set to one integer it names either. */
struct page {
    const struct ref *conversation, *peer;
    enum conversation_kind kind;
    enum place place;
    int64_t at, rest;
    int64_t limit;
    bool oldest_first; /* the order in the page; false: newest first */
};

struct messages {
    struct message *list;
    int count;
    bool older, newer; /* are there more on that side? Exact. */
};

/* ERR_CONVERSATION_NOT_FOUND, ERR_USER_NOT_FOUND for a peer (or either) who is not there,
 * ERR_NOT_MEMBER. Deleted messages are left out. */
MUSTCHECK enum error history_page(struct db *db, struct arena *a, int64_t me, const struct page *page,
                                  struct messages *out);

/* ---- cursors ---- */

enum { CURSOR_TEXT = TIME_TEXT + 20 };

/* Opaque: goes on before, or after, a message. */
void cursor_format(const struct message *m, bool older, char out[CURSOR_TEXT]);
/* Sets the page's place. ERR_INVALID_PARAMETER. */
MUSTCHECK enum error cursor_parse(const char *text, struct page *page);

/* An RFC 3339 time that names one message: its seq stands behind the microseconds. Any time may be
 * read: it names the messages before it. */
void cursor_format_time(const struct message *m, char out[CURSOR_TEXT]);
MUSTCHECK enum error cursor_parse_time(const char *text, struct page *page);

/* ---- one's own messages ---- */

/* ERR_MESSAGE_NOT_FOUND, also when deleted; ERR_NOT_MEMBER; ERR_FORBIDDEN to all but its sender. */
MUSTCHECK enum error message_edit(struct db *db, struct arena *a, int64_t me, const struct ref *message,
                                  struct text content, struct message *out);
MUSTCHECK enum error message_delete(struct db *db, int64_t me, const struct ref *message);

#endif
