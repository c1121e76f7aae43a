/* The checks run in the monitor's process, so all they know of the daemon is what stands in the metrics. */
#include "ws-daemon/health.h"

#include "shared/metrics.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/events.h"

/* Without a sign of life. A look at the database at the start may take half of that. */
static const int64_t STILL_US = 10000000;

/* ---- the one request that a daemon answers */

static const char *request_method(int i)
{
    (void)i;
    return "GET";
}

static const char *request_pattern(int i)
{
    (void)i;
    return "/api/v1/events";
}

static const struct metric_routes requests = {1, request_method, request_pattern};

/* ---- checks */

static const char *loop_stands_still(struct monitor *m)
{
    (void)m;
    return time_now() - metric_get(METRIC_TURN, 0) > STILL_US ? "the daemon's loop stands still" : NULL;
}

static const char *not_ready(struct monitor *m)
{
    static const char *const needed[] = {"writes", "queries", "events"};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!metric_get(METRIC_DB_UP, metric_connection(needed[i])))
            return "a connection to the database is down";
    if (!metric_get(METRIC_LISTEN_UP, 0))
        return "LISTEN is down";
    return metric_get(METRIC_SERVING, 0) ? monitor_database(m) : "no sockets are let in";
}

void health_init(struct monitor *m)
{
    metrics_start(DAEMON, &requests);
    *m = (struct monitor){.health = loop_stands_still, .ready = not_ready};
}

void health_report(const struct daemon *d)
{
    metric_set(METRIC_TURN, 0, time_now());
    metric_set(METRIC_OUTBOX_BYTES, 0, (int64_t)d->outbox_bytes);
    metric_set(METRIC_OUTBOX_LIMIT, 0, d->config.outbox_total);
    metric_set(METRIC_WATCHERS, 0, d->events ? events_count(d) : 0);
}
