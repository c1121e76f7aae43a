/* Everything is collected and done in turns a few hundredths of a second apart, as long as there is
 * something to do: users up or down are written, PostgreSQL tells all daemons who thereby came or went
 * everywhere, and each daemon asks which of its own users may know. NOTIFY is not the truth: a daemon
 * remembers whom it was told of, and compares that with the table when it may have missed something. */
#include "ws-daemon/presence.h"

#include "shared/log.h"
#include "shared/presence_store.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Users of a statement; of one whose answer is pairs of them, fewer. */
enum { SET_MOST = 1000, GREET_MOST = 200 };
static const double TURN_S = 0.04, BEAT_S = 5;
static const double SOON_S = 0.2;         /* the next beat of a daemon that is not registered */
static const double GREET_AFTER_S = 0.1;  /* a storm's news is waited for, to tell it once */
static const double RECALL_AFTER_S = 4;   /* all daemons have registered again by then */

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
    bool online;
    UT_hash_handle hh;
};

/* Somebody who is online, as far as we were told. */
struct known {
    int64_t id;
    bool still; /* found in the table just now */
    UT_hash_handle hh;
};

struct presence {
    struct daemon *daemon;
    int64_t daemon_id; /* 0: not registered */
    bool busy;         /* a statement about people is under way */
    bool greeting;     /* people are being asked for */
    bool registering, left;
    bool steady;   /* the last beat was heard: those of others would be too */
    bool recalled; /* `known` is what the table says; until then nobody is greeted */
    struct person *people;
    struct news *news;
    struct known *known;
    ev_timer turn, beat, recall;
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

/* ---- telling ---- */

/* A new socket that will be told who is online by a later look than the news. */
static bool waits(const struct conn *c)
{
    return c->ungreeted && !c->greeting;
}

static void show(struct daemon *d, int64_t viewer, int64_t user, int64_t created, bool online, bool greeting)
{
    for (struct conn *c = hub_user(d->hub, viewer), *next; c; c = next) {
        next = c->user_next;
        if (!c->ops->presence || (greeting ? !c->greeting : waits(c)))
            continue;
        struct frame *f = frame_json(c->ops->presence(user, created, online));
        conn_reply(c, f);
        frame_unref(f);
    }
}

/* ---- what was said ---- */

static void add_news(struct presence *p, int64_t id, bool online)
{
    struct news *n;
    HASH_FIND(hh, p->news, &id, sizeof id, n);
    if (!n) {
        n = calloc(1, sizeof *n);
        if (!n)
            abort();
        n->id = id;
        HASH_ADD(hh, p->news, id, sizeof n->id, n);
    }
    n->online = online;
    soon(p);
}

/* Notes that somebody is online. News only if that was not known: after a crash of PostgreSQL all come
 * again. */
static void came(struct presence *p, int64_t id)
{
    struct known *k;
    HASH_FIND(hh, p->known, &id, sizeof id, k);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (!k)
            abort();
        k->id = id;
        HASH_ADD(hh, p->known, id, sizeof k->id, k);
        add_news(p, id, true);
    }
    k->still = true;
}

static void went(struct presence *p, int64_t id)
{
    struct known *k;
    HASH_FIND(hh, p->known, &id, sizeof id, k);
    if (k) {
        HASH_DEL(p->known, k);
        free(k);
    }
    add_news(p, id, false);
}

void presence_said(struct daemon *d, const char *payload)
{
    bool online = !strncmp(payload, "presence on", 11);
    const char *at = payload + strlen(online ? "presence on" : "presence off");
    char *end;
    for (int64_t id; (id = strtoll(at, &end, 10)) > 0; at = end)
        (online ? came : went)(d->presence, id);
}

/* ---- what may have been missed ---- */

static void recall_after(struct presence *p, double seconds)
{
    ev_timer_stop(p->daemon->loop, &p->recall);
    ev_timer_set(&p->recall, seconds, 0);
    ev_timer_start(p->daemon->loop, &p->recall);
}

static void on_all(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct presence *p = ((struct daemon *)arg)->presence;
    struct known *k, *next;
    (void)count;
    (void)constraint;
    if (e != OK) {
        recall_after(p, 1);
        return;
    }
    for (k = p->known; k; k = k->hh.next)
        k->still = false;
    for (int i = 0; i < PQntuples(results[0]); i++)
        came(p, presence_all_result(results[0], i));
    HASH_ITER(hh, p->known, k, next)
        if (!k->still)
            went(p, k->id);
    p->recalled = true;
    soon(p);
}

/* Asks on the connection that listens: what was said before the answer is in it, the rest comes later. */
static void on_recall(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct presence *p = w->data;
    struct query q;
    (void)loop;
    (void)revents;
    presence_all_query(&q);
    if (pgpipe_submit(feed_pipe(p->daemon->feed), &q, 1, on_all, p->daemon) != OK)
        return; /* down: presence_listening() comes again */
}

void presence_listening(struct daemon *d)
{
    struct presence *p = d->presence;
    recall_after(p, p->recalled ? RECALL_AFTER_S : 0.001);
    p->recalled = false;
    if (!p->left)
        beat_after(p, SOON_S);
}

/* News whose viewers are being asked for. */
struct telling {
    struct daemon *daemon;
    bool online;
    int count;
    int64_t users[SET_MOST];
};

