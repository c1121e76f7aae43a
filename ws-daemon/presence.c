/* Everything is collected and done in turns a few hundredths of a second apart, as long as there is
 * something to do: users up or down are written, and PostgreSQL tells all daemons who thereby came or
 * went everywhere. onlookers.c hears that. */
#include "ws-daemon/presence.h"

#include "shared/log.h"
#include "shared/presence_store.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/onlookers.h"
#include "ws-daemon/pgpipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { SET_MOST = 1000 };
static const double TURN_S = 0.04, BEAT_S = 5, AGAIN_S = 1;
static const double SOON_S = 0.2; /* the next beat of a daemon that is not registered */

/* A user with sockets here, or who had some until a moment ago. */
struct person {
    int64_t id;
    bool written;   /* the database has them online on this daemon */
    bool up;        /* has sockets */
    bool flying;    /* is in the statement under way */
    double down_at; /* steady time when the last socket went */
    UT_hash_handle hh;
};

struct presence {
    struct daemon *daemon;
    int64_t daemon_id; /* 0: not registered */
    bool busy;         /* a statement about people is under way */
    double again_at;   /* steady time before which none is tried, as the last one failed; 0: now */
    bool registering, left;
    bool steady; /* the last beat was heard: those of others would be too */
    struct person *people;
    ev_timer turn, beat;
};

/* A statement under way, and the users it is about. */
struct flight {
    struct daemon *daemon;
    int64_t daemon_id;
    bool up;
    int count;
    int64_t users[SET_MOST];
};

static void soon(struct presence *p)
{
    if (ev_is_active(&p->turn))
        return;
    ev_timer_set(&p->turn, TURN_S, 0);
    ev_timer_start(p->daemon->loop, &p->turn);
}

static void beat_after(struct presence *p, double seconds)
{
    ev_timer_stop(p->daemon->loop, &p->beat);
    ev_timer_set(&p->beat, seconds, 0);
    ev_timer_start(p->daemon->loop, &p->beat);
}

/* ---- up and down ---- */

static void finish(struct flight *f, bool done)
{
    struct presence *p = f->daemon->presence;
    p->busy = false;
    p->again_at = done ? 0 : time_seconds() + AGAIN_S;
    done = done && f->daemon_id == p->daemon_id; /* else the daemon was swept meanwhile, with everybody */
    for (int i = 0; i < f->count; i++) {
        struct person *person;
        HASH_FIND(hh, p->people, &f->users[i], sizeof f->users[i], person);
        if (!person)
            continue;
        person->flying = false;
        person->written = done ? f->up : person->written;
        if (!person->written && !person->up) {
            HASH_DEL(p->people, person);
            free(person);
        }
    }
    free(f);
    soon(p);
}

static void on_written(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct flight *f = arg;
    (void)results;
    (void)count;
    (void)constraint;
    finish(f, e == OK);
}

/* Writes a set of those who came up, or whose debounce time is over. True when there was one. */
static bool write_set(struct presence *p, bool up)
{
    double now = time_seconds(), debounce = p->daemon->config.presence_debounce / 1000.0;
    struct person *person, *next;
    struct query q;
    struct arena arena;
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->daemon = p->daemon;
    f->daemon_id = p->daemon_id;
    f->up = up;
    HASH_ITER (hh, p->people, person, next) {
        bool due = up ? person->up && !person->written
                      : !person->up && person->written && now >= person->down_at + debounce;
        if (!due || f->count == SET_MOST)
            continue;
        person->flying = true;
        f->users[f->count++] = person->id;
    }
    if (!f->count) {
        free(f);
        return false;
    }
    arena_init(&arena);
    (up ? presence_up_query : presence_down_query)(&q, &arena, p->daemon_id, f->users, f->count);
    p->busy = pgpipe_submit(p->daemon->queries, &q, 1, on_written, f) == OK;
    arena_release(&arena);
    if (!p->busy)
        finish(f, false);
    return true;
}

void presence_socket_up(struct conn *c)
{
    struct presence *p = c->daemon->presence;
    struct person *person;
    int64_t id = c->me.user_id;
    HASH_FIND(hh, p->people, &id, sizeof id, person);
    if (!person) {
        person = calloc(1, sizeof *person);
        if (!person)
            abort();
        person->id = id;
        HASH_ADD(hh, p->people, id, sizeof person->id, person);
    }
    person->up = true;
    onlookers_joined(c);
    soon(p);
}

