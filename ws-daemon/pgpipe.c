/* The connection is in one of four states, written by set_state() alone. Units wait for their
 * results in a queue, in the order they were sent, which is the order PostgreSQL answers in. */
#include "ws-daemon/pgpipe.h"

#include "shared/db.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum state {
    DOWN,       /* no connection; the timer runs until the next attempt */
    CONNECTING, /* PQconnectPoll decides what to wait for; the timer bounds it */
    PREPARING,  /* connected: settings and prepared statements are under way */
    UP,         /* units may be submitted; the timer runs while one is under way */
};

static const double CONNECT_TIMEOUT_S = 5, RETRY_LEAST_S = 0.05, RETRY_MOST_S = 1;
/* How long after a statement's own timeout nothing may come before the server counts as gone. */
static const double SILENCE_S = 2;
/* How often a session that may not write makes room for a new one, which perhaps may. */
static const double RENEW_S = 2;
/* A connection that lasted so long was a good one: the attempts after it begin with short pauses again. (One given up
 * at once, as by a feed that may not LISTEN on a standby, would be made over and over.) */
static const double GOOD_S = 1;

struct unit {
    struct unit *prev, *next;
    pgpipe_done *done;
    void *arg;
    enum error error;
    char constraint[64];
    int expected, count;
    PGresult *results[];
};

struct pgpipe {
    struct ev_loop *loop;
    const struct config *config;
    const char *url, *name;
    int series; /* the metrics' number for name */
    struct pgpipe_owner owner;
    enum state state;
    PGconn *conn;
    ev_io io;
    ev_timer timer;
    ev_prepare flush; /* writes, once per turn of the loop, what units put into libpq's buffer */
    bool unflushed;
    int watched; /* events the watcher waits for */
    double retry_s;
    unsigned turn;  /* which host the next attempt begins with, where url names several */
    bool read_only; /* the session may not write, and never will */
    double up_at;   /* steady time */
    struct unit *units;
    int backlog; /* how many */
    bool heard;  /* a result came since the timer was set */
};

/* Watch for these events on whatever socket libpq has now. Once connected it stays the same. */
static void watch(struct pgpipe *p, int events)
{
    if (events == p->watched && p->state >= PREPARING)
        return;
    p->watched = events;
    ev_io_stop(p->loop, &p->io);
    if (!events)
        return;
    ev_io_set(&p->io, PQsocket(p->conn), events);
    ev_io_start(p->loop, &p->io);
}

static void set_timer(struct pgpipe *p, double seconds)
{
    ev_timer_stop(p->loop, &p->timer);
    if (seconds <= 0)
        return;
    ev_timer_set(&p->timer, seconds, 0);
    ev_timer_start(p->loop, &p->timer);
}

/* Backoff doubles; jitter keeps a fleet from knocking in step. */
static double next_retry(struct pgpipe *p)
{
    double wait = p->retry_s * (0.5 + drand48());
    p->retry_s = p->retry_s * 2 < RETRY_MOST_S ? p->retry_s * 2 : RETRY_MOST_S;
    return wait;
}

static void set_state(struct pgpipe *p, enum state state)
{
    if (state == DOWN) {
        bool good = p->state == UP && time_seconds() - p->up_at >= GOOD_S;
        p->retry_s = good ? RETRY_LEAST_S : p->retry_s;
        p->turn += p->state == CONNECTING;
    }
    p->state = state;
    metric_set(METRIC_DB_UP, p->series, state == UP);
    switch (state) {
    case DOWN:
        watch(p, 0); /* before the descriptor is closed */
        PQfinish(p->conn);
        p->conn = NULL;
        p->unflushed = false;
        set_timer(p, next_retry(p));
        break;
    case CONNECTING: set_timer(p, CONNECT_TIMEOUT_S); break;
    case PREPARING: watch(p, EV_READ); break;
    case UP:
        metric_add(METRIC_DB_CONNECTS, 0, 1);
        p->up_at = time_seconds();
        p->read_only = db_read_only(p->conn);
        set_timer(p, p->read_only ? RENEW_S : 0);
        break;
    }
}

static void unit_finish(struct unit *u)
{
    if (u->done)
        u->done(u->arg, u->error, u->results, u->count, u->constraint);
    for (int i = 0; i < u->count; i++)
        PQclear(u->results[i]);
    free(u);
}

/* Nobody will answer them: each is told so. */
static void fail_units(struct pgpipe *p)
{
    struct unit *u = p->units, *next;
    p->units = NULL;
    p->backlog = 0;
    metric_set(METRIC_DB_BACKLOG, p->series, 0);
    for (; u; u = next) {
        next = u->next;
        u->error = ERR_UNAVAILABLE;
        unit_finish(u);
    }
}

