/* ws-daemon: the sockets of Parley. One thread, one libev loop, shared by libwebsockets and libpq;
 * nothing in it waits. */
#include "shared/db.h"
#include "shared/log.h"
#include "shared/notify.h"
#include "shared/timefmt.h"
#include "ws-daemon/addresses.h"
#include "ws-daemon/conn.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/dispatch.h"
#include "ws-daemon/events.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/health.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/listener.h"
#include "ws-daemon/onlookers.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/posts.h"
#include "ws-daemon/presence.h"
#include "ws-daemon/receipts.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"
#include "ws-daemon/tokens.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* How long a stopping daemon waits for its writes to end, and for its sockets to be closed by their
 * clients, who may be gone; how long one that starts lets handshakes wait before it refuses them, as
 * nobody knows when the database will be there; and how often it looks for that. */
static const double DRAIN_S = 5, FAREWELL_S = 2, PATIENCE_S = 2, CHECK_S = 0.5;
enum { CONNECTIONS = 4 }; /* to PostgreSQL: the feed's, the sender's, the events', that of all other questions */

/* The watchers of main's own. */
struct watch {
    struct daemon *daemon;
    struct db db;
    struct monitor *monitor;
    ev_signal terminate, interrupt, hangup;
    ev_timer second, check, patience;
    double stopped_at; /* steady time */
    bool watched;      /* by a service manager that wants signs of life */
    int status;        /* to exit with */
};

/* Leaves once what was taken is answered, what was shown is noted (or it would be shown again) and the sockets
 * are closed, or time is up. */
static void leave_when_drained(struct watch *w)
{
    struct daemon *d = w->daemon;
    double waited = time_seconds() - w->stopped_at;
    if (!d->stopping)
        return;
    bool drained = !sender_backlog(d->sender) && receipts_are_written(d) && presence_has_left(d) &&
                   ((!d->conns && !events_count(d)) || waited >= FAREWELL_S);
    if (drained || waited >= DRAIN_S)
        ev_break(d->loop, EVBREAK_ALL);
}

static void on_second(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watch *w = timer->data;
    (void)loop;
    (void)revents;
    if (w->watched)
        notify("WATCHDOG=1");
    health_report(w->daemon);
    monitor_keep(w->monitor);
    server_sweep(w->daemon);
    revoked_forget(w->daemon->revoked, time_seconds());
    tokens_forget(w->daemon, time_seconds());
    leave_when_drained(w);
}

static void on_terminate(struct ev_loop *loop, ev_signal *sig, int revents)
{
    struct watch *w = sig->data;
    (void)revents;
    if (w->daemon->stopping)
        return;
    log_event(LOG_NOTICE, "stopping", log_int("sockets", w->daemon->conn_count));
    if (!w->daemon->feed) {
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    notify("STOPPING=1");
    w->stopped_at = time_seconds();
    server_stop(w->daemon);
    presence_leave(w->daemon);
    ev_timer_stop(loop, &w->second);
    ev_timer_set(&w->second, 0.02, 0.02);
    ev_timer_start(loop, &w->second);
}

static void on_hangup(struct ev_loop *loop, ev_signal *sig, int revents)
{
    struct watch *w = sig->data;
    struct keyring fresh;
    (void)loop;
    (void)revents;
    config_reload(&w->daemon->config);
    if (!keyring_load(&fresh, w->daemon->config.key_file))
        return;
    w->daemon->keyring = fresh;
    log_event(LOG_NOTICE, "keys_reloaded", log_int("keys", fresh.count));
}

static void watch_signal(struct watch *w, ev_signal *sig, int number, void (*cb)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(sig, cb, number);
    sig->data = w;
    ev_signal_start(w->daemon->loop, sig);
}

static void on_queries_up(void *arg)
{
    server_ready(arg, PART_QUERIES);
}

/* If PostgreSQL crashed, the feed's connection may tell later than this one. */
static void on_queries_lost(void *arg)
{
    struct daemon *d = arg;
    if (d->feed)
        feed_doubt(d->feed);
}

/* The parts that talk to the database. */
static void start_parts(struct daemon *d)
{
    d->sender = sender_new(d);
    d->queries = pgpipe_new(d->loop, &d->config, d->config.database_url, "queries",
                            (struct pgpipe_owner){.up = on_queries_up, .down = on_queries_lost, .arg = d});
    d->presence = presence_new(d);
    d->onlookers = onlookers_new(d);
    d->receipts = receipts_new(d);
    d->events = events_new(d);
    d->posts = posts_new(d);
    d->feed = feed_new(d->loop, &d->config, dispatch_owner(d));
}

static void stop_parts(struct daemon *d)
{
    events_free(d->events);
    pgpipe_free(d->queries); /* whoever waits for an answer is told so, and may look at the rest */
    sender_free(d->sender);
    feed_free(d->feed);
    presence_free(d->presence);
    onlookers_free(d->onlookers);
    receipts_free(d->receipts);
    posts_free(d->posts);
}

/* May wait a second, as long as nothing is served but refusals. */
static void on_check(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watch *w = timer->data;
    (void)revents;
    enum error e = db_check(&w->db, CONNECTIONS, 0);
    ev_now_update(loop);
    if (e == ERR_UNAVAILABLE) {
        ev_timer_set(timer, CHECK_S, 0);
        ev_timer_start(loop, timer);
        return;
    }
    db_release(&w->db);
    if (e == OK) {
        start_parts(w->daemon);
    } else {
        w->status = EX_CONFIG;
        ev_break(loop, EVBREAK_ALL);
    }
}

static void on_patience_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watch *w = timer->data;
    (void)loop;
    (void)revents;
    if (!w->daemon->stopping)
        listener_accept(w->daemon);
}

