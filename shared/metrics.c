/* A family's numbers stand one behind the other, series by series; a histogram has one for each bucket and
 * one for the sum. A process that was killed while it added to them has added or has not. */
#include "shared/metrics.h"

#include "schema_version.h"
#include "shared/timefmt.h"
#include "shared/token.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum type { COUNTER, GAUGE, MOMENT, HISTOGRAM };

/* ---- labels ---- */

static const char *const limits[] = {"login_tries",         "body_size", "frame_rate", "sockets_per_user",
                                     "sockets_per_address", "outbox",    "consumers",  "tokens"};
static const char *const logins[] = {"ok", "failed", "throttled"};
static const char *const mails[] = {"sent", "logged", "failed", "deferred"};
static const char *const callbacks[] = {"delivered", "failed", "dead"};
static const char *const connections[] = {"feed", "writes", "queries", "events"};
/* All that we answer; the last stands for any other. */
static const int statuses[] = {200, 201, 202, 204, 400, 401, 403, 404, 405, 409, 410, 413, 415, 426, 429, 503, 500};

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))
enum { STATUSES = COUNT(statuses), REASON_PEER = 0, REASON_SILENT = ERROR_COUNT };

static const struct metric_routes no_routes;
static const struct metric_routes *routes = &no_routes;

/* clang-format off */
static void show_dialect(FILE *out, int i) { fprintf(out, "dialect=\"%s\"", dialect_name((enum dialect)i)); }
static void show_code(FILE *out, int i) { fprintf(out, "code=\"%s\"", error_code((enum error)i)); }
static void show_limit(FILE *out, int i) { fprintf(out, "limit=\"%s\"", limits[i]); }
static void show_login(FILE *out, int i) { fprintf(out, "result=\"%s\"", logins[i]); }
static void show_mail(FILE *out, int i) { fprintf(out, "result=\"%s\"", mails[i]); }
static void show_callback(FILE *out, int i) { fprintf(out, "result=\"%s\"", callbacks[i]); }
static void show_connection(FILE *out, int i) { fprintf(out, "connection=\"%s\"", connections[i]); }
/* clang-format on */

static void show_reason(FILE *out, int i)
{
    fprintf(out, "reason=\"%s\"",
            i == REASON_PEER     ? "peer"
            : i == REASON_SILENT ? "silent"
                                 : error_code((enum error)i));
}

static void show_route(FILE *out, int i)
{
    bool known = i < routes->count;
    fprintf(out, "method=\"%s\",route=\"%s\"", known ? routes->method(i) : "-", known ? routes->pattern(i) : "-");
}

static void show_route_status(FILE *out, int i)
{
    show_route(out, i / STATUSES);
    fprintf(out, ",status=\"%d\"", statuses[i % STATUSES]);
}

enum label { NONE, DIALECT, CODE, REASON, LIMIT, LOGIN, MAIL, CALLBACK, CONNECTION, ROUTE, ROUTE_STATUS };

/* How many values a label has (in all, or for each route), whether they are shown before they were met
 * for the first time, and how. */
static const struct {
    int count, per_route;
    bool always;
    void (*show)(FILE *out, int series);
} labels[] = {
    [NONE] = {1, 0, true, NULL},
    [DIALECT] = {DIALECTS, 0, true, show_dialect},
    [CODE] = {ERROR_COUNT, 0, false, show_code},
    [REASON] = {ERROR_COUNT + 1, 0, false, show_reason},
    [LIMIT] = {COUNT(limits), 0, true, show_limit},
    [LOGIN] = {COUNT(logins), 0, true, show_login},
    [MAIL] = {COUNT(mails), 0, true, show_mail},
    [CALLBACK] = {COUNT(callbacks), 0, true, show_callback},
    [CONNECTION] = {COUNT(connections), 0, true, show_connection},
    [ROUTE] = {0, 1, false, show_route},
    [ROUTE_STATUS] = {0, STATUSES, false, show_route_status},
};

static int series_count(enum label l)
{
    return labels[l].count + labels[l].per_route * (routes->count + 1);
}

/* ---- the families and their numbers ---- */

static const struct family {
    enum type type;
    int programs;
    enum label label;
    const char *name, *help;
} families[METRICS] = {
#define F(id, type, programs, label, name, help) {type, programs, label, name, help},
    METRICS_TABLE(F)
#undef F
};

/* Upper ends of a histogram's buckets, microseconds; a last one has none. */
static const int64_t ends[] = {1000,   2500,   5000,    10000,   25000,   50000,   100000,
                               250000, 500000, 1000000, 2500000, 5000000, 10000000};
enum { ENDS = COUNT(ends), SUM = ENDS + 1, HISTOGRAM_NUMBERS };

static _Atomic int64_t *numbers; /* NULL: nobody counts */
static int first[METRICS], program;

static int width(const struct family *f)
{
    return f->type == HISTOGRAM ? HISTOGRAM_NUMBERS : 1;
}

void metrics_start(int which, const struct metric_routes *of)
{
    int total = 0;
    program = which;
    routes = of ? of : &no_routes;
    for (int i = 0; i < METRICS; i++) {
        first[i] = total;
        total += series_count(families[i].label) * width(&families[i]);
    }
    void *shared = mmap(NULL, (size_t)total * sizeof *numbers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0);
    if (shared == MAP_FAILED)
        abort();
    numbers = shared;
    metric_set(METRIC_STARTED, 0, time_now());
}

