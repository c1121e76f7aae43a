/* Catching up: what a socket missed goes out page by page, as fast as its peer reads, while live
 * frames are held back; then the socket is live. */
#ifndef PARLEY_REPLAY_H
#define PARLEY_REPLAY_H

#include "ws-daemon/conn.h"

/* An authenticated socket starts: with `since` it catches up, else it is live at once. A since that
 * is none, or names no message of the user, gets an error frame and live messages only. */
void replay_start(struct conn *c);

/* The socket's outbox has run empty: time for the next page. */
void replay_continue(struct conn *c);

/* Gives back what a replay of the socket holds; fine without one. */
void replay_free(struct conn *c);

/* The feed has come to rest: replays that waited for that start. */
void replay_start_waiting(struct daemon *d);

#endif
