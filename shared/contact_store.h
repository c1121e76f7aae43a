/* Contacts and the invitations that lead to them. `me` is the user who asks. */
#ifndef PARLEY_CONTACT_STORE_H
#define PARLEY_CONTACT_STORE_H

#include "shared/store.h"

/* Invites a user, or accepts their open invitation to me: then *accepted and *contact are set, and
 * *out is theirs. ERR_USER_NOT_FOUND, ERR_SELF_INVITATION, ERR_ALREADY_CONTACTS,
 * ERR_ALREADY_INVITED. */
MUSTCHECK enum error contact_invite(struct db *db, struct arena *a, int64_t me, const char *username,
                                    struct invitation *out, bool *accepted, struct contact *contact);

/* For the invitee only; others get ERR_NOT_FOUND. Accepting makes the direct conversation too. */
MUSTCHECK enum error invitation_accept(struct db *db, struct arena *a, int64_t me, const struct ref *invitation,
                                       struct contact *out);
MUSTCHECK enum error invitation_reject(struct db *db, int64_t me, const struct ref *invitation);

/* In the order they came. */
struct contact_book {
    struct invitation *sent, *received;
    int sent_count, received_count;
    struct contact *contacts;
    int contact_count;
};
MUSTCHECK enum error contact_book(struct db *db, struct arena *a, int64_t me, struct contact_book *out);

/* Either of the two ends it; their conversation stays. ERR_NOT_FOUND. */
MUSTCHECK enum error contact_remove(struct db *db, int64_t me, const struct ref *contact);

/* Are the two contacts? *name is the username as its user wrote it. ERR_USER_NOT_FOUND. */
MUSTCHECK enum error contact_check(struct db *db, struct arena *a, int64_t me, const char *username, const char **name,
                                   bool *are_contacts);

#endif
