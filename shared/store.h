/* The domain operations on the database. Workers call the functions that take a struct db; the daemon
 * takes the *_query and *_result halves and runs them through its pipeline. Results live in the
 * arena. No JSON and no dialects here. */
#ifndef PARLEY_STORE_H
#define PARLEY_STORE_H

#include "shared/db.h"
#include "shared/model.h"
#include "shared/secret.h"
#include "shared/token.h"

/* ---- reading rows (store_read.c) ---- */

void user_read(struct row *r, struct user *out);
void user_row(struct row *r, void *out);               /* the same, as a row_reader */
void person_read(struct row *r, struct user *out);     /* what others may see */
void message_read(struct row *r, struct message *out); /* deleted or no message: id 0 */
void message_row(struct row *r, void *out);            /* the same, as a row_reader */
void contact_read(struct row *r, struct contact *out);
void invitation_read(struct row *r, struct invitation *out);

/* ---- accounts and sessions (account_store.c) ---- */

/* Where a request comes from: for the audit log and the throttle. */
struct caller {
    const char *address; /* NULL: not known */
    const char *network; /* what it counts as, see address.h */
    const char *request_id;
};

/* What the audit log keeps of it, as two parameters: address and request id. */
void query_caller(struct query *q, const struct caller *from);

/* A session about to be opened. */
struct new_session {
    const char *dialect;               /* NULL: open none */
    const unsigned char *refresh_hash; /* SECRET_HASH bytes; NULL: no refresh token */
    int64_t lifetime;                  /* seconds */
    const char *user_agent;            /* NULL: not known */
    const struct caller *from;
};

struct new_account {
    const char *username, *email, *display_name, *password_hash; /* email NULL: none */
    const char *mail; /* kind of mail to owe the address from the same moment on (mail_store.h); NULL: none */
};

/* ERR_USERNAME_TAKEN, ERR_EMAIL_TAKEN. *session_id is 0 when none was opened. */
MUSTCHECK enum error account_create(struct db *db, struct arena *a, const struct new_account *account,
                                    const struct new_session *session, struct user *out, int64_t *session_id);
/* ERR_USER_NOT_FOUND also when ref's timestamp does not match. */
MUSTCHECK enum error user_by_ref(struct db *db, struct arena *a, const struct ref *ref, struct user *out);
/* For a user whose password was checked against user->password_hash. ERR_CREDENTIALS when it has been
 * changed since. */
MUSTCHECK enum error session_create(struct db *db, const struct user *user, const struct new_session *session,
                                    int64_t *session_id);
/* The session's user. ERR_UNAUTHORIZED when the session is revoked, ERR_DISABLED when the user is. */
MUSTCHECK enum error session_user(struct db *db, struct arena *a, int64_t session_id, int64_t user_id,
                                  struct user *out);
/* Exchanges a refresh token, or with next_hash NULL checks and keeps it. ERR_REFRESH_INVALID. */
MUSTCHECK enum error session_refresh(struct db *db, struct arena *a, const unsigned char *shown_hash,
                                     const unsigned char *next_hash, int64_t lifetime, const struct caller *from,
                                     int64_t *session_id, struct user *out);
/* Logs out. */
MUSTCHECK enum error session_revoke(struct db *db, int64_t session_id, const struct caller *from);

/* ---- messages (message_store.c) ---- */

/* A send. The addressee is a conversation or a person; the other is NULL. */
struct new_message {
    const struct identity *sender;
    const struct ref *conversation, *recipient;
    bool or_conversation; /* sockets: recipient may name a conversation as well (p2p) */
    const char *kind;     /* of the conversation, direct or group, for good; NULL: either */
    const char *type;     /* NULL: text */
    struct text content;
    struct text media_url;  /* s NULL: none */
    struct text client_key; /* s NULL: none */
};

void message_send_query(struct query *q, const struct new_message *m);
/* ERR_UNAUTHORIZED, ERR_SELF_MESSAGE, ERR_RECIPIENT_NOT_FOUND, ERR_CONVERSATION_NOT_FOUND,
 * ERR_NOT_MEMBER, ERR_IDEMPOTENCY_CONFLICT. *out has what the sender's own surfaces show; its strings
 * are m's. *replayed: the key had stored this message before, and only out->id is set. */
MUSTCHECK enum error message_send_result(const PGresult *res, const struct new_message *m, struct message *out,
                                         bool *replayed);
/* The two together; a replayed message is read again, whole. */
MUSTCHECK enum error message_send(struct db *db, struct arena *a, const struct new_message *m, struct message *out,
                                  bool *replayed);
/* A message whole, by its id. ERR_MESSAGE_NOT_FOUND. */
void message_by_id_query(struct query *q, int64_t id);
MUSTCHECK enum error message_by_id_result(const PGresult *res, struct arena *a, struct message *out);

/* Tells the daemons to look; after the commit, best after the answer. Failure costs a second's delay.
 * A daemon that found something goes on looking every few milliseconds for FEED_AWAKE_US, so whoever
 * woke it less than WAKE_EVERY_US ago need not do it again: under load NOTIFY is rare. */
enum { WAKE_EVERY_US = 20000, FEED_AWAKE_US = 60000 };
void wake(struct db *db);

/* The messages between two people, newest first; none when they never talked. */
MUSTCHECK enum error direct_history(struct db *db, struct arena *a, int64_t user_id, int64_t peer_id, int64_t limit,
                                    int64_t offset, struct message **out, int *count);

/* A direct conversation that has messages, as its list shows it. */
struct direct {
    struct user peer; /* id, username, created_at */
    struct message last;
};
/* Latest first. */
MUSTCHECK enum error direct_list(struct db *db, struct arena *a, int64_t user_id, struct direct **out, int *count);

#endif
