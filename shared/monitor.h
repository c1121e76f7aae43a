/* What a service says about itself on METRICS_LISTEN: /healthz, /readyz and /metrics, over HTTP.
 *
 * A process of its own answers, forked by the service and ended with it. So a scrape never costs the
 * service anything, and one that hangs is told from one that is gone. */
#ifndef PARLEY_MONITOR_H
#define PARLEY_MONITOR_H

#include "shared/db.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is wrong, as a sentence; NULL: nothing. Runs in the monitor's process. */
struct monitor;
typedef const char *monitor_check(struct monitor *m);

struct monitor {
    const struct config *config;
    monitor_check *health;           /* for /healthz; NULL: that it answers is all */
    monitor_check *ready;            /* for /readyz, on top of health */
    void (*look)(struct monitor *m); /* before /metrics is written; NULL: nothing to look up */
    const void *service;             /* for look */
    struct db db;                    /* the monitor's own connection, for these three */
    int64_t asked_at;                /* when monitor_database() last asked */
    const char *found;               /* and what was wrong; NULL: nothing */
    int fd;                          /* what it listens on; -1: nothing, and nothing below does anything */
    pid_t pid;                       /* 0: none runs */
    int64_t started;
};

/* Listens where METRICS_LISTEN says; nothing is answered yet. Borrows config. Where it cannot, the log says
 * so and nothing is answered: nobody is to be without a chat because a port of ours is taken. */
void monitor_open(struct monitor *m, const struct config *config);

/* Starts the process, or a new one when it has ended; at most one a second. False when none runs. */
bool monitor_keep(struct monitor *m);

/* For a process forked by the service: lets go of the address, which is not to be held by who outlives it. */
void monitor_leave(struct monitor *m);

/* Ends the process, and waits for that: the address is free again. */
void monitor_close(struct monitor *m);

/* A check: does the database answer, and does it take what is written? It is asked once a second at most. */
const char *monitor_database(struct monitor *m);

#endif
