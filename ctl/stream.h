/* Rows of any number, a few hundred at a time: the cursor parley_rows, in one view of the database. */
#ifndef PARLEY_STREAM_H
#define PARLEY_STREAM_H

#include "ctl/command.h"
#include "shared/query.h"

/* Where an export goes: standard output, or a file with mode 0600 that takes its name only when it is
 * complete. */
struct sink {
    FILE *file;
    const char *path; /* NULL: standard output */
    char *temporary;
};

/* EX_OK, or the exit status after saying what is wrong. */
int sink_open(struct ctl *c, const char *path, struct sink *out);
/* Ends the file; a failed one is removed. Answers status, or why the rest could not be written. */
int sink_close(struct ctl *c, struct sink *s, int status);

/* Begins the transaction in which all rows are read as of one moment; stream_end() ends it. */
int stream_begin(struct ctl *c);
void stream_end(struct ctl *c);

/* A row: its section (a table, a part of an account) and its JSON text. False stops. */
typedef bool stream_row(void *arg, const char *section, struct text json);

/* Opens the cursor with open and hands over its rows. ERR_UNAVAILABLE and the like; OK when row stopped. */
MUSTCHECK enum error stream_rows(struct ctl *c, const struct query *open, stream_row *row, void *arg);

#endif
