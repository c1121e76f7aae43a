/* PostgreSQL for fuzz targets: what the programs hand to it is looked at, and answered as the target
 * wishes. These functions stand in for those of pgpipe.c, and (--wrap, see the Makefile) for some of db.c's and of
 * other files. */
#ifndef PARLEY_FUZZ_DATABASE_H
#define PARLEY_FUZZ_DATABASE_H

enum answer {
    ANSWER_ROW,    /* a row, for the statements whose columns are known here; else as ANSWER_AWAY */
    ANSWER_AWAY,   /* ERR_UNAVAILABLE */
    ANSWER_FAILED, /* ERR_INTERNAL */
    ANSWER_KEY,    /* the client key is taken at the same moment */
    ANSWERS
};

/* May units be submitted to the daemon's pipes? */
extern _Bool database_up;

/* Answers everything that was submitted so far; what is submitted by that waits for the next time. */
void database_answer(enum answer how);

/* NOTIFY arrives on the connection that listens. */
void database_notify(const char *payload);

#endif
