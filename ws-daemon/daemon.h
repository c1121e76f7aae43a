/* The daemon's state: main makes one and every part gets it. */
#ifndef PARLEY_DAEMON_H
#define PARLEY_DAEMON_H

#include "shared/config.h"
#include "shared/token.h"

#include <ev.h>
#include <stdbool.h>

struct addresses;
struct conn;
struct events;
struct feed;
struct hub;
struct lws_context;
struct pgpipe;
struct onlookers;
struct posts;
struct presence;
struct receipts;
struct replay;
struct revoked;
struct sender;
struct tokens;

struct daemon {
    struct ev_loop *loop;
    struct config config;
    struct keyring keyring;
    struct lws_context *lws;
    struct {
        ev_io io;
        ev_timer pause;
        bool open;
    } listener;                  /* see listener.c */
    unsigned ready;              /* the parts a socket needs that stood at least once; see server.h */
    bool serving;                /* all of them: sockets are let in */
    struct feed *feed;           /* what happens in the database */
    struct hub *hub;             /* who is connected, who is in what */
    struct sender *sender;       /* messages that arrive over sockets */
    struct pgpipe *queries;      /* everything else a socket asks for */
    struct presence *presence;   /* who is online, here and elsewhere */
    struct onlookers *onlookers; /* who is told of that */
    struct receipts *receipts;   /* what was shown, to be written */
    struct events *events;       /* who waits for events without a socket */
    struct posts *posts;         /* messages that were posted from SQL */
    struct revoked *revoked;     /* sessions and users whose tokens are good no more */
    struct tokens *tokens;       /* those of scripts */
    struct addresses *addresses; /* where sockets come from */
    struct replay *replays;      /* that wait for their turn */
    int replay_pages;            /* of them under way, also for sockets that are gone */
    struct conn *conns;          /* every socket */
    int conn_count;
    size_t outbox_bytes; /* waiting for all of them */
    ev_timer linger;     /* runs while a socket lingers; see server.c */
    bool stopping;
    int return_within_ms; /* over how long the clients of a stopping daemon are told to come back */
};

#endif
