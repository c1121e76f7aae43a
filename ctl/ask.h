/* What most commands do: find the user they are about, run a statement, print its rows. */
#ifndef PARLEY_ASK_H
#define PARLEY_ASK_H

#include "ctl/command.h"
#include "shared/store.h"

struct json_object;

/* Those that answer an int answer EX_OK, or the exit status after saying what is wrong. */

/* By user name, e-mail address, integer id or UUID. */
int ask_user(struct ctl *c, const char *name, struct user *out);
/* An integer id, or a UUID with the time its row has to match. */
int ask_ref(struct ctl *c, const char *what, const char *name, struct ref *out);
/* Runs a statement, trying for some seconds while the database does not answer. */
MUSTCHECK enum error ask_patiently(struct db *db, const struct query *q, PGresult **out);
/* A statement's rows as a list; the caller owns it. */
int ask_rows(struct ctl *c, const struct query *q, struct json_object **out);
/* The first of them, the caller's; without one EX_DATAERR, after saying that there is no such conversation. */
int ask_conversation(struct ctl *c, const struct query *q, const char *name, struct json_object **out);
/* Prints them. */
int ask_and_print(struct ctl *c, const struct query *q);
/* The integer in a statement's one row and column, 0 without a row; a boolean counts as 0 or 1. */
int ask_number(struct ctl *c, const struct query *q, int64_t *out);

#endif
