/* A watcher is woken by the feed, through dispatch, and reads on from its own position: what it is told
 * is what the database shows it, in that order, each event once. Its readings take turns on a connection
 * of their own, a few at a time: under load each finds more, and sockets do not wait for them. */
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/server.h"
#include "ws-daemon/watcher.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum {
    READINGS_MOST = 8, /* under way at once */
    HEARTBEAT_AFTER_S = 25,
    DROP_AFTER_S = 60, /* who takes nothing for so long is gone */
    PURGE_BATCH = 5000,
};
static const double PURGE_FIRST_S = 60, PURGE_EVERY_S = 3600, PURGE_MORE_S = 1;

/* A user with watchers. */
struct reader {
    int64_t id;
    struct watcher *watchers;
    int count;
    UT_hash_handle hh;
};

struct events {
    struct daemon *daemon;
    struct pgpipe *pipe;
    struct reader *readers;
    struct watcher *watchers, *queue;
    int count, readings;
    size_t bytes; /* that wait to be written, of all watchers */
    ev_timer purge;
};

static void pump(struct events *e);

/* ---- what is told ---- */

static void set_out(struct watcher *w, char *text, size_t len)
{
    free(w->out);
    w->daemon->events->bytes += len - w->out_len;
    w->out = text;
    w->out_len = len;
    w->out_at = 0;
}

/* All together wait for too much. Who has taken nothing for longest pays; it goes on from its cursor. */
static void shed(struct events *e)
{
    struct watcher *w, *most = NULL;
    DL_FOREACH (e->watchers, w)
        if (w->out && (!most || w->wrote_at < most->wrote_at))
            most = w;
    if (!most)
        return;
    set_out(most, NULL, 0);
    most->reason = ERR_TOO_SLOW;
    watcher_drop(most);
}

static void show(struct watcher *w, char *text, size_t len, bool last)
{
    struct daemon *d = w->daemon;
    set_out(w, text, len);
    w->last = last;
    w->state = WATCHER_WRITING;
    w->wrote_at = time_seconds();
    ev_timer_stop(d->loop, &w->deadline);
    watcher_want_writable(w);
    if (d->events->bytes > (size_t)d->config.outbox_total)
        shed(d->events);
}

static void show_page(struct watcher *w, const struct event_page *p)
{
    struct arena a;
    size_t len;
    bool stream = w->accept == ACCEPT_STREAM, opening = !w->status;
    arena_init(&a);
    char *text = event_page_text(p, &a, w->accept, opening, &len);
    arena_release(&a);
    w->status = 200;
    w->type = event_page_type(w->accept);
    w->challenge = "";
    show(w, text, len, !stream);
}

/* A poll whose time is up, or a stream that begins where nothing is to be told. */
static void show_nothing(struct watcher *w)
{
    struct event_page page = {.next = w->at};
    show_page(w, &page);
}

