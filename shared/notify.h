/* What a service tells the service manager that started it: the protocol of sd_notify(3), which s6 and a
 * terminal do not speak, so that nothing happens there. */
#ifndef PARLEY_NOTIFY_H
#define PARLEY_NOTIFY_H

#include <stdint.h>

/* Sends a state, as in "READY=1", "RELOADING=1", "STOPPING=1" or "WATCHDOG=1". Never waits, and a manager
 * that does not listen is nobody's fault. */
void notify(const char *state);

/* Microseconds between two WATCHDOG=1, half of what the manager allows; 0: it does not watch this process. */
int64_t notify_watchdog_us(void);

#endif
