/* Mail that is owed and the links in it: what the workers ask for, what the courier does. */
#ifndef PARLEY_MAIL_STORE_H
#define PARLEY_MAIL_STORE_H

#include "shared/db.h"
#include "shared/secret.h"
#include "shared/store.h"

/* Kinds of mail. */
#define MAIL_VERIFY "verify"
#define MAIL_RESET  "reset"

/* ---- workers; account_create() owes the verification mail ---- */

/* Owes the address a mail with which its owner sets a new password; whether it has one is not asked. */
MUSTCHECK enum error mail_forgot(struct db *db, const char *address);

/* The links, by the hash of their token. Each works once: ERR_LINK_INVALID afterwards, and for
 * unknown and expired ones. A reset ends all of the user's sessions. */
MUSTCHECK enum error email_verify(struct db *db, const unsigned char hash[SECRET_HASH]);
MUSTCHECK enum error password_reset(struct db *db, const unsigned char hash[SECRET_HASH], const char *password_hash,
                                    const struct caller *from);

/* ---- the courier ---- */

/* A mail this courier is to send now. */
struct mail {
    int64_t id, attempt; /* attempt: from 1; tells this claim from later ones */
    int64_t created_at;
    const char *kind;
    const char *recipient, *username;
    const char *failure; /* why it came to nothing: its time was over; NULL: send it */
};

/* Claims the mail due longest for lease seconds and stores the hash of the token it will carry;
 * id 0: none is due. */
MUSTCHECK enum error mail_claim(struct db *db, struct arena *a, const unsigned char hash[SECRET_HASH], int64_t lease,
                                struct mail *out);

/* How an attempt ended. */
enum mail_state { MAIL_SENT, MAIL_LOGGED, MAIL_FAILED, MAIL_PENDING };

/* Ends the claim; a pending mail is due again in delay_ms, unless its time is over: then *state
 * becomes MAIL_FAILED. reason NULL: there is nothing to complain of. */
MUSTCHECK enum error mail_finish(struct db *db, const struct mail *m, enum mail_state *state, const char *reason,
                                 int64_t delay_ms);

/* How many mails are owed, and for how many microseconds the oldest has been. */
MUSTCHECK enum error mail_queue(struct db *db, int64_t *count, int64_t *age);

#endif
