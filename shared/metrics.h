/* What the programs count, and the text in which Prometheus reads it.
 *
 * One table holds every family of metrics. The numbers stand in memory that all processes of a service
 * share: its workers add to them, and the process that answers scrapes (see monitor.h) reads them. To count
 * is one relaxed atomic addition. Labels take their values from fixed lists, never from what a client sent. */
#ifndef PARLEY_METRICS_H
#define PARLEY_METRICS_H

#include "shared/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose metrics a family belongs to. */
enum { POOL = 1, DAEMON = 2, COURIER = 4, EVERYBODY = POOL | DAEMON | COURIER };

/* clang-format off */
/* F(METRIC, type, programs, label, name, help)
 *
 * type   COUNTER; GAUGE; MOMENT, a gauge kept in microseconds, shown in seconds; HISTOGRAM of
 *        microseconds, shown in seconds.
 * label  the list its label's values come from (labels[] in metrics.c); NONE: the family is one number. */
#define METRICS_TABLE(F)                                                                                     \
    F(READY, GAUGE, EVERYBODY, NONE, "parley_ready", "1 when /readyz is green, else 0")                      \
    F(STARTED, MOMENT, EVERYBODY, NONE, "parley_start_time_seconds", "when the service started, since the epoch")\
    F(DB_CONNECTS, COUNTER, EVERYBODY, NONE, "parley_database_connects_total",                               \
      "connections to PostgreSQL made, the first ones included")                                             \
    F(DB_LOSSES, COUNTER, EVERYBODY, NONE, "parley_database_losses_total",                                   \
      "connections to PostgreSQL that broke")                                                                \
    F(MESSAGES, COUNTER, POOL | DAEMON, NONE, "parley_messages_sent_total",                                  \
      "messages stored: by the pools over REST, by the daemons over sockets; repeats do not count")          \
    F(ERRORS, COUNTER, POOL | DAEMON, CODE, "parley_errors_total",                                           \
      "errors told to clients, by the code of the error")                                                    \
    F(LIMITS, COUNTER, POOL | DAEMON, LIMIT, "parley_limits_hit_total",                                      \
      "limits that a client ran into (nginx's stand in its access log)")                                 \
    F(REQUESTS, COUNTER, POOL | DAEMON, ROUTE_STATUS, "parley_http_requests_total",                                   \
      "requests answered, by the route's pattern and status")                                                \
    F(REQUEST_TIME, HISTOGRAM, POOL, ROUTE, "parley_http_request_duration_seconds",                          \
      "from reading a request to having written its answer")                                                 \
    F(LOGINS, COUNTER, POOL, LOGIN, "parley_logins_total", "logins tried: ok, failed, throttled")            \
    F(WORKERS, GAUGE, POOL, NONE, "parley_pool_workers", "worker processes that run")                        \
    F(WORKERS_BUSY, GAUGE, POOL, NONE, "parley_pool_workers_busy", "those that are at a request")            \
    F(WORKER_DEATHS, COUNTER, POOL, NONE, "parley_pool_worker_deaths_total",                                 \
      "worker processes that ended unasked, and were replaced")                                              \
    F(SOCKETS, GAUGE, DAEMON, DIALECT, "parley_sockets", "sockets that are open")                            \
    F(SOCKETS_OPENED, COUNTER, DAEMON, DIALECT, "parley_sockets_opened_total", "sockets let in")             \
    F(SOCKETS_CLOSED, COUNTER, DAEMON, REASON, "parley_sockets_closed_total",                                \
      "sockets closed: by the client (peer), as it was gone without a word (silent), or by us, and why")     \
    F(WATCHERS, GAUGE, DAEMON, NONE, "parley_event_watchers", "requests that wait for events, or stream them")\
    F(FRAMES_IN, COUNTER, DAEMON, NONE, "parley_frames_received_total", "frames that sockets sent us")       \
    F(FRAMES_OUT, COUNTER, DAEMON, NONE, "parley_frames_sent_total", "frames written to sockets")            \
    F(OUTBOX_BYTES, GAUGE, DAEMON, NONE, "parley_outbox_bytes", "bytes waiting for all sockets")             \
    F(OUTBOX_LIMIT, GAUGE, DAEMON, NONE, "parley_outbox_limit_bytes", "how many may (OUTBOX_TOTAL)")         \
    F(SERVING, GAUGE, DAEMON, NONE, "parley_serving", "1 while sockets are let in")                          \
    F(LISTEN_UP, GAUGE, DAEMON, NONE, "parley_listen_up", "1 while LISTEN stands")                           \
    F(DB_UP, GAUGE, DAEMON, CONNECTION, "parley_database_up", "1 while this connection to PostgreSQL stands")\
    F(DB_BACKLOG, GAUGE, DAEMON, CONNECTION, "parley_database_backlog",                                      \
      "questions sent to PostgreSQL and not yet answered")                                                   \
    F(NOTIFY_LAG, MOMENT, DAEMON, NONE, "parley_notify_lag_seconds",                                         \
      "how long the last heartbeat took through NOTIFY and back; one is sent every 5 s")                     \
    F(NOTIFY_LOST, COUNTER, DAEMON, NONE, "parley_notify_lost_total", "heartbeats that never came back")     \
    F(CHANGES, COUNTER, DAEMON, NONE, "parley_feed_changes_total", "messages and events read from PostgreSQL")\
    F(CHANGES_LATE, COUNTER, DAEMON, NONE, "parley_feed_gaps_filled_total",                                  \
      "those that became visible after one with a higher id had")                                            \
    F(FEED_CURRENT, MOMENT, DAEMON, NONE, "parley_feed_current_timestamp_seconds",                           \
      "when the feed had last read all there was, since the epoch; about now when all is well")              \
    F(DELIVERY, HISTOGRAM, DAEMON, NONE, "parley_message_delivery_seconds",                                  \
      "from storing a message to handing it to the sockets of this daemon")                                  \
    F(TURN, MOMENT, DAEMON, NONE, "parley_loop_timestamp_seconds",                                           \
      "when the daemon's loop last came round, since the epoch; it does so every second")                    \
    F(MAILS, COUNTER, COURIER, MAIL, "parley_mails_total", "attempts to deliver a mail, by how they ended")  \
    F(MAIL_QUEUE, GAUGE, COURIER, NONE, "parley_mail_queue", "mails that are owed")                          \
    F(MAIL_OLDEST, MOMENT, COURIER, NONE, "parley_mail_queue_age_seconds", "for how long the oldest of them has been")\
    F(CALLBACKS, COUNTER, COURIER, CALLBACK, "parley_callback_posts_total",                                  \
      "attempts to post to a callback, by how they ended: delivered, failed, dead (given up)")               \
    F(CALLBACK_QUEUE, GAUGE, COURIER, NONE, "parley_callback_queue", "posts that are owed to callbacks")     \
    F(CALLBACK_DEAD, GAUGE, COURIER, NONE, "parley_callback_dead_letters", "posts that were given up and are kept")\
    F(PURGED, COUNTER, COURIER, NONE, "parley_retention_deleted_total", "messages deleted because of their age")\
    F(PURGE_AT, MOMENT, COURIER, NONE, "parley_retention_run_timestamp_seconds",                             \
      "when messages that are too old were last looked for, since the epoch; about now when all is well")    \
    F(PURGE_TOOK, MOMENT, COURIER, NONE, "parley_retention_run_duration_seconds",                            \
      "how long the last run that deleted something took")
