/* Delivery through a command, as `/usr/sbin/sendmail -t -i`. */
#ifndef PARLEY_COURIER_SENDMAIL_H
#define PARLEY_COURIER_SENDMAIL_H

#include "courier/handover.h"
#include "shared/arena.h"
#include "shared/model.h"

#include <signal.h>

/* Splits a command into words at spaces, without a shell; NULL-terminated, the first may be NULL. */
char **sendmail_words(const char *command, struct arena *a);

/* Runs the command with the message on its standard input, and waits timeout seconds for its end; one
 * that takes longer is killed. signals: what is blocked in it. */
enum handover sendmail_send(const char *command, int timeout, const sigset_t *signals, struct text message,
                            char reason[REASON_TEXT]);

#endif
