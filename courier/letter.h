/* What each kind of mail says. */
#ifndef PARLEY_COURIER_LETTER_H
#define PARLEY_COURIER_LETTER_H

#include "shared/arena.h"
#include "shared/config.h"
#include "shared/mail_store.h"

struct letter {
    const char *subject;
    const char *body; /* UTF-8, lines end with \n */
    const char *link; /* stands in the body too */
};

/* Writes the letter for a mail, with a link that carries the token. */
void letter_write(const struct config *config, const struct mail *m, const char *token, struct arena *a,
                  struct letter *out);

#endif
