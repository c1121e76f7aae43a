/* Everything is collected and done in turns a few hundredths of a second apart, as long as there is
 * something to do: of those who came or went, PostgreSQL is asked which of our users may know; for new
 * sockets, who of their people is online. NOTIFY is not the truth: we remember whom we were told of, and
 * compare that with the table when something may have been missed.
 * A new socket hears of everybody once: of those whose coming is told in a later turn than the one that
 * began its greeting by the news, of the others by the greeting. That goes on from where it was, as often as
 * there is room for more: with some thousands of people online it would not fit into an outbox. */
#include "ws-daemon/onlookers.h"

#include "shared/presence_store.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Users of a statement; of one whose answer is pairs of them, fewer, and pairs; and more than a frame takes of an
 * outbox. How many users they may be depends on how large their groups are, so it is found out: others wait behind
 * a statement, and one that is too slow is cut off. */
enum { TELL_MOST = 1000, GREET_MOST = 200, PAIRS_MOST = 20000, FRAME_MOST = 256, LEAST = 4, FIRST = 64 };
static const double QUICK_S = 0.05, SLOW_S = 0.2;
static const int64_t NOT_YET = INT64_MAX, ALL = INT64_MAX;
static const double TURN_S = 0.04;
static const double AGAIN_S = 1;         /* after a question that failed: it may be too much for the database */
static const double GREET_AFTER_S = 0.1; /* a storm's news is waited for, to tell it once */
static const double RECALL_AFTER_S = 4;  /* all daemons have registered again by then */

/* A coming or going that our own users may have to be told of. */
struct news {
    int64_t id;
    bool online;
    UT_hash_handle hh;
};

/* Somebody who is online, as far as we were told. */
struct known {
    int64_t id;
    int64_t told; /* the turn in which it was told that they came; NOT_YET */
    bool still;   /* found in the table just now */
    UT_hash_handle hh;
};

struct onlookers {
    struct daemon *daemon;
    int64_t turns;     /* so far */
    int most;          /* users of the next statement, at most TELL_MOST */
    int portion;       /* people of each viewer in the last greeting */
    int tellings;      /* statements about news under way */
    bool greeting;     /* people are being asked for */
    double greeted_at; /* steady time when they began to be */
    double again_at;   /* steady time before which nothing is asked */
    bool recalled;     /* `known` is what the table says; until then nobody is greeted */
    struct news *news;
    struct known *known;
    ev_timer turn, recall;
};

static void soon(struct onlookers *o)
{
    if (ev_is_active(&o->turn))
        return;
    ev_timer_set(&o->turn, TURN_S, 0);
    ev_timer_start(o->daemon->loop, &o->turn);
}

static void show(struct conn *c, const struct presence_row *row, bool online)
{
    struct frame *f = frame_json(c->ops->presence(row->user_id, row->created_at, online));
    conn_reply(c, f);
    frame_unref(f);
}

/* To the viewer's sockets whose greeting began before the turn of this news. */
static void show_news(struct daemon *d, const struct presence_row *row, bool online, int64_t turn)
{
    for (struct conn *c = hub_user(d->hub, row->viewer_id), *next; c; c = next) {
        next = c->user_next;
        if (c->ops->presence && c->greeted_in && c->greeted_in < turn)
            show(c, row, online);
    }
}

/* What a statement that was sent at this time teaches. */
static void learn(struct onlookers *o, double sent_at, bool good)
{
    double now = time_seconds();
    if (!good)
        o->again_at = now + AGAIN_S;
    if (!good || now - sent_at > SLOW_S)
        o->most = o->most / 2 > LEAST ? o->most / 2 : LEAST;
    else if (now - sent_at < QUICK_S)
        o->most = o->most * 2 < TELL_MOST ? o->most * 2 : TELL_MOST;
}

/* ---- what was said ---- */

static void add_news(struct onlookers *o, int64_t id, bool online)
{
    struct news *n;
    HASH_FIND(hh, o->news, &id, sizeof id, n);
    if (!n) {
        n = calloc(1, sizeof *n);
        if (!n)
            abort();
        n->id = id;
        HASH_ADD(hh, o->news, id, sizeof n->id, n);
    }
    n->online = online;
    soon(o);
}

/* Notes that somebody is online. News only if that was not known: after a crash of PostgreSQL all come
 * again. */
static void came(struct onlookers *o, int64_t id)
{
    struct known *k;
    HASH_FIND(hh, o->known, &id, sizeof id, k);
    if (!k) {
        k = calloc(1, sizeof *k);
        if (!k)
            abort();
        k->id = id;
        k->told = NOT_YET;
        HASH_ADD(hh, o->known, id, sizeof k->id, k);
        add_news(o, id, true);
    }
    k->still = true;
}

static void went(struct onlookers *o, int64_t id)
{
    struct known *k;
    HASH_FIND(hh, o->known, &id, sizeof id, k);
    if (k) {
        HASH_DEL(o->known, k);
        free(k);
    }
    add_news(o, id, false);
}

