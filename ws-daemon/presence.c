/* Everything is collected and done in turns a few hundredths of a second apart, as long as there is
 * something to do: users up or down are written, those who thereby came or went everywhere are told
 * to all daemons through NOTIFY, and each daemon asks which of its own users may know. */
#include "ws-daemon/presence.h"

#include "shared/log.h"
#include "shared/presence_store.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { SET_MOST = 1000, PAYLOAD_MOST = 7800 };
static const double TURN_S = 0.04, BEAT_S = 5;

/* A user with sockets here, or who had some until a moment ago. */
struct person {
    int64_t id;
    int64_t created;
    bool written;   /* the database has them online on this daemon */
    bool up;        /* has sockets */
    bool flying;    /* is in the statement under way */
    double down_at; /* when the last socket went */
    UT_hash_handle hh;
};

/* A coming or going that our own users may have to be told of. */
struct news {
    int64_t id;
    int64_t created;
    bool online;
    UT_hash_handle hh;
};

struct presence {
    struct daemon *daemon;
    int64_t daemon_id; /* 0: not registered */
    bool busy;         /* a statement about people is under way */
    bool greeting; /* people are being asked for */
    bool registering, left;
    struct person *people;
    struct news *news;
    ev_timer turn, beat;
};

/* A statement under way, and the users it is about. */
struct flight {
    struct daemon *daemon;
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

/* ---- telling ---- */

static void ignore(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    (void)arg;
    (void)e;
    (void)results;
    (void)count;
    (void)constraint;
}

static void say(struct daemon *d, const char *payload)
{
    struct query q;
    query_init(&q, SQL_SAY);
    query_text(&q, payload);
    if (pgpipe_submit(d->queries, &q, 1, ignore, NULL) != OK)
        log_event(LOG_NOTICE, "presence_unsaid");
}

/* Tells all daemons who came or went: "presence on|off id created id created …". */
static void announce(struct daemon *d, bool online, const PGresult *res)
{
    char payload[PAYLOAD_MOST + 64];
    struct presence_row *rows;
    struct arena arena;
    int count, start = snprintf(payload, sizeof payload, "presence %s", online ? "on" : "off"), len = start;
    arena_init(&arena);
    presence_users_result(res, &arena, &rows, &count);
    for (int i = 0; i < count; i++) {
        len += snprintf(payload + len, sizeof payload - (size_t)len, " %" PRId64 " %" PRId64,
                        rows[i].user_id, rows[i].created_at);
        if (len >= PAYLOAD_MOST || i == count - 1) {
            say(d, payload);
            len = start;
        }
    }
    arena_release(&arena);
}

static void show(struct daemon *d, int64_t viewer, int64_t user, int64_t created, bool online, bool greeting)
{
    for (struct conn *c = hub_user(d->hub, viewer), *next; c; c = next) {
        next = c->user_next;
        if (!c->ops->presence || (greeting && !c->greeting))
            continue;
        struct frame *f = frame_json(c->ops->presence(user, created, online));
        conn_reply(c, f);
        frame_unref(f);
    }
}

/* ---- what was said ---- */

void presence_said(struct daemon *d, const char *payload)
{
    struct presence *p = d->presence;
    bool online = !strncmp(payload, "presence on", 11);
    int64_t id, created;
    int used;
    const char *at = payload + strlen(online ? "presence on" : "presence off");
    for (; sscanf(at, " %" SCNd64 " %" SCNd64 "%n", &id, &created, &used) == 2; at += used) {
        struct news *n;
        HASH_FIND(hh, p->news, &id, sizeof id, n);
        if (!n) {
            n = calloc(1, sizeof *n);
            if (!n)
                abort();
            n->id = id;
            HASH_ADD(hh, p->news, id, sizeof n->id, n);
        }
        n->created = created;
        n->online = online;
    }
    soon(p);
}

/* The news whose viewers are being asked for. */
struct telling {
    struct daemon *daemon;
    bool online;
};

static void on_viewers(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct telling t = *(struct telling *)arg;
    struct presence_row *rows;
    struct arena arena;
    int n = 0;
    (void)count;
    (void)constraint;
    free(arg);
    if (e != OK)
        return; /* the next greeting makes up for it */
    arena_init(&arena);
    presence_pairs_result(results[0], &arena, &rows, &n);
    for (int i = 0; i < n; i++)
        show(t.daemon, rows[i].viewer_id, rows[i].user_id, rows[i].created_at, t.online, false);
    arena_release(&arena);
}

/* Our users who could be shown presence; the caller frees the array. */
static int64_t *viewers_here(struct presence *p, bool ungreeted, int *count)
{
    int64_t *list = malloc((HASH_COUNT(p->people) + 1) * sizeof *list);
    struct person *person, *next;
    if (!list)
        abort();
    *count = 0;
    HASH_ITER(hh, p->people, person, next) {
        bool wanted = false;
        for (struct conn *c = hub_user(p->daemon->hub, person->id); c && !wanted; c = c->user_next)
            wanted = c->ops->presence && (!ungreeted || c->ungreeted);
        if (wanted)
            list[(*count)++] = person->id;
    }
    return list;
}

static void tell(struct presence *p, bool online)
{
    int64_t users[SET_MOST], *viewers;
    struct news *one, *next;
    struct query q;
    struct arena arena;
    int n = 0, viewer_count;
    HASH_ITER(hh, p->news, one, next) {
        if (one->online != online || n == SET_MOST)
            continue;
        users[n++] = one->id;
        HASH_DEL(p->news, one);
        free(one);
    }
    viewers = n ? viewers_here(p, false, &viewer_count) : NULL;
    if (n && viewer_count) {
        struct telling *t = malloc(sizeof *t);
        if (!t)
            abort();
        *t = (struct telling){p->daemon, online};
        arena_init(&arena);
        presence_viewers_query(&q, &arena, users, n, viewers, viewer_count);
        if (pgpipe_submit(p->daemon->queries, &q, 1, on_viewers, t) != OK)
            free(t);
        arena_release(&arena);
    }
    free(viewers);
}

/* ---- greeting new sockets ---- */

static void on_people(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct daemon *d = arg;
    struct presence_row *rows;
    struct arena arena;
    int n = 0;
    (void)count;
    (void)constraint;
    d->presence->greeting = false;
    arena_init(&arena);
    if (e == OK)
        presence_pairs_result(results[0], &arena, &rows, &n);
    for (int i = 0; i < n; i++)
        show(d, rows[i].viewer_id, rows[i].user_id, rows[i].created_at, true, true);
    arena_release(&arena);
    for (struct conn *c = d->conns; c; c = c->next) {
        c->ungreeted = c->ungreeted && !(c->greeting && e == OK);
        c->greeting = false;
    }
    soon(d->presence);
}

static void greet(struct presence *p)
{
    int count = 0;
    struct query q;
    struct arena arena;
    int64_t *viewers = p->greeting ? NULL : viewers_here(p, true, &count);
    count = viewers && count > SET_MOST ? SET_MOST : count;
    if (viewers && count) {
        arena_init(&arena);
        for (int i = 0; i < count; i++)
            for (struct conn *c = hub_user(p->daemon->hub, viewers[i]); c; c = c->user_next)
                c->greeting = c->ungreeted;
        presence_people_query(&q, &arena, viewers, count);
        p->greeting = pgpipe_submit(p->daemon->queries, &q, 1, on_people, p->daemon) == OK;
        arena_release(&arena);
    }
    free(viewers);
}

/* ---- up and down ---- */

static void finish(struct flight *f, bool done)
{
    struct presence *p = f->daemon->presence;
    p->busy = false;
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
    (void)count;
    (void)constraint;
    if (e == OK)
        announce(f->daemon, f->up, results[0]);
    finish(f, e == OK);
}

/* Writes a set of those who came up, or whose debounce time is over. True when there was one. */
static bool write_set(struct presence *p, bool up)
{
    double now = ev_now(p->daemon->loop), debounce = p->daemon->config.presence_debounce / 1000.0;
    struct person *person, *next;
    struct query q;
    struct arena arena;
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->daemon = p->daemon;
    f->up = up;
    HASH_ITER(hh, p->people, person, next) {
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
        person->created = c->me.user_created;
        HASH_ADD(hh, p->people, id, sizeof person->id, person);
    }
    person->up = true;
    c->ungreeted = c->ops->presence != NULL;
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
    person->down_at = ev_now(c->daemon->loop);
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
    if (!p->busy && p->daemon_id && !write_set(p, true))
        write_set(p, false);
    tell(p, true);
    tell(p, false);
    greet(p);
    if (p->news)
        soon(p);
    HASH_ITER(hh, p->people, person, next)
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
    int64_t id = e == OK ? daemon_result(results[0]) : p->daemon_id;
    if (id == p->daemon_id)
        return;
    p->daemon_id = id; /* a new number, or 0: swept, and register at the next beat */
    HASH_ITER(hh, p->people, person, next) {
        person->written = false;
        if (!person->up && !person->flying) {
            HASH_DEL(p->people, person);
            free(person);
        }
    }
    soon(p);
}

static void on_swept(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    (void)count;
    (void)constraint;
    if (e == OK)
        announce(arg, false, results[0]);
}

static void on_beat(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct presence *p = w->data;
    struct query q;
    (void)loop;
    (void)revents;
    if (p->left)
        return;
    ev_timer_stop(loop, &p->beat);
    ev_timer_set(&p->beat, p->daemon_id ? BEAT_S : 0.2, 0);
    ev_timer_start(loop, &p->beat);
    if (p->registering)
        return;
    if (p->daemon_id)
        daemon_heartbeat_query(&q, p->daemon_id);
    else
        daemon_register_query(&q);
    p->registering = pgpipe_submit(p->daemon->queries, &q, 1, on_registered, p->daemon) == OK;
    if (!p->registering || !p->daemon_id)
        return;
    presence_sweep_query(&q);
    if (pgpipe_submit(p->daemon->queries, &q, 1, on_swept, p->daemon) != OK)
        return; /* the next beat sweeps */
}

static void on_left(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct daemon *d = arg;
    (void)count;
    (void)constraint;
    if (e == OK)
        announce(d, false, results[0]);
    d->presence->left = true;
}

void presence_leave(struct daemon *d)
{
    struct query q;
    presence_end_query(&q, d->presence->daemon_id);
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
    struct news *news, *next_news;
    if (!p)
        return;
    ev_timer_stop(p->daemon->loop, &p->turn);
    ev_timer_stop(p->daemon->loop, &p->beat);
    HASH_ITER(hh, p->people, person, next_person) {
        HASH_DEL(p->people, person);
        free(person);
    }
    HASH_ITER(hh, p->news, news, next_news) {
        HASH_DEL(p->news, news);
        free(news);
    }
    free(p);
}
