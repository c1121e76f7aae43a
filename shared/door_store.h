/* Who may come in, and who is in: the throttle of logins, the list of sessions, their end. The rules are
 * in db/0004_door.sql. */
#ifndef PARLEY_DOOR_STORE_H
#define PARLEY_DOOR_STORE_H

#include "shared/store.h"

/* What the throttle says of a login that is about to be tried. */
struct admission {
    const char *name;    /* as it was typed, borrowed */
    const char *network; /* the caller's, borrowed */
    int64_t wait;        /* seconds until it may be tried; only with ERR_LOGIN_THROTTLED */
    bool counted;        /* against the name and the network: login_forgive() takes it back */
    struct user user;    /* whose name it is, with password_hash; id 0: nobody's */
};

/* Counts a try and looks the name up, a username or an e-mail address in either case.
 * ERR_LOGIN_THROTTLED: the password is not to be looked at. */
MUSTCHECK enum error login_admit(struct db *db, struct arena *a, const char *name, const struct caller *from,
                                 struct admission *out);
/* Notes in the audit log that it failed, and why. */
MUSTCHECK enum error login_failed(struct db *db, const struct admission *try, const struct caller *from,
                                  const char *why);
/* The password was right: the try does not count. */
MUSTCHECK enum error login_forgive(struct db *db, const struct admission *try);

/* A page of the caller's sessions that can still be used, newest first. */
MUSTCHECK enum error session_list(struct db *db, struct arena *a, const struct identity *me, int64_t limit,
                                  int64_t offset, struct session_info **out, int *count);
/* Ends one of the caller's sessions. ERR_NOT_FOUND. */
MUSTCHECK enum error session_end(struct db *db, const struct identity *me, const struct ref *session,
                                 const struct caller *from);
/* Ends all of them but the one that asks. */
MUSTCHECK enum error session_end_others(struct db *db, const struct identity *me, const struct caller *from,
                                        int64_t *ended);

/* Sets a new password for a user whose old one was checked against user->password_hash, and ends all
 * other sessions. ERR_PASSWORD_WRONG when it has been changed since. */
MUSTCHECK enum error password_change(struct db *db, const struct identity *me, const struct user *user,
                                     const char *new_hash, const struct caller *from);

#endif
