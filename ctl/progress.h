/* A bar on the terminal while something long goes on; nothing where standard error is none. */
#ifndef PARLEY_PROGRESS_H
#define PARLEY_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what;
    int64_t total, done;
    int64_t shown_at; /* microseconds; drawn at most ten times a second */
    bool terminal;
};

/* seen: whether to draw it at all; not where what is written goes to the terminal itself, or all is for a program. */
void progress_start(struct progress *p, const char *what, int64_t total, bool seen);
void progress_step(struct progress *p, int64_t by);
/* Leaves the line clean. */
void progress_end(struct progress *p);

#endif
