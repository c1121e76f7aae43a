/* The file of signing keys as lines, comments included, and how it is replaced. What the keys mean is
 * shared/token.c's business. */
#ifndef PARLEY_KEYFILE_H
#define PARLEY_KEYFILE_H

#include "ctl/command.h"
#include "shared/token.h"

struct keyfile {
    const char *lines[4 * KEYS_MAX]; /* in the arena, without line ends */
    int count;
};

/* Where a line's key id is, and how long; 0: the line holds no key. */
size_t keyfile_id(const char *line, const char **id);
/* The place of the line with this key; -1: there is none. */
int keyfile_find(const struct keyfile *f, const char *id);
/* How many keys there are. */
int keyfile_keys(const struct keyfile *f);
/* Puts a line at a place, the others moving down, or takes one out. */
void keyfile_insert(struct keyfile *f, int at, const char *line);
void keyfile_remove(struct keyfile *f, int at);
/* The line of a fresh random key, with the date as a comment; *id points to its id. */
const char *keyfile_fresh(struct arena *a, const char **id);

/* EX_OK, or the exit status after saying what is wrong. Writing replaces the file in one step, mode
 * 0600, with the owner it had. */
int keyfile_read(struct ctl *c, struct keyfile *out);
int keyfile_write(struct ctl *c, const struct keyfile *f);

#endif