/* clang-format on */

enum metric {
#define F(id, type, programs, label, name, help) METRIC_##id,
    METRICS_TABLE(F)
#undef F
        METRICS
};

/* Series of METRIC_LOGINS; those of METRIC_MAILS are enum mail_state. */
enum { LOGIN_OK, LOGIN_FAILED, LOGIN_THROTTLED };
/* Of METRIC_CALLBACKS. */
enum { CALLBACK_DELIVERED, CALLBACK_FAILED, CALLBACK_GIVEN_UP };

/* The routes of a program: the method and the pattern of each, as in "GET", "/api/v1/users/{uuid}". */
struct metric_routes {
    int count;
    const char *(*method)(int route);
    const char *(*pattern)(int route);
};

/* Makes the shared memory; before the first fork, and before anything counts (what counts earlier, or in a
 * program that never calls this, counts for nothing). program is one of POOL, DAEMON and COURIER; routes is
 * borrowed, NULL where there are none. */
void metrics_start(int program, const struct metric_routes *routes);

/* Adds n to, sets, or reads one number. series: which of the label's values, 0 without a label. */
void metric_add(enum metric m, int series, int64_t n);
void metric_set(enum metric m, int series, int64_t value);
int64_t metric_get(enum metric m, int series);

/* Takes microseconds into a histogram; less than none counts as none. */
void metric_observe(enum metric m, int series, int64_t us);

/* ---- what needs a look at a list first */

/* A request was answered; route: its number, or metric_routes.count for none; us -1: the time it took does
 * not count. */
void metric_request(int route, int status, int64_t us);
/* An error was told to a client; counts the limit too if it is one. OK: nothing. */
void metric_error(enum error e);
/* A socket was closed: by us for a reason, by its peer (OK), or as nothing was heard from it. */
void metric_socket_closed(enum error reason, bool silent);
/* The series of one of the daemon's connections, by its name. */
int metric_connection(const char *name);

/* All of them in Prometheus' text format 0.0.4; the caller frees it. */
char *metrics_text(size_t *len);

#endif
