/* How far messages got: delivered and read, as watermarks of each participant that only rise. Read
 * implies delivered. Those who wrote the messages hear of it through the events. */
#ifndef PARLEY_RECEIPT_STORE_H
#define PARLEY_RECEIPT_STORE_H

#include "shared/store.h"

/* I got, or read, all up to a message; with message NULL all of a conversation. conversation may be
 * NULL; when it is not, the message has to be of it. ERR_CONVERSATION_NOT_FOUND,
 * ERR_MESSAGE_NOT_FOUND, ERR_NOT_MEMBER. */
void receipt_mark_query(struct query *q, int64_t me, const struct ref *conversation, const struct ref *message,
                        bool read);
MUSTCHECK enum error receipt_mark_result(const PGresult *res);
MUSTCHECK enum error receipt_mark(struct db *db, int64_t me, const struct ref *conversation, const struct ref *message,
                                  bool read);

/* Many at once: all up to seqs[i] of conversations[i]. Those the user is not in are passed over. */
void receipts_mark_query(struct query *q, struct arena *a, int64_t user_id, const int64_t *conversations,
                         const int64_t *seqs, int n, bool read);

/* How far a message got with each recipient. ERR_MESSAGE_NOT_FOUND, ERR_NOT_MEMBER. */
MUSTCHECK enum error delivery_list(struct db *db, struct arena *a, int64_t me, const struct ref *message,
                                   struct delivery **out, int *count);

/* How far a message got at all. */
enum reach {
    REACH_NOBODY,    /* none of its recipients is connected */
    REACH_CONNECTED, /* some are */
    REACH_ALL,       /* all have it */
};
/* One for each message; out has room for them. */
MUSTCHECK enum error message_reach(struct db *db, struct arena *a, const struct message *messages, int n,
                                   enum reach *out);

/* A page of what was never delivered to a user, oldest first, as far as a snapshot (the feed's) sees.
 * Its rows are those of SQL_REPLAY: true, then the message; one without a message when there is none. */
void pending_query(struct query *q, int64_t user_id, const char *snapshot, int64_t after_id, int64_t limit,
                   bool groups);

#endif
