/* A pool of workers under a parent that accepts nothing itself. */
#ifndef PARLEY_POOL_H
#define PARLEY_POOL_H

#include "fcgi-app/request.h"
#include "shared/monitor.h"

/* Forks config->fcgi_workers workers on the listening socket and replaces each that dies. Returns in
 * the parent, after SIGTERM or SIGINT, when all have ended; SIGHUP re-reads the keys and what
 * config_reload() does. Keeps the monitor running, and closes it. checked: db_check() was OK; if not, the
 * database was away, and it is asked for until it is back. False when it then turned out to be none that we
 * can serve from. */
bool pool_run(struct app *app, int listen_fd, struct monitor *monitor, bool checked);

#endif