/* Nobody could be told: the next turn tries again, unless there is newer news. */
static void tell_again(struct telling *t)
{
    struct presence *p = t->daemon->presence;
    for (int i = 0; i < t->count; i++) {
        struct news *newer;
        HASH_FIND(hh, p->news, &t->users[i], sizeof t->users[i], newer);
        if (!newer)
            add_news(p, t->users[i], t->online);
    }
}

static void on_viewers(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct telling *t = arg;
    struct presence_row *rows;
    struct arena arena;
    int n = 0;
    (void)count;
    (void)constraint;
    arena_init(&arena);
    if (e == OK)
        presence_pairs_result(results[0], &arena, &rows, &n);
    else
        tell_again(t);
    for (int i = 0; i < n; i++)
        show(t->daemon, rows[i].viewer_id, rows[i].user_id, rows[i].created_at, t->online, false);
    arena_release(&arena);
    free(t);
}

/* Our users who could be shown news, or those with sockets that wait to be greeted; the caller frees
 * the array. */
static int64_t *viewers_here(struct presence *p, bool waiting, int *count)
{
    int64_t *list = malloc((HASH_COUNT(p->people) + 1) * sizeof *list);
    struct person *person, *next;
    if (!list)
        abort();
    *count = 0;
    HASH_ITER(hh, p->people, person, next) {
        bool wanted = false;
        for (struct conn *c = hub_user(p->daemon->hub, person->id); c && !wanted; c = c->user_next) {
            bool young = waiting && ev_now(p->daemon->loop) < c->opened_at + GREET_AFTER_S;
            wanted = c->ops->presence && waits(c) == waiting && !young;
            if (young)
                soon(p);
        }
        if (wanted)
            list[(*count)++] = person->id;
    }
    return list;
}

static void tell(struct presence *p, bool online)
{
    struct telling *t = calloc(1, sizeof *t);
    struct news *one, *next;
    struct query q;
    struct arena arena;
    int64_t *viewers = NULL;
    int count = 0;
    if (!t)
        abort();
    t->daemon = p->daemon;
    t->online = online;
    HASH_ITER(hh, p->news, one, next) {
        if (one->online != online || t->count == SET_MOST)
            continue;
        t->users[t->count++] = one->id;
        HASH_DEL(p->news, one);
        free(one);
    }
    if (t->count)
        viewers = viewers_here(p, false, &count);
    if (count) {
        arena_init(&arena);
        presence_viewers_query(&q, &arena, t->users, t->count, viewers, count);
        if (pgpipe_submit(p->daemon->queries, &q, 1, on_viewers, t) == OK)
            t = NULL; /* its answer's now */
        else
            tell_again(t);
        arena_release(&arena);
    }
    free(t);
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
    int64_t *viewers = p->greeting || !p->recalled ? NULL : viewers_here(p, true, &count);
    count = count > GREET_MOST ? GREET_MOST : count;
    if (count) {
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
    double now = ev_now(p->daemon->loop), debounce = p->daemon->config.presence_debounce / 1000.0;
    struct person *person, *next;
    struct query q;
    struct arena arena;
    struct flight *f = calloc(1, sizeof *f);
    if (!f)
        abort();
    f->daemon = p->daemon;
    f->daemon_id = p->daemon_id;
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
    if (pgpipe_is_up(p->daemon->queries)) {
        tell(p, true);
        tell(p, false);
        greet(p);
    }
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
    p->steady = e == OK;
    int64_t id = e == OK ? daemon_result(results[0]) : p->daemon_id;
    if (id == p->daemon_id)
        return;
    p->daemon_id = id; /* a new number, or 0: swept, and register at the next beat */
    beat_after(p, SOON_S);
    HASH_ITER(hh, p->people, person, next) {
        person->written = false;
        if (!person->up && !person->flying) {
            HASH_DEL(p->people, person);
            free(person);
        }
    }
    soon(p);
}

static void ignore(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    (void)arg;
    (void)e;
    (void)results;
    (void)count;
    (void)constraint;
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
    if (!p->registering || !p->steady || !p->daemon_id) {
        p->steady = false; /* when PostgreSQL was away, the others' beats come as late as ours */
        return;
    }
    presence_sweep_query(&q);
    if (pgpipe_submit(p->daemon->queries, &q, 1, ignore, NULL) != OK)
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
    ev_init(&p->recall, on_recall);
    ev_timer_init(&p->beat, on_beat, 0.01, 0);
    p->turn.data = p->beat.data = p->recall.data = p;
    ev_timer_start(d->loop, &p->beat);
    return p;
}

void presence_free(struct presence *p)
{
    struct person *person, *next_person;
    struct news *news, *next_news;
    struct known *known, *next_known;
    if (!p)
        return;
    ev_timer_stop(p->daemon->loop, &p->turn);
    ev_timer_stop(p->daemon->loop, &p->beat);
    ev_timer_stop(p->daemon->loop, &p->recall);
    HASH_ITER(hh, p->people, person, next_person) {
        HASH_DEL(p->people, person);
        free(person);
    }
    HASH_ITER(hh, p->news, news, next_news) {
        HASH_DEL(p->news, news);
        free(news);
    }
    HASH_ITER(hh, p->known, known, next_known) {
        HASH_DEL(p->known, known);
        free(known);
    }
    free(p);
}