void presence_socket_down(struct conn *c)
{
    struct presence *p = c->daemon->presence;
    struct person *person;
    int64_t id = c->me.user_id;
    if (!id || hub_user(c->daemon->hub, id))
        return;
    HASH_FIND(hh, p->people, &id, sizeof id, person);
    if (!person)
        return;
    person->up = false;
    person->down_at = time_seconds();
    if (!person->written && !person->flying) {
        HASH_DEL(p->people, person);
        free(person);
    }
    soon(p);
}

/* ---- turns ---- */

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct presence *p = w->data;
    struct person *person, *next;
    (void)loop;
    (void)revents;
    if (p->left)
        return;
    if (!p->busy && p->daemon_id && time_seconds() >= p->again_at && !write_set(p, true))
        write_set(p, false);
    HASH_ITER (hh, p->people, person, next)
        if (person->up != person->written) {
            soon(p);
            break;
        }
}

/* ---- the daemon itself ---- */

static void on_registered(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct presence *p = ((struct daemon *)arg)->presence;
    struct person *person, *next;
    (void)count;
    (void)constraint;
    p->registering = false;
    p->steady = e == OK;
    int64_t id = e == OK ? daemon_result(results[0]) : p->daemon_id;
    if (id == p->daemon_id)
        return;
    p->daemon_id = id; /* a new number, or 0: swept, and register at the next beat */
    p->again_at = 0;
    beat_after(p, SOON_S);
    HASH_ITER (hh, p->people, person, next) {
        person->written = false;
        if (!person->up && !person->flying) {
            HASH_DEL(p->people, person);
            free(person);
        }
    }
    soon(p);
}

static void on_beat(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct presence *p = w->data;
    struct query q;
    (void)loop;
    (void)revents;
    if (p->left)
        return;
    beat_after(p, p->daemon_id ? BEAT_S : SOON_S);
    if (p->registering)
        return;
    if (p->daemon_id)
        daemon_heartbeat_query(&q, p->daemon_id);
    else
        daemon_register_query(&q);
    p->registering = pgpipe_submit(p->daemon->queries, &q, 1, on_registered, p->daemon) == OK;
    if (!p->registering)
        beat_after(p, SOON_S); /* not connected yet, and all are asked who is there after RECALL_AFTER_S */
    if (!p->registering || !p->steady || !p->daemon_id) {
        p->steady = false; /* when PostgreSQL was away, the others' beats come as late as ours */
        return;
    }
    presence_sweep_query(&q);
    if (pgpipe_submit(p->daemon->queries, &q, 1, NULL, NULL) != OK)
        return; /* the next beat sweeps */
}

static void on_left(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct daemon *d = arg;
    (void)e;
    (void)results;
    (void)count;
    (void)constraint;
    d->presence->left = true;
}

void presence_hurry(struct daemon *d)
{
    if (!d->stopping)
        beat_after(d->presence, SOON_S);
}

void presence_leave(struct daemon *d)
{
    struct query q;
    daemon_leave_query(&q, d->presence->daemon_id, d->config.presence_debounce);
    ev_timer_stop(d->loop, &d->presence->beat);
    if (!d->presence->daemon_id || pgpipe_submit(d->queries, &q, 1, on_left, d) != OK)
        d->presence->left = true;
}

bool presence_has_left(const struct daemon *d)
{
    return d->presence->left;
}

struct presence *presence_new(struct daemon *d)
{
    struct presence *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->daemon = d;
    ev_init(&p->turn, on_turn);
    ev_timer_init(&p->beat, on_beat, 0.01, 0);
    p->turn.data = p->beat.data = p;
    ev_timer_start(d->loop, &p->beat);
    return p;
}

void presence_free(struct presence *p)
{
    struct person *person, *next_person;
    if (!p)
        return;
    ev_timer_stop(p->daemon->loop, &p->turn);
    ev_timer_stop(p->daemon->loop, &p->beat);
    HASH_ITER (hh, p->people, person, next_person) {
        HASH_DEL(p->people, person);
        free(person);
    }
    free(p);
}