void onlookers_said(struct daemon *d, const char *payload)
{
    static const char on[] = "presence on ", off[] = "presence off ";
    bool online = !strncmp(payload, on, strlen(on));
    if (!online && strncmp(payload, off, strlen(off)))
        return;
    const char *at = payload + strlen(online ? on : off);
    char *end;
    for (int64_t id; (id = strtoll(at, &end, 10)) > 0; at = end)
        (online ? came : went)(d->onlookers, id);
}

/* ---- what may have been missed ---- */

static void recall_after(struct onlookers *o, double seconds)
{
    ev_timer_stop(o->daemon->loop, &o->recall);
    ev_timer_set(&o->recall, seconds, 0);
    ev_timer_start(o->daemon->loop, &o->recall);
}

static void on_all(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct onlookers *o = ((struct daemon *)arg)->onlookers;
    struct known *k, *next;
    (void)count;
    (void)constraint;
    if (e != OK) {
        recall_after(o, 1);
        return;
    }
    for (k = o->known; k; k = k->hh.next)
        k->still = false;
    for (int i = 0; i < PQntuples(results[0]); i++)
        came(o, presence_all_result(results[0], i));
    HASH_ITER (hh, o->known, k, next)
        if (!k->still)
            went(o, k->id);
    o->recalled = true;
    soon(o);
}

/* Asks on the connection that listens: what was said before the answer is in it, the rest comes later. */
static void recall(struct onlookers *o)
{
    struct query q;
    presence_all_query(&q);
    if (pgpipe_submit(feed_pipe(o->daemon->feed), &q, 1, on_all, o->daemon) != OK)
        return; /* down: onlookers_listening() comes again */
}

static void on_recall(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    recall(w->data);
}

void onlookers_listening(struct daemon *d)
{
    struct onlookers *o = d->onlookers;
    o->recalled = false;
    if (o->known)
        recall_after(o, RECALL_AFTER_S);
    else
        recall(o); /* nobody to be missed; at the start the answer comes before the first socket */
}

/* ---- telling ---- */

/* News whose viewers are being asked for. */
struct telling {
    struct daemon *daemon;
    int64_t turn;
    double sent_at;
    bool online;
    int count;
    int64_t users[TELL_MOST];
};

