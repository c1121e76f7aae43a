/* Typing notices: kept nowhere, told to every daemon through NOTIFY, ended by the server itself when
 * no fresh one comes. */
#ifndef PARLEY_TYPING_H
#define PARLEY_TYPING_H

#include "shared/error.h"
#include "shared/id.h"
#include "ws-daemon/conn.h"

/* The socket's user types (on) or has stopped in a conversation, or with a person; either ref may be
 * NULL. Whether they may is answered later. What was told less than a second ago is not told again. */
MUSTCHECK enum error typing_notice(struct conn *c, bool on, const struct ref *conversation, const struct ref *peer);

/* The socket is gone: whatever it was typing has stopped. */
void typing_closed(struct conn *c);

/* What another daemon, or this one, said. */
void typing_said(struct daemon *d, const char *payload);

#endif
