/* What a check found: a plain sentence, and what mends it. */
#ifndef PARLEY_VERDICT_H
#define PARLEY_VERDICT_H

#include <stdbool.h>

struct json_object;

enum verdict_state {
    VERDICT_OK,
    VERDICT_SKIPPED, /* could not be looked at from here */
    VERDICT_WARN,    /* works, but somebody should know */
    VERDICT_BAD,
};

struct verdicts {
    bool json; /* collect, and print at the end; otherwise print each at once */
    struct json_object *list;
    int count[VERDICT_BAD + 1];
};

void verdicts_init(struct verdicts *v, bool json);
/* check: one word. mend: the nginx directive, setting or command that mends it; NULL: the sentence says it. */
void verdict(struct verdicts *v, enum verdict_state state, const char *check, const char *mend, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Prints the end; true when nothing is bad. */
bool verdicts_end(struct verdicts *v);

#endif