/* Nobody could be told: the next turn tries again, unless there is newer news. */
static void tell_again(struct telling *t)
{
    struct onlookers *o = t->daemon->onlookers;
    for (int i = 0; i < t->count; i++) {
        struct news *newer;
        HASH_FIND(hh, o->news, &t->users[i], sizeof t->users[i], newer);
        if (!newer)
            add_news(o, t->users[i], t->online);
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
    t->daemon->onlookers->tellings--;
    learn(t->daemon->onlookers, t->sent_at, e == OK);
    arena_init(&arena);
    if (e == OK)
        presence_pairs_result(results[0], &arena, &rows, &n);
    else
        tell_again(t);
    for (int i = 0; i < n; i++)
        show_news(t->daemon, &rows[i], t->online, t->turn);
    arena_release(&arena);
    free(t);
}

/* Our users who can be shown news; some may be named twice. The caller frees the array. */
static int64_t *viewers_here(const struct onlookers *o, int *count)
{
    struct daemon *d = o->daemon;
    int64_t *list = malloc(((size_t)d->conn_count + 1) * sizeof *list);
    if (!list)
        abort();
    *count = 0;
    for (struct conn *c = d->conns; c; c = c->next)
        if (c->ops->presence && c->greeted_in)
            list[(*count)++] = c->me.user_id;
    return list;
}

static void tell(struct onlookers *o, bool online)
{
    struct telling *t = calloc(1, sizeof *t);
    struct news *one, *next;
    struct known *k;
    struct query q;
    struct arena arena;
    int64_t *viewers = NULL;
    int count = 0;
    if (!t)
        abort();
    t->daemon = o->daemon;
    t->turn = o->turns;
    t->online = online;
    HASH_ITER (hh, o->news, one, next) {
        if (one->online != online || t->count == o->most)
            continue;
        t->users[t->count++] = one->id;
        HASH_FIND(hh, o->known, &one->id, sizeof one->id, k);
        if (k)
            k->told = o->turns;
        HASH_DEL(o->news, one);
        free(one);
    }
    if (t->count)
        viewers = viewers_here(o, &count);
    if (count) {
        arena_init(&arena);
        presence_viewers_query(&q, &arena, t->users, t->count, viewers, count);
        t->sent_at = time_seconds();
        if (pgpipe_submit(o->daemon->queries, &q, 1, on_viewers, t) == OK) {
            o->tellings++;
            t = NULL; /* its answer's now */
        } else {
            tell_again(t);
        }
        arena_release(&arena);
    }
    free(t);
    free(viewers);
}

/* ---- greeting new sockets ---- */

/* To the viewer's sockets that are being greeted, unless they hear of it by the news. */
static void show_people(struct onlookers *o, const struct presence_row *row)
{
    struct known *k;
    HASH_FIND(hh, o->known, &row->user_id, sizeof row->user_id, k);
    for (struct conn *c = hub_user(o->daemon->hub, row->viewer_id), *next; c; c = next) {
        next = c->user_next;
        if (!c->greeting)
            continue;
        c->greeted_to = row->user_id;
        c->greeted++;
        if (k && k->told <= c->greeted_in)
            show(c, row, true);
    }
}

/* Those who were not told after all are asked for again. */
static void end_greeting(struct onlookers *o, bool told)
{
    o->greeting = false;
    for (struct conn *c = o->daemon->conns; c; c = c->next) {
        if (c->greeting && told && c->greeted < o->portion)
            c->greeted_to = ALL;
        else if (c->greeting && !told && !c->greeted_to)
            c->greeted_in = 0;
        c->greeting = false;
    }
}

static void on_people(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct daemon *d = arg;
    struct presence_row *rows;
    struct arena arena;
    int n = 0;
    (void)count;
    (void)constraint;
    learn(d->onlookers, d->onlookers->greeted_at, e == OK);
    arena_init(&arena);
    if (e == OK)
        presence_pairs_result(results[0], &arena, &rows, &n);
    for (int i = 0; i < n; i++)
        show_people(d->onlookers, &rows[i]);
    arena_release(&arena);
    end_greeting(d->onlookers, e == OK);
    soon(d->onlookers);
}

/* A socket that is to be told of more people. */
static bool waits(const struct conn *c)
{
    return c->ops->presence && (c->state == CONN_REPLAY || c->state == CONN_LIVE) && c->greeted_to != ALL;
}

/* And now is the time for it. */
static bool is_due(const struct conn *c)
{
    return waits(c) && time_seconds() >= c->opened_at + GREET_AFTER_S &&
           c->outbox.bytes <= (size_t)c->daemon->config.outbox_max / 2;
}

/* Asks for a user once at a time, and for all their sockets that have come as far as this one. */
static bool take(struct onlookers *o, struct conn *of)
{
    struct conn *c;
    for (c = hub_user(o->daemon->hub, of->me.user_id); c; c = c->user_next)
        if (c->greeting)
            return false;
    for (c = hub_user(o->daemon->hub, of->me.user_id); c; c = c->user_next)
        if (is_due(c) && c->greeted_to == of->greeted_to) {
            c->greeting = true;
            c->greeted = 0;
            c->greeted_in = c->greeted_in ? c->greeted_in : o->turns;
        }
    return true;
}

static void greet(struct onlookers *o)
{
    struct daemon *d = o->daemon;
    int64_t viewers[GREET_MOST], after[GREET_MOST];
    struct query q;
    struct arena arena;
    int count = 0, most = o->most < GREET_MOST ? o->most : GREET_MOST;
    int room = d->config.outbox_max / 2 / FRAME_MOST;
    if (o->greeting || !o->recalled)
        return;
    for (struct conn *c = d->conns; c && count < most; c = c->next)
        if (waits(c) && !is_due(c)) {
            soon(o);
        } else if (waits(c) && take(o, c)) {
            viewers[count] = c->me.user_id;
            after[count++] = c->greeted_to;
        }
    if (!count)
        return;
    o->portion = PAIRS_MOST / count < room ? PAIRS_MOST / count : room;
    arena_init(&arena);
    presence_people_query(&q, &arena, viewers, after, count, o->portion);
    o->greeting = true;
    o->greeted_at = time_seconds();
    if (pgpipe_submit(d->queries, &q, 1, on_people, d) != OK)
        end_greeting(o, false);
    arena_release(&arena);
}

/* ---- turns ---- */

static void on_turn(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct onlookers *o = w->data;
    (void)loop;
    (void)revents;
    o->turns++;
    if (pgpipe_is_up(o->daemon->queries) && time_seconds() >= o->again_at) {
        if (!o->tellings) {
            tell(o, true);
            tell(o, false);
        }
        greet(o);
        if (!o->news)
            return;
    }
    soon(o);
}

void onlookers_joined(struct conn *c)
{
    if (c->ops->presence)
        soon(c->daemon->onlookers);
}

struct onlookers *onlookers_new(struct daemon *d)
{
    struct onlookers *o = calloc(1, sizeof *o);
    if (!o)
        abort();
    o->daemon = d;
    o->most = FIRST;
    ev_init(&o->turn, on_turn);
    ev_init(&o->recall, on_recall);
    o->turn.data = o->recall.data = o;
    return o;
}

void onlookers_free(struct onlookers *o)
{
    struct news *news, *next_news;
    struct known *known, *next_known;
    if (!o)
        return;
    ev_timer_stop(o->daemon->loop, &o->turn);
    ev_timer_stop(o->daemon->loop, &o->recall);
    HASH_ITER (hh, o->news, news, next_news) {
        HASH_DEL(o->news, news);
        free(news);
    }
    HASH_ITER (hh, o->known, known, next_known) {
        HASH_DEL(o->known, known);
        free(known);
    }
    free(o);
}