/* The problem as the body of an answer, or as the last event of a stream. */
static void show_problem(struct watcher *w, enum error e, const char *sentence)
{
    struct json_object *problem = view_problem(e, sentence);
    const char *json = json_object_to_json_string_ext(problem, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    char *text = NULL;
    int wait = e == ERR_GOING_AWAY ? (int)(drand48() * EVENT_RETRY_MS) : EVENT_RETRY_MS; /* not all at once */
    int len = w->status ? asprintf(&text, "retry: %d\nevent: error\ndata: %s\n\n", wait, json)
                        : asprintf(&text, "%s", json);
    if (len < 0)
        abort();
    json_object_put(problem);
    if (!w->status) {
        w->status = error_status(e);
        metric_error(e);
        w->type = "application/problem+json";
        w->challenge = view_challenge(e);
    }
    show(w, text, (size_t)len, true);
}

static void leave_queue(struct watcher *w)
{
    if (w->state == WATCHER_QUEUED)
        DL_DELETE2(w->daemon->events->queue, w, queue_prev, queue_next);
}

void watcher_end(struct watcher *w, enum error reason, const char *sentence)
{
    if (w->state == WATCHER_WRITING || w->state == WATCHER_GONE) {
        w->reason = w->last || w->reason ? w->reason : reason;
        return;
    }
    leave_queue(w);
    w->reason = reason;
    if (reason == ERR_GOING_AWAY && w->placed && w->accept != ACCEPT_STREAM)
        show_nothing(w); /* nothing is lost: the next poll goes on from here, wherever it is answered */
    else
        show_problem(w, reason, sentence);
}

static void end(struct watcher *w, enum error reason)
{
    watcher_end(w, reason, error_sentence(reason));
}

/* ---- reading ---- */

static void watcher_unref(struct watcher *w)
{
    if (--w->refs)
        return;
    arena_release(&w->arena);
    arena_release(&w->place);
    free(w);
}

static void enqueue(struct watcher *w)
{
    struct events *e = w->daemon->events;
    w->state = WATCHER_QUEUED;
    DL_APPEND2(e->queue, w, queue_prev, queue_next);
    pump(e);
}

static void move_to(struct watcher *w, const struct position *next)
{
    struct arena place;
    arena_init(&place);
    w->at = position_copy(&place, next);
    arena_release(&w->place);
    w->place = place;
}

/* Nothing to tell for now. */
static void rest(struct watcher *w)
{
    w->state = WATCHER_WAITING;
    if (w->due)
        show_nothing(w);
}

/* A page has been read. One who left the conversation they watch is told of what is about them, and ends. */
static void take_page(struct watcher *w, const struct event_page *p)
{
    bool first = !w->placed;
    w->behind |= p->more || w->at.upto || !p->member; /* behind the end of a larger step there may be more */
    w->placed = true;
    move_to(w, &p->next);
    if (!p->member && (first || !p->count)) {
        w->state = WATCHER_WAITING;
        end(w, ERR_NOT_MEMBER);
    } else if (p->count || (w->accept == ACCEPT_STREAM && !w->status)) {
        show_page(w, p);
    } else if (w->behind) {
        enqueue(w);
    } else {
        rest(w);
    }
}

/* The database is away: who was served before waits for it, others are told. */
static void reading_failed(struct watcher *w, enum error e)
{
    w->state = WATCHER_WAITING;
    w->behind = true; /* the sweep tries again */
    if (e != ERR_UNAVAILABLE || !w->placed)
        end(w, e);
    else if (w->due)
        show_nothing(w);
}

static void finish_reading(struct watcher *w)
{
    struct events *e = w->daemon->events;
    e->readings--;
    watcher_unref(w);
    pump(e);
}

static void on_page(void *arg, enum error error, PGresult **results, int count, const char *constraint)
{
    struct watcher *w = arg;
    struct event_page page;
    struct arena a;
    (void)count;
    (void)constraint;
    arena_init(&a);
    if (w->state == WATCHER_READING) {
        if (error == OK)
            error = events_result(results[0], &a, &w->at, &w->ask.filter, w->ask.limit, &page);
        if (error == OK)
            take_page(w, &page);
        else
            reading_failed(w, error);
    }
    arena_release(&a);
    finish_reading(w);
}

static void on_consumer(void *arg, enum error error, PGresult **results, int count, const char *constraint)
{
    struct watcher *w = arg;
    struct consumer consumer;
    (void)count;
    (void)constraint;
    if (w->state == WATCHER_READING) {
        if (error == OK)
            error = consumer_open_result(results[0], &w->arena, &consumer);
        if (error == OK) {
            w->at = consumer.position;
            w->ask.consumer = NULL;
            enqueue(w);
        } else {
            reading_failed(w, error);
        }
    }
    finish_reading(w);
}

static void read_on(struct watcher *w)
{
    struct events *e = w->daemon->events;
    struct query q;
    struct arena a;
    bool by_name = w->ask.consumer && !w->at.seen;
    arena_init(&a);
    if (by_name)
        consumer_open_query(&q, w->me.user_id, w->ask.consumer);
    else
        events_query(&q, &a, w->me.user_id, &w->at, &w->ask.filter, w->ask.limit);
    w->state = WATCHER_READING;
    w->behind = false;
    w->refs++;
    e->readings++;
    if (pgpipe_submit(e->pipe, &q, 1, by_name ? on_consumer : on_page, w) != OK) {
        e->readings--;
        reading_failed(w, ERR_UNAVAILABLE);
        watcher_unref(w);
    }
    arena_release(&a);
}

/* Whose turn it is. */
static void pump(struct events *e)
{
    while (e->queue && e->readings < READINGS_MOST) {
        struct watcher *w = e->queue;
        DL_DELETE2(e->queue, w, queue_prev, queue_next);
        read_on(w);
    }
}

bool watcher_written(struct watcher *w)
{
    if (w->last)
        return false;
    set_out(w, NULL, 0);
    w->state = WATCHER_WAITING;
    if (w->reason != OK)
        end(w, w->reason);
    else if (w->behind)
        enqueue(w);
    return true;
}

/* ---- a watcher's life ---- */

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watcher *w = timer->data;
    (void)loop;
    (void)revents;
    w->due = true;
    if (w->state == WATCHER_WAITING)
        show_nothing(w);
}

