/* A pool of workers under a parent that accepts nothing itself. */
#ifndef PARLEY_POOL_H
#define PARLEY_POOL_H

#include "fcgi-app/request.h"

/* Forks config->fcgi_workers workers on the listening socket and replaces each that dies. Returns in
 * the parent, after SIGTERM or SIGINT, when all have ended; SIGHUP re-reads the keys. */
void pool_run(struct app *app, int listen_fd);

#endif
