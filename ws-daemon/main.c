/* ws-daemon: the sockets of Parley. One thread, one libev loop, shared by libwebsockets and libpq;
 * nothing in it waits. */
#include "shared/db.h"
#include "shared/log.h"
#include "ws-daemon/conn.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dispatch.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/onlookers.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/presence.h"
#include "ws-daemon/receipts.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

static const double DRAIN_S = 5; /* how long a stopping daemon waits for writes and sockets */

/* The watchers of main's own. */
struct watch {
    struct daemon *daemon;
    ev_signal terminate, interrupt, hangup;
    ev_timer second;
    double stop_by;
};

/* Leaves once what was taken is answered and the sockets are closed, or time is up. */
static void leave_when_drained(struct watch *w)
{
    struct daemon *d = w->daemon;
    bool drained = !sender_backlog(d->sender) && !d->conns && presence_has_left(d);
    if (d->stopping && (drained || ev_now(d->loop) >= w->stop_by))
        ev_break(d->loop, EVBREAK_ALL);
}

static void on_second(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct watch *w = timer->data;
    (void)loop;
    (void)revents;
    server_sweep(w->daemon);
    leave_when_drained(w);
}

static void on_terminate(struct ev_loop *loop, ev_signal *sig, int revents)
{
    struct watch *w = sig->data;
    (void)revents;
    if (w->daemon->stopping)
        return;
    log_event(LOG_NOTICE, "stopping", log_int("sockets", w->daemon->conn_count));
    w->stop_by = ev_now(loop) + DRAIN_S;
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
    if (!keyring_load(&fresh, w->daemon->config.key_file))
        return;
    w->daemon->keyring = fresh;
    log_event(LOG_NOTICE, "keys_reloaded", log_int("keys", fresh.count));
}

static void watch_signal(struct watch *w, ev_signal *sig, int number,
                         void (*cb)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(sig, cb, number);
    sig->data = w;
    ev_signal_start(w->daemon->loop, sig);
}

static void run(struct daemon *d)
{
    struct watch w = {.daemon = d};
    watch_signal(&w, &w.terminate, SIGTERM, on_terminate);
    watch_signal(&w, &w.interrupt, SIGINT, on_terminate);
    watch_signal(&w, &w.hangup, SIGHUP, on_hangup);
    ev_timer_init(&w.second, on_second, 1, 1);
    w.second.data = &w;
    ev_timer_start(d->loop, &w.second);
    ev_run(d->loop, 0);
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

int main(int argc, char **argv)
{
    struct daemon d = {0};
    struct db db;
    bool check_sql = false;
    enum config_result result = config_load("ws-daemon", argc, argv, &d.config, &check_sql);
    if (result != CONFIG_OK)
        return result == CONFIG_EXIT ? EXIT_SUCCESS : EX_CONFIG;
    db_init(&db, &d.config);
    if (check_sql) {
        bool good = db_check_sql(&db);
        db_release(&db);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    if (!keyring_load(&d.keyring, d.config.key_file))
        return EX_CONFIG;
    bool schema = db_schema_matches(&db, true);
    db_release(&db);
    if (!schema)
        return EX_CONFIG;

    raise_limits();
    signal(SIGPIPE, SIG_IGN);
    srand48(time(NULL) ^ getpid());
    d.loop = ev_default_loop(0);
    d.hub = hub_new();
    d.revoked = revoked_new();
    d.sender = sender_new(&d);
    d.queries = pgpipe_new(d.loop, &d.config, d.config.database_url, "queries", (struct pgpipe_owner){0});
    d.presence = presence_new(&d);
    d.onlookers = onlookers_new(&d);
    d.receipts = receipts_new(&d);
    d.feed = feed_new(d.loop, &d.config, dispatch_owner(&d));
    run(&d);

    bool served = d.lws != NULL;
    server_free(&d);
    feed_free(d.feed);
    presence_free(d.presence);
    onlookers_free(d.onlookers);
    receipts_free(d.receipts);
    pgpipe_free(d.queries);
    sender_free(d.sender);
    revoked_free(d.revoked);
    hub_free(d.hub);
    ev_loop_destroy(d.loop);
    log_event(LOG_NOTICE, "stopped");
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}
