/* What the parts of the doctor share: whom it asks, as whom, and where it writes what it found.
 *
 * It makes accounts of its own for the visit, in the database, and leaves nothing of them behind; so it
 * runs where the settings are, and may look at a server anywhere. */
#ifndef PARLEY_DOCTOR_H
#define PARLEY_DOCTOR_H

#include "ctl/ask.h"
#include "ctl/process.h"
#include "ctl/socket.h"
#include "ctl/verdict.h"
#include "ctl/web.h"

enum { GUESTS_MOST = 40, LOGS_MOST = 16 };

/* An account made for the visit. */
struct guest {
    struct user user;
    const char *uuid;
    const char *password; /* NULL: none that anybody knows */
    const char *token;    /* made here, with the key file's first key */
};

/* A log that may hold what it must not. */
struct watched_log {
    const char *path;
    long size; /* before the requests that could betray something */
};

struct doctor {
    struct ctl *ctl;
    struct arena *arena;
    struct verdicts verdicts;
    const char *url;
    struct web *web;
    struct sockets *sockets;
    struct keyring keys;
    struct guest guests[GUESTS_MOST];
    int guest_count;
    int workers;                          /* of all pools on this machine; 0: not known */
    bool tokens_known;                    /* the server takes our tokens */
    const char *mark;                     /* stands in the query of requests whose logs are then read */
    struct process nginx[PROCESSES_MOST]; /* that listen at the URL's port on this machine */
    int nginx_count;
    struct watched_log logs[LOGS_MOST];
    int log_count;
};

/* A new account with a token; NULL after a verdict. With a password it can log in by itself. */
struct guest *doctor_guest(struct doctor *d, bool with_password);

/* The text in a statement's one row and column; NULL: none, or no answer. */
const char *doctor_text(struct doctor *d, const struct query *q);

/* A message from the first guest, in words that need no escape; the status of the answer. */
int doctor_say(struct doctor *d, const struct guest *to, const char *words);

/* doctor_rest.c. False: nothing else about the server can be found out. */
bool doctor_reaches(struct doctor *d);
void doctor_authorization(struct doctor *d);
void doctor_login(struct doctor *d);
void doctor_body_limit(struct doctor *d);
/* doctor_pools.c */
void doctor_workers(struct doctor *d);
void doctor_pools(struct doctor *d);
/* doctor_events.c */
void doctor_events(struct doctor *d);
/* doctor_sockets.c */
void doctor_upgrade(struct doctor *d);
void doctor_hold(struct doctor *d, int seconds);
/* doctor_host.c */
void doctor_find_server(struct doctor *d);
void doctor_logs(struct doctor *d);
void doctor_limits(struct doctor *d);
void doctor_disks(struct doctor *d, int64_t least_mb);

#define DOCTOR_ME "/api/v1/users/me" /* a worker of the api pool answers, to anybody */

/* The directives of nginx.conf, for the mending. */
#define MEND_SOCKET_PATHS "location ~ ^/(ws|ws/chat|api/v1/ws|v1/messages/ws)$ { proxy_pass http://parley_ws; … }"
#define MEND_UPGRADE                                                                                                   \
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $parley_connection;"

#endif
