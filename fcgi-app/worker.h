/* A worker: one process that answers one request at a time. */
#ifndef PARLEY_WORKER_H
#define PARLEY_WORKER_H

#include "fcgi-app/request.h"

#include <stdatomic.h>

/* Answers FastCGI requests from the listening socket until SIGTERM or SIGINT, which let the request
 * under way finish; SIGHUP re-reads the keys and what config_reload() does. These signals have to be blocked.
 * *busy is set while it is at a request. */
void worker_run(struct app *app, int listen_fd, atomic_bool *busy);

/* Plain CGI: answers the one request of the environment, standard input and standard output. */
void worker_cgi(struct app *app);

#endif
