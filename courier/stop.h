/* SIGTERM and SIGINT, asked for when it suits: they are blocked, so that neither interrupts anything. */
#ifndef PARLEY_COURIER_STOP_H
#define PARLEY_COURIER_STOP_H

#include <signal.h>
#include <stdbool.h>

/* Blocks the signals; *before gets what was blocked until then, for child processes. */
void stop_block(sigset_t *before);

/* Has one of them come in? */
bool stop_asked(void);

/* Waits for ms milliseconds, or until one of them comes in: true. */
bool stop_wait(int ms);

#endif
