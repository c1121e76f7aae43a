/* Who is told that somebody came online or went: the sockets of those who share a conversation or a
 * contact. What counts as online, and when, is presence.h's. */
#ifndef PARLEY_ONLOOKERS_H
#define PARLEY_ONLOOKERS_H

#include "ws-daemon/conn.h"

struct daemon;
struct onlookers;

struct onlookers *onlookers_new(struct daemon *d);
void onlookers_free(struct onlookers *o);

/* A socket was admitted: it is to be told who is there. */
void onlookers_joined(struct conn *c);

/* What PostgreSQL told all daemons: "presence on|off id id …". */
void onlookers_said(struct daemon *d, const char *payload);

/* That is heard from now on, and some may have been missed before. */
void onlookers_listening(struct daemon *d);

#endif