static void watch_time(struct watch *w, ev_timer *timer, double after, double every,
                       void (*cb)(struct ev_loop *, ev_timer *, int))
{
    ev_timer_init(timer, cb, after, every);
    timer->data = w;
    ev_timer_start(w->daemon->loop, timer);
}

static int run(struct daemon *d, struct monitor *monitor)
{
    struct watch w = {.daemon = d, .monitor = monitor, .watched = notify_watchdog_us() > 0, .status = EXIT_SUCCESS};
    db_init(&w.db, &d->config);
    watch_signal(&w, &w.terminate, SIGTERM, on_terminate);
    watch_signal(&w, &w.interrupt, SIGINT, on_terminate);
    watch_signal(&w, &w.hangup, SIGHUP, on_hangup);
    watch_time(&w, &w.second, 1, 1, on_second);
    watch_time(&w, &w.check, 0, 0, on_check);
    watch_time(&w, &w.patience, PATIENCE_S, 0, on_patience_over);
    health_report(d);
    monitor_keep(monitor);
    ev_run(d->loop, 0);
    db_release(&w.db);
    return w.status;
}

/* Two descriptors a socket would need in nginx; here it is one, and as many as we are let. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool sql_is_good(const struct config *config)
{
    struct db db;
    db_init(&db, config);
    bool good = db_check_sql(&db);
    db_release(&db);
    return good;
}

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct monitor monitor;
    bool check_sql = false;
    if (argc == 2 && !strcmp(argv[1], "--ops")) {
        dialects_print(stdout);
        return EXIT_SUCCESS;
    }
    enum config_result result = config_load("ws-daemon", argc, argv, &d.config, &check_sql);
    if (result != CONFIG_OK)
        return result == CONFIG_EXIT ? EXIT_SUCCESS : EX_CONFIG;
    if (check_sql)
        return sql_is_good(&d.config) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (!keyring_load(&d.keyring, d.config.key_file))
        return EX_CONFIG;

    raise_limits();
    signal(SIGPIPE, SIG_IGN);
    srand48(time(NULL) ^ getpid());
    d.loop = ev_default_loop(0);
    d.hub = hub_new();
    d.revoked = revoked_new(&d.config);
    d.tokens = tokens_new();
    d.addresses = addresses_new();
    health_init(&monitor);
    monitor_open(&monitor, &d.config);
    int status = listener_open(&d) && server_new(&d) ? run(&d, &monitor) : EX_CONFIG;
    listener_close(&d);
    server_free(&d);
    stop_parts(&d);
    revoked_free(d.revoked);
    tokens_free(d.tokens);
    addresses_free(d.addresses);
    hub_free(d.hub);
    ev_loop_destroy(d.loop);
    monitor_close(&monitor);
    log_event(LOG_NOTICE, "stopped");
    return status;
}