/* The connection is gone: every unit gets its answer, then the owner. */
static void lose(struct pgpipe *p, const char *reason)
{
    bool was_up = p->state == UP;
    metric_add(METRIC_DB_LOSSES, 0, was_up);
    log_event(was_up ? LOG_WARN : LOG_NOTICE, "database_lost", log_text("connection", p->name),
              log_text("reason", reason));
    set_state(p, DOWN);
    fail_units(p);
    if (was_up && p->owner.down)
        p->owner.down(p->owner.arg);
}

void pgpipe_reset(struct pgpipe *p, const char *reason)
{
    if (p->state != DOWN)
        lose(p, reason);
}

/* From here on the server has so long to say something. Without a question it may be time for a new session. */
static void expect_answer(struct pgpipe *p)
{
    double renew = p->up_at + RENEW_S - time_seconds();
    p->heard = false;
    if (p->state == UP && p->units)
        set_timer(p, p->config->statement_timeout / 1e3 + SILENCE_S);
    else if (p->state == UP)
        set_timer(p, !p->read_only ? 0 : renew > 0 ? renew : 0.001);
}

/* ---- sending ---- */

static void flush(struct pgpipe *p)
{
    p->unflushed = false;
    int left = PQflush(p->conn);
    /* A send that met the connection's end closed its socket, and left nothing to flush or to wait for. */
    if (left < 0 || PQstatus(p->conn) != CONNECTION_OK)
        lose(p, PQerrorMessage(p->conn));
    else
        watch(p, left ? EV_READ | EV_WRITE : EV_READ);
}

static void unit_push(struct pgpipe *p, int expected, pgpipe_done *done, void *arg)
{
    struct unit *u = calloc(1, sizeof *u + (size_t)expected * sizeof *u->results);
    if (!u)
        abort();
    u->expected = expected;
    u->done = done;
    u->arg = arg;
    DL_APPEND(p->units, u);
    if (!p->backlog++)
        expect_answer(p);
    metric_set(METRIC_DB_BACKLOG, p->series, p->backlog);
}

enum error pgpipe_submit(struct pgpipe *p, const struct query *queries, int count, pgpipe_done *done, void *arg)
{
    bool sent = true;
    if (p->state != UP)
        return ERR_UNAVAILABLE;
    for (int i = 0; i < count && sent; i++) {
        const struct query *q = &queries[i];
        sent = PQsendQueryPrepared(p->conn, sql_statement(q->sql)->name, q->count, q->values, q->lengths, q->formats,
                                   1);
    }
    unit_push(p, count, done, arg);
    p->unflushed = true;
    if (!sent || !PQpipelineSync(p->conn)) /* out of memory, or lost: the flush will tell */
        shutdown(PQsocket(p->conn), 2);
    return OK;
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
    struct pgpipe *p = w->data;
    (void)loop;
    (void)revents;
    if (p->unflushed && p->conn)
        flush(p);
}

/* ---- receiving ---- */

/* A failed query decides its unit's fate; SQLSTATE classes as in db.c. */
static void unit_failed(struct pgpipe *p, struct unit *u, const PGresult *res)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    if (u->error != OK)
        return;
    if (state && !strcmp(state, "23505") && constraint)
        strncpy(u->constraint, constraint, sizeof u->constraint - 1);
    else
        log_event(LOG_ERROR, "statement_failed", log_text("connection", p->name), log_text("sqlstate", state),
                  log_text("reason", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)));
    u->error = db_sqlstate_error(state);
    p->read_only |= db_sqlstate_read_only(state);
}

/* One result of libpq's stream. False when the connection turned out to be of no use. */
static bool take(struct pgpipe *p, PGresult *res)
{
    struct unit *u = p->units;
    p->heard = true;
    switch (PQresultStatus(res)) {
    case PGRES_PIPELINE_SYNC:
        PQclear(res);
        DL_DELETE(p->units, u);
        metric_set(METRIC_DB_BACKLOG, p->series, --p->backlog);
        unit_finish(u);
        return p->state != DOWN;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
        if (u->count < u->expected) {
            u->results[u->count++] = res;
            return true;
        }
        break;
    case PGRES_PIPELINE_ABORTED: break;
    default: unit_failed(p, u, res);
    }
    PQclear(res);
    return true;
}

static void receive(struct pgpipe *p)
{
    bool separator = false; /* libpq puts a NULL between the results of two queries */
    if (!PQconsumeInput(p->conn)) {
        lose(p, PQerrorMessage(p->conn));
        return;
    }
    while (p->units && !PQisBusy(p->conn)) {
        PGresult *res = PQgetResult(p->conn);
        if (!res && separator)
            break;
        separator = !res;
        if (res && !take(p, res))
            return;
    }
    PGnotify *n;
    while (p->conn && p->state == UP && (n = PQnotifies(p->conn))) {
        if (p->owner.notified)
            p->owner.notified(p->owner.arg, n->extra);
        PQfreemem(n);
    }
    if (p->conn && PQstatus(p->conn) != CONNECTION_OK)
        lose(p, PQerrorMessage(p->conn));
    else if (p->heard)
        expect_answer(p);
}

