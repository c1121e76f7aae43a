/* What the daemon says of itself: numbers that nobody else writes down, and whether it is well. */
#ifndef PARLEY_HEALTH_H
#define PARLEY_HEALTH_H

#include "shared/monitor.h"

struct daemon;

/* Makes the metrics and a monitor with the daemon's checks, not yet opened. */
void health_init(struct monitor *m);

/* A sign of life, and the numbers of this moment; once a second. */
void health_report(const struct daemon *d);

#endif
