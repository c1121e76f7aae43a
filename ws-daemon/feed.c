/* One connection: LISTEN, the polls and the heartbeat. LISTEN dies silently, so every few seconds the
 * daemon notifies itself; when that stays unheard the connection is given up. After any loss it
 * listens first and polls then, from where it stood.
 *
 * A PostgreSQL that crashed may give out again the transaction ids whose end never reached the disk,
 * and those can lie below our snapshot. Row ids never come twice: whatever is committed after the
 * crash has a higher one than all before. So the first poll on a new connection also takes in what is
 * above the highest id handed out. (A message's own snapshot, which ?since uses, needs no such care:
 * every transaction it saw end had its record on disk before the message's.) */
#include "ws-daemon/feed.h"

#include "shared/arena.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/store.h"
#include "shared/timefmt.h"
#include "ws-daemon/pgpipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double SWEEP_S = 1, BEAT_S = 5;
/* Polls are never closer than this, so that under load they take in more, not come more often. */
static const double GAP_S = 0.004;

enum state {
    IDLE,    /* waiting for a poke or the sweep */
    POLLING, /* a poll is under way */
    HANDED,  /* the owner works on a batch */
    OFFLINE, /* the connection is not up */
};

struct feed {
    struct ev_loop *loop;
    struct feed_owner owner;
    struct pgpipe *pipe;
    enum state state;
    bool poked;      /* while a poll was under way: look again */
    bool beat_heard; /* since the last beat was sent */
    char beat[48];   /* our heartbeat's payload */
    int64_t beat_at; /* when the last was sent */
    ev_timer sweep, heartbeat, gap;
    double polled_at, awake_until; /* steady times of the last poll, and of the last that found something
                                      plus FEED_AWAKE_US: a clock set back must not stop the feed */
    char *position;                /* pg_snapshot text; everything it sees has been handed out */
    char *target;                  /* of the batches under way, NULL: the next poll takes a new one */
    int64_t after;                 /* last id handed out below target, 0: none */
    int64_t last;                  /* last id of the batch the owner works on */
    int64_t highest;               /* id handed out up to position */
    int64_t *handed;               /* ids handed out above position, sorted: below a target that took many batches */
    size_t handed_count, handed_size;
    const struct change *batch; /* what the owner works on */
    int batch_count;
    bool renewed; /* no poll on this connection yet: it takes in what is above highest, too */
    bool more;    /* the batch was full: go on below the same target */
    struct arena arena;
};

static void poll_now(struct feed *f);

static void replace(char **s, const char *with)
{
    char *copy = with ? strdup(with) : NULL;
    if (with && !copy)
        abort();
    free(*s);
    *s = copy;
}

/* ---- polling ---- */