/* ---- connecting ---- */

static void on_prepared(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct pgpipe *p = arg;
    (void)results;
    (void)count;
    (void)constraint;
    if (p->state != PREPARING) /* lost meanwhile: already dealt with */
        return;
    if (e != OK) { /* a database that is not migrated, most likely */
        lose(p, "the statements do not prepare");
        return;
    }
    set_state(p, UP);
    log_event(LOG_INFO, "database_connected", log_text("connection", p->name));
    if (p->owner.up)
        p->owner.up(p->owner.arg);
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* Settings and every statement, as the first unit. */
static void prepare_session(struct pgpipe *p)
{
    PQsetNoticeReceiver(p->conn, ignore_notice, NULL);
    bool sent = !PQsetnonblocking(p->conn, 1) && PQenterPipelineMode(p->conn);
    char *settings = db_session_settings(p->config), *rest = settings, *one;
    set_state(p, PREPARING);
    while (sent && (one = strsep(&rest, ";")))
        sent = PQsendQueryParams(p->conn, one, 0, NULL, NULL, NULL, NULL, 0);
    for (int i = 0; sent && i < SQL_COUNT; i++) {
        const struct sql_statement *s = sql_statement((enum sql)i);
        sent = PQsendPrepare(p->conn, s->name, s->text, 0, NULL);
    }
    free(settings);
    if (!sent || !PQpipelineSync(p->conn)) {
        lose(p, PQerrorMessage(p->conn));
        return;
    }
    unit_push(p, 0, on_prepared, p);
    p->unflushed = true;
}

static void advance(struct pgpipe *p)
{
    switch (PQconnectPoll(p->conn)) {
    case PGRES_POLLING_READING: watch(p, EV_READ); break;
    case PGRES_POLLING_WRITING: watch(p, EV_WRITE); break;
    case PGRES_POLLING_OK: prepare_session(p); break;
    default: lose(p, PQerrorMessage(p->conn));
    }
}

static void start(struct pgpipe *p)
{
    p->conn = db_connect_start(p->url, "parley-ws", p->turn);
    if (!p->conn || PQstatus(p->conn) == CONNECTION_BAD) {
        lose(p, PQerrorMessage(p->conn));
        return;
    }
    set_state(p, CONNECTING);
    watch(p, EV_WRITE);
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct pgpipe *p = w->data;
    (void)loop;
    if (p->state == CONNECTING) {
        advance(p);
        return;
    }
    if (revents & EV_WRITE)
        flush(p);
    if (p->conn && revents & EV_READ)
        receive(p);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct pgpipe *p = w->data;
    (void)loop;
    (void)revents;
    if (p->state == DOWN) {
        start(p);
    } else if (p->state == UP) {
        receive(p); /* perhaps it was us who stood still, and the answer is there */
        if (p->state == UP && !ev_is_active(&p->timer) && p->units)
            lose(p, "no answer in time");
        else if (p->state == UP && !p->units && p->read_only)
            lose(p, "the database is read-only");
    } else {
        lose(p, "timed out while connecting");
    }
}

struct pgpipe *pgpipe_new(struct ev_loop *loop, const struct config *config, const char *url, const char *name,
                          struct pgpipe_owner owner)
{
    struct pgpipe *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    *p = (struct pgpipe){.loop = loop,
                         .config = config,
                         .url = url,
                         .name = name,
                         .owner = owner,
                         .series = metric_connection(name),
                         .retry_s = RETRY_LEAST_S};
    ev_init(&p->io, on_io);
    ev_init(&p->timer, on_timer);
    ev_prepare_init(&p->flush, on_prepare);
    p->io.data = p->timer.data = p->flush.data = p;
    ev_prepare_start(loop, &p->flush);
    start(p);
    return p;
}

void pgpipe_free(struct pgpipe *p)
{
    if (!p)
        return;
    ev_io_stop(p->loop, &p->io);
    ev_prepare_stop(p->loop, &p->flush);
    p->state = DOWN; /* nothing can be submitted any more */
    PQfinish(p->conn);
    p->conn = NULL;
    fail_units(p);
    ev_timer_stop(p->loop, &p->timer);
    free(p);
}

int pgpipe_backlog(const struct pgpipe *p)
{
    return p->backlog;
}

bool pgpipe_is_up(const struct pgpipe *p)
{
    return p->state == UP;
}

void pgpipe_hurry(struct pgpipe *p)
{
    if (p->state == DOWN)
        start(p);
}