struct watcher *watcher_new(struct daemon *d, struct lws *wsi)
{
    struct watcher *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->daemon = d;
    w->wsi = wsi;
    w->refs = 1;
    w->state = WATCHER_WAITING;
    ev_init(&w->deadline, on_deadline);
    w->deadline.data = w;
    DL_APPEND(d->events->watchers, w);
    d->events->count++;
    return w;
}

static enum error join(struct watcher *w)
{
    struct events *e = w->daemon->events;
    struct reader *r;
    HASH_FIND(hh, e->readers, &w->me.user_id, sizeof w->me.user_id, r);
    if (r && r->count >= w->daemon->config.sockets_per_user)
        return ERR_TOO_MANY_SOCKETS;
    if (!r) {
        r = calloc(1, sizeof *r);
        if (!r)
            abort();
        r->id = w->me.user_id;
        HASH_ADD(hh, e->readers, id, sizeof r->id, r);
    }
    DL_APPEND2(r->watchers, w, user_prev, user_next);
    r->count++;
    w->reader = r;
    return OK;
}

static void leave(struct watcher *w)
{
    struct reader *r = w->reader;
    if (!r)
        return;
    DL_DELETE2(r->watchers, w, user_prev, user_next);
    w->reader = NULL;
    if (!--r->count) {
        HASH_DEL(w->daemon->events->readers, r);
        free(r);
    }
}

void watcher_start(struct watcher *w)
{
    enum error e = join(w);
    if (e != OK) {
        end(w, e);
        return;
    }
    log_event(LOG_INFO, "watcher_opened", log_int("user", w->me.user_id), log_text("form", event_page_type(w->accept)),
              log_int("watchers", w->daemon->events->count));
    w->at = w->ask.from;
    w->due = w->accept != ACCEPT_STREAM && !w->ask.wait;
    if (w->accept != ACCEPT_STREAM && w->ask.wait) {
        ev_timer_set(&w->deadline, (double)w->ask.wait, 0);
        ev_timer_start(w->daemon->loop, &w->deadline);
    }
    enqueue(w);
}

void watcher_close(struct watcher *w)
{
    if (w->reader)
        log_event(LOG_INFO, "watcher_closed", log_int("user", w->me.user_id),
                  log_text("reason", w->reason != OK ? error_code(w->reason)
                                     : w->last       ? "answered"
                                                     : "peer"));
    else
        log_event(LOG_INFO, "watcher_refused", log_int("user", w->me.user_id), log_text("code", error_code(w->reason)));
    leave_queue(w);
    leave(w);
    set_out(w, NULL, 0);
    ev_io_stop(w->daemon->loop, &w->peer);
    ev_timer_stop(w->daemon->loop, &w->deadline);
    DL_DELETE(w->daemon->events->watchers, w);
    w->daemon->events->count--;
    w->state = WATCHER_GONE;
    w->wsi = NULL;
    watcher_unref(w);
}

/* ---- what happens ---- */