/* pg_snapshot's text is xmin:xmax:xip,xip,…; what it does not see is xid >= xmax or one of xip. */
static void query_unseen(struct query *q, struct arena *a, const char *snapshot)
{
    const char *xmax = strchr(snapshot, ':') + 1;
    const char *xip = strchr(xmax, ':');
    query_text(q, arena_strndup(a, xmax, (size_t)(xip - xmax)));
    query_text(q, arena_printf(a, "{%s}", xip + 1));
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool was_handed(const struct feed *f, int64_t id)
{
    return f->handed_count && bsearch(&id, f->handed, f->handed_count, sizeof id, by_id);
}

/* Remembers the batch: should the target be lost, a newer one must not bring it again. */
static void remember(struct feed *f)
{
    size_t count = f->handed_count + (size_t)f->batch_count;
    if (count > f->handed_size) {
        f->handed_size = count * 2;
        f->handed = realloc(f->handed, f->handed_size * sizeof *f->handed);
        if (!f->handed)
            abort();
    }
    bool sorted = true; /* always, but after a restart */
    for (int i = 0; i < f->batch_count; i++) {
        int64_t id = f->batch[i].event.id;
        sorted &= !f->handed_count || f->handed[f->handed_count - 1] < id;
        f->handed[f->handed_count++] = id;
    }
    if (!sorted)
        qsort(f->handed, f->handed_count, sizeof *f->handed, by_id);
}

/* Begins anew at the position. The old target is of no use: it may be older than a crash. */
static void restart(struct feed *f)
{
    replace(&f->target, NULL);
    f->after = 0;
    f->more = false;
}

static int read_changes(struct feed *f, const PGresult *res, struct change *out)
{
    int count = 0, rows = 0;
    f->last = 0;
    for (int i = 0; i < PQntuples(res); i++) {
        struct row r = row_at(res, i, &f->arena);
        struct change *c = &out[count];
        const char *snapshot = row_text(&r);
        if (!i && !f->target)
            replace(&f->target, snapshot);
        c->event.id = row_int(&r);
        c->event.kind = row_text(&r);
        c->event.conversation_id = row_int(&r);
        c->event.user_id = row_int(&r);
        c->event.actor_id = row_int(&r);
        c->event.session_id = row_int(&r);
        c->event.seq = row_int(&r);
        c->event.conversation_created = row_time(&r);
        c->event.user_created = row_time(&r);
        c->event.actor_created = row_time(&r);
        c->event.at = row_time(&r);
        c->event.conversation_name = row_text(&r);
        message_read(&r, &c->message);
        if (!c->event.id)
            continue;
        f->last = c->event.id;
        rows++;
        bool is_new = !was_handed(f, c->event.id);
        metric_add(METRIC_CHANGES, 0, is_new);
        metric_add(METRIC_CHANGES_LATE, 0, is_new && c->event.id < f->highest);
        count += is_new;
    }
    f->more = rows == FEED_BATCH;
    return count;
}

static void on_poll(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct feed *f = arg;
    (void)count;
    (void)constraint;
    if (e != OK) {
        if (e != ERR_UNAVAILABLE)
            pgpipe_reset(f->pipe, "the feed's query failed");
        restart(f);
        f->state = f->state == POLLING ? IDLE : f->state; /* the sweep looks again */
        return;
    }
    struct change *changes = arena_alloc(&f->arena, sizeof *changes * (size_t)PQntuples(results[0]));
    f->batch = changes;
    f->batch_count = read_changes(f, results[0], changes);
    f->state = HANDED;
    /* The end of a large change, and the first poll on a connection, may be empty, and are waited for. */
    if (f->batch_count || f->handed_count || f->renewed)
        f->owner.changes(f->owner.arg, f->batch, f->batch_count);
    else
        feed_done(f);
}

static void poll_now(struct feed *f)
{
    struct query q;
    arena_release(&f->arena);
    query_init(&q, SQL_FEED);
    query_unseen(&q, &f->arena, f->position);
    query_text(&q, f->target);
    query_int(&q, f->after);
    if (f->renewed)
        query_int(&q, f->highest);
    else
        query_null(&q);
    f->poked = false;
    f->polled_at = time_seconds();
    ev_timer_stop(f->loop, &f->gap);
    f->state = pgpipe_submit(f->pipe, &q, 1, on_poll, f) == OK ? POLLING : OFFLINE;
}

/* Polls now, or when the gap is over. */
static void poll_soon(struct feed *f)
{
    double wait = f->polled_at + GAP_S - time_seconds();
    if (wait <= 0) {
        poll_now(f);
    } else if (!ev_is_active(&f->gap)) {
        ev_timer_set(&f->gap, wait, 0);
        ev_timer_start(f->loop, &f->gap);
    }
}

static void on_gap(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct feed *f = w->data;
    (void)loop;
    (void)revents;
    if (f->state == IDLE)
        poll_now(f);
}

void feed_poke(struct feed *f)
{
    if (f->state == IDLE && f->position)
        poll_soon(f);
    else
        f->poked = true;
}

void feed_doubt(struct feed *f)
{
    f->renewed = true;
    feed_poke(f);
}

void feed_done(struct feed *f)
{
    int64_t top = f->handed_count ? f->handed[f->handed_count - 1] : 0;
    f->after = f->last;
    if (f->more) {
        remember(f);
    } else {
        top = f->last > top ? f->last : top;
        f->highest = top > f->highest ? top : f->highest;
        f->handed_count = 0;
        f->renewed = false;
        metric_set(METRIC_FEED_CURRENT, 0, time_now());
        free(f->position);
        f->position = f->target;
        f->target = NULL;
        f->after = 0;
    }
    f->state = pgpipe_is_up(f->pipe) ? IDLE : OFFLINE;
    if (f->last)
        f->awake_until = time_seconds() + FEED_AWAKE_US / 1e6;
    if (f->state == IDLE && f->more)
        poll_now(f);
    else if (f->state == IDLE && (f->poked || time_seconds() < f->awake_until))
        poll_soon(f);
}

void feed_again(struct feed *f)
{
    restart(f);
    f->state = pgpipe_is_up(f->pipe) ? IDLE : OFFLINE;
}

static void on_sweep(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    feed_poke(w->data);
}

/* ---- the connection ---- */

static void send_beat(struct feed *f)
{
    struct query q;
    f->beat_heard = false;
    f->beat_at = time_steady();
    query_init(&q, SQL_SAY);
    query_text(&q, f->beat);
    if (pgpipe_submit(f->pipe, &q, 1, NULL, NULL) != OK)
        return; /* down: reconnecting sends the next */
}

static void on_heartbeat(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct feed *f = w->data;
    (void)loop;
    (void)revents;
    if (!pgpipe_is_up(f->pipe))
        return;
    if (f->beat_heard) {
        send_beat(f);
        return;
    }
    metric_add(METRIC_NOTIFY_LOST, 0, 1);
    pgpipe_reset(f->pipe, "the heartbeat was not heard");
}

static void on_start(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct feed *f = arg;
    (void)constraint;
    if (e != OK || count < 2) {
        pgpipe_reset(f->pipe, "LISTEN failed");
        return;
    }
    if (!f->position) {
        struct row r = row_at(results[1], 0, &f->arena);
        replace(&f->position, row_text(&r));
        f->highest = row_int(&r);
    }
    f->renewed = true;
    metric_set(METRIC_LISTEN_UP, 0, 1);
    f->state = f->state == OFFLINE ? IDLE : f->state;
    f->owner.ready(f->owner.arg);
    feed_poke(f);
}

static void on_up(void *arg)
{
    struct feed *f = arg;
    struct query q[2];
    query_init(&q[0], SQL_LISTEN);
    query_init(&q[1], SQL_FEED_START);
    if (pgpipe_submit(f->pipe, q, 2, on_start, f) == OK)
        f->beat_heard = true; /* so far */
}

static void on_down(void *arg)
{
    struct feed *f = arg;
    f->renewed = true;
    metric_set(METRIC_LISTEN_UP, 0, 0);
    if (f->state != HANDED)
        f->state = OFFLINE;
}

static void on_notify(void *arg, const char *payload)
{
    struct feed *f = arg;
    if (!strcmp(payload, f->beat)) {
        metric_set(METRIC_NOTIFY_LAG, 0, time_steady() - f->beat_at);
        f->beat_heard = true;
    } else if (!*payload)
        feed_poke(f);
    else if (strncmp(payload, "beat ", 5))
        f->owner.said(f->owner.arg, payload);
}

struct feed *feed_new(struct ev_loop *loop, const struct config *config, struct feed_owner owner)
{
    struct feed *f = calloc(1, sizeof *f);
    const char *url = *config->listen_database_url ? config->listen_database_url : config->database_url;
    if (!f)
        abort();
    f->loop = loop;
    f->owner = owner;
    f->state = OFFLINE;
    snprintf(f->beat, sizeof f->beat, "beat %ld %lx", (long)getpid(), mrand48() & 0xffffffffL);
    ev_timer_init(&f->sweep, on_sweep, SWEEP_S, SWEEP_S);
    ev_timer_init(&f->heartbeat, on_heartbeat, BEAT_S, BEAT_S);
    ev_init(&f->gap, on_gap);
    f->sweep.data = f->heartbeat.data = f->gap.data = f;
    ev_timer_start(loop, &f->sweep);
    ev_timer_start(loop, &f->heartbeat);
    f->pipe = pgpipe_new(loop, config, url, "feed", (struct pgpipe_owner){on_up, on_down, on_notify, f});
    return f;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    ev_timer_stop(f->loop, &f->sweep);
    ev_timer_stop(f->loop, &f->heartbeat);
    ev_timer_stop(f->loop, &f->gap);
    pgpipe_free(f->pipe);
    arena_release(&f->arena);
    free(f->position);
    free(f->target);
    free(f->handed);
    free(f);
}

struct pgpipe *feed_pipe(struct feed *f)
{
    return f->pipe;
}

const char *feed_position(const struct feed *f)
{
    return f->position ? f->position : "";
}

bool feed_is_settled(const struct feed *f)
{
    return f->position && !f->handed_count && !f->renewed;
}
