/* Callbacks: a process of its own beside that of the mail, as neither is to wait for the other. */
#ifndef PARLEY_COURIER_CALLBACKS_H
#define PARLEY_COURIER_CALLBACKS_H

#include "courier/courier.h"

#include <sys/types.h>

/* Starts the process; it ends with this one, whatever ends that. Nothing may be connected yet. -1: it
 * cannot. */
pid_t callbacks_start(struct courier *c);

/* Has it ended by itself? */
bool callbacks_ended(pid_t pid);

/* Asks it to stop and waits until it has. */
void callbacks_stop(pid_t pid);

#endif