static struct watcher *watchers_of(const struct daemon *d, int64_t user_id)
{
    struct reader *r;
    HASH_FIND(hh, d->events->readers, &user_id, sizeof user_id, r);
    return r ? r->watchers : NULL;
}

void events_poke(struct daemon *d, int64_t user_id)
{
    for (struct watcher *w = watchers_of(d, user_id), *next; w; w = next) {
        next = w->user_next;
        w->behind = true;
        if (w->state == WATCHER_WAITING)
            enqueue(w);
    }
}

void events_end_user(struct daemon *d, int64_t user_id, int64_t session_id, enum error reason)
{
    for (struct watcher *w = watchers_of(d, user_id), *next; w; w = next) {
        next = w->user_next;
        if (!session_id || w->me.session_id == session_id)
            end(w, reason);
    }
}

static void sweep(struct watcher *w, int64_t now)
{
    double quiet = time_seconds() - w->wrote_at;
    if (w->state == WATCHER_WRITING && quiet >= DROP_AFTER_S) {
        w->reason = ERR_TOO_SLOW; /* it takes nothing any more */
        watcher_drop(w);
    } else if (w->me.user_id && w->me.expires <= now) {
        end(w, ERR_UNAUTHORIZED);
    } else if (w->state == WATCHER_WAITING && w->behind) {
        enqueue(w);
    } else if (w->state == WATCHER_WAITING && w->status && quiet >= HEARTBEAT_AFTER_S) {
        show(w, strdup(": still here\n\n"), 14, false);
    }
}

void events_sweep(struct daemon *d)
{
    int64_t now = (int64_t)ev_now(d->loop);
    for (struct watcher *w = d->events ? d->events->watchers : NULL, *next; w; w = next) {
        next = w->next;
        sweep(w, now);
    }
}

void events_stop(struct daemon *d)
{
    for (struct watcher *w = d->events ? d->events->watchers : NULL, *next; w; w = next) {
        next = w->next;
        end(w, ERR_GOING_AWAY);
    }
}

int events_count(const struct daemon *d)
{
    return d->events ? d->events->count + d->events->readings : 0;
}

/* ---- forgetting ---- */

static void on_purged(void *arg, enum error error, PGresult **results, int count, const char *constraint)
{
    struct events *e = arg;
    double wait = PURGE_EVERY_S;
    (void)count;
    (void)constraint;
    if (error == OK) {
        struct row r = row_at(results[0], 0, NULL);
        int64_t purged = row_int(&r);
        if (purged)
            log_event(LOG_INFO, "events_purged", log_int("events", (long long)purged));
        wait = purged == PURGE_BATCH ? PURGE_MORE_S : wait;
    }
    ev_timer_set(&e->purge, wait, 0);
    ev_timer_start(e->daemon->loop, &e->purge);
}

static void on_purge(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct events *e = timer->data;
    struct query q;
    (void)revents;
    query_init(&q, SQL_EVENTS_PURGE);
    query_int(&q, e->daemon->config.events_keep);
    query_int(&q, PURGE_BATCH);
    if (pgpipe_submit(e->pipe, &q, 1, on_purged, e) == OK)
        return;
    ev_timer_set(timer, PURGE_FIRST_S, 0);
    ev_timer_start(loop, timer);
}

static void on_up(void *arg)
{
    server_ready(arg, PART_EVENTS);
}

struct events *events_new(struct daemon *d)
{
    struct events *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    e->daemon = d;
    e->pipe = pgpipe_new(d->loop, &d->config, d->config.database_url, "events",
                         (struct pgpipe_owner){.up = on_up, .arg = d});
    ev_timer_init(&e->purge, on_purge, PURGE_FIRST_S, 0);
    e->purge.data = e;
    ev_timer_start(d->loop, &e->purge);
    return e;
}

void events_free(struct events *e)
{
    if (!e)
        return;
    pgpipe_free(e->pipe); /* whoever waits for an answer is told so */
    ev_timer_stop(e->daemon->loop, &e->purge);
    e->daemon->events = NULL;
    free(e);
}