void metric_add(enum metric m, int series, int64_t n)
{
    if (numbers)
        atomic_fetch_add_explicit(&numbers[first[m] + series], n, memory_order_relaxed);
}

void metric_set(enum metric m, int series, int64_t value)
{
    if (numbers)
        atomic_store_explicit(&numbers[first[m] + series], value, memory_order_relaxed);
}

int64_t metric_get(enum metric m, int series)
{
    return numbers ? atomic_load_explicit(&numbers[first[m] + series], memory_order_relaxed) : 0;
}

void metric_observe(enum metric m, int series, int64_t us)
{
    int bucket = 0, start = series * HISTOGRAM_NUMBERS;
    us = us > 0 ? us : 0;
    while (bucket < ENDS && us > ends[bucket])
        bucket++;
    metric_add(m, start + bucket, 1);
    metric_add(m, start + SUM, us);
}

/* ---- what needs a look at a list first ---- */

void metric_request(int route, int status, int64_t us)
{
    int i = 0;
    while (i < STATUSES - 1 && statuses[i] != status)
        i++;
    metric_add(METRIC_REQUESTS, route * STATUSES + i, 1);
    if (us >= 0)
        metric_observe(METRIC_REQUEST_TIME, route, us);
}

/* Several errors have one code: the first of them counts for all. */
static enum error by_code(enum error e)
{
    enum error same = OK + 1;
    while (same < e && strcmp(error_code(same), error_code(e)))
        same++;
    return same;
}

/* In the order of limits[]. */
static const enum error limit_errors[] = {ERR_LOGIN_THROTTLED,    ERR_BODY_TOO_LARGE,        ERR_RATE_LIMITED,
                                          ERR_TOO_MANY_SOCKETS,   ERR_TOO_MANY_FROM_ADDRESS, ERR_TOO_SLOW,
                                          ERR_TOO_MANY_CONSUMERS, ERR_TOO_MANY_TOKENS};
_Static_assert(COUNT(limit_errors) == COUNT(limits), "an error for each limit");

void metric_error(enum error e)
{
    if (e == OK)
        return;
    metric_add(METRIC_ERRORS, (int)by_code(e), 1);
    for (int i = 0; i < COUNT(limits); i++)
        if (limit_errors[i] == e)
            metric_add(METRIC_LIMITS, i, 1);
}

void metric_socket_closed(enum error reason, bool silent)
{
    int series = silent ? REASON_SILENT : reason == OK ? REASON_PEER : (int)by_code(reason);
    metric_add(METRIC_SOCKETS_CLOSED, series, 1);
}

int metric_connection(const char *name)
{
    int i = 0;
    while (i < COUNT(connections) - 1 && strcmp(connections[i], name))
        i++;
    return i;
}

/* ---- the text ---- */

static void open_sample(FILE *out, const struct family *f, const char *suffix, int series)
{
    fprintf(out, "%s%s", f->name, suffix);
    if (f->label == NONE)
        return;
    fputc('{', out);
    labels[f->label].show(out, series);
    fputc('}', out);
}

static void show_histogram(FILE *out, enum metric m, int series)
{
    const struct family *f = &families[m];
    const char *comma = f->label == NONE ? "" : ",";
    int at = series * HISTOGRAM_NUMBERS;
    int64_t count = 0;
    for (int i = 0; i <= ENDS; i++) {
        count += metric_get(m, at + i);
        fprintf(out, "%s_bucket{", f->name);
        if (f->label != NONE)
            labels[f->label].show(out, series);
        if (i < ENDS)
            fprintf(out, "%sle=\"%g\"} %lld\n", comma, (double)ends[i] / 1e6, (long long)count);
        else
            fprintf(out, "%sle=\"+Inf\"} %lld\n", comma, (long long)count);
    }
    open_sample(out, f, "_sum", series);
    fprintf(out, " %.6f\n", (double)metric_get(m, at + SUM) / 1e6);
    open_sample(out, f, "_count", series);
    fprintf(out, " %lld\n", (long long)count);
}

static bool is_used(enum metric m, int series)
{
    int n = width(&families[m]), at = series * n;
    for (int i = 0; i < n; i++)
        if (metric_get(m, at + i))
            return true;
    return false;
}

static void show_series(FILE *out, enum metric m, int series)
{
    const struct family *f = &families[m];
    if (f->type == HISTOGRAM) {
        show_histogram(out, m, series);
        return;
    }
    open_sample(out, f, "", series);
    if (f->type == MOMENT)
        fprintf(out, " %.6f\n", (double)metric_get(m, series) / 1e6);
    else
        fprintf(out, " %lld\n", (long long)metric_get(m, series));
}

static void show_family(FILE *out, enum metric m)
{
    static const char *const types[] = {"counter", "gauge", "gauge", "histogram"};
    const struct family *f = &families[m];
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->type]);
    for (int i = 0; i < series_count(f->label); i++)
        if (labels[f->label].always || is_used(m, i))
            show_series(out, m, i);
}

char *metrics_text(size_t *len)
{
    static const char *const names[] = {[POOL] = "fcgi-app", [DAEMON] = "ws-daemon", [COURIER] = "courier"};
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        abort();
    fprintf(out,
            "# HELP parley_build_info 1; which program this is\n# TYPE parley_build_info gauge\n"
            "parley_build_info{program=\"%s\",version=\"%s\",schema=\"%d\"} 1\n",
            names[program], VERSION, SCHEMA_VERSION);
    for (int i = 0; i < METRICS; i++)
        if (families[i].programs & program)
            show_family(out, (enum metric)i);
    fclose(out);
    return text;
}
