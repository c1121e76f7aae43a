/* The parent waits for signals and nothing else, so whatever happens to a worker, it is there. */
#include "fcgi-app/pool.h"

#include "fcgi-app/worker.h"
#include "shared/listen.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/notify.h"
#include "shared/timefmt.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SOON_US = 1000000,        /* a worker that dies sooner than this after its start… */
    BRAKE_US = 100000,        /* …holds up the next start by this much */
    CHECK_US = 500000,        /* between two looks at a database that was away when the pool started… */
    CHECK_PATIENCE_MS = 2000, /* …and what one of them may take */
    GRACE_US = 10000000       /* what a worker may take to finish its request when all are to end */
};

struct worker {
    pid_t pid; /* 0: none */
    int64_t started;
};

struct pool {
    struct app *app;
    int listen_fd;
    struct monitor *monitor;
    struct worker *workers;
    int count;
    atomic_bool *busy;        /* of each worker; in memory they and the monitor share */
    int64_t not_before;       /* no worker is started before this time */
    int64_t check_monitor_at; /* INT64_MAX: it runs, and its end is told by a signal */
    bool checked;             /* the database is one we can serve from */
    int64_t check_at;
    int64_t watchdog; /* microseconds between two signs of life for the service manager; 0: none wanted */
    int64_t sign_at;
};

/* In the monitor's process. */
static void count_busy(struct monitor *m)
{
    const atomic_bool *busy = m->service;
    int sum = 0;
    for (int i = 0; i < m->config->fcgi_workers; i++)
        sum += busy[i];
    metric_set(METRIC_WORKERS_BUSY, 0, sum);
}

static void start_worker(struct pool *p, struct worker *w)
{
    pid_t parent = getpid();
    w->started = time_steady();
    w->pid = fork();
    if (w->pid < 0) {
        log_event(LOG_ERROR, "fork_failed");
        w->pid = 0;
        p->not_before = w->started + BRAKE_US;
    }
    if (w->pid != 0)
        return;
    /* A worker never outlives its parent, also when that died between fork() and here. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    monitor_leave(p->monitor);
    if (getppid() == parent)
        worker_run(p->app, p->listen_fd, &p->busy[w - p->workers]);
    db_release(&p->app->db);
    free(p->workers);
    exit(0);
}

static void start_missing(struct pool *p)
{
    for (int i = 0; i < p->count && time_steady() >= p->not_before; i++)
        if (!p->workers[i].pid)
            start_worker(p, &p->workers[i]);
    int alive = 0;
    for (int i = 0; i < p->count; i++)
        alive += p->workers[i].pid != 0;
    metric_set(METRIC_WORKERS, 0, alive);
    p->check_monitor_at = monitor_keep(p->monitor) ? INT64_MAX : time_steady() + SOON_US;
}

/* Notes every worker that has ended; false when none is left. */
static bool reap(struct pool *p, bool expected)
{
    int status, alive = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < p->count; i++) {
            struct worker *w = &p->workers[i];
            if (w->pid != pid)
                continue;
            w->pid = 0;
            p->busy[i] = false;
            metric_add(METRIC_WORKER_DEATHS, 0, !expected);
            if (time_steady() - w->started < SOON_US)
                p->not_before = time_steady() + BRAKE_US;
            log_event(expected ? LOG_DEBUG : LOG_WARN, "worker_ended", log_int("worker", pid),
                      log_int("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
                      log_int("code", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
        }
    for (int i = 0; i < p->count; i++)
        alive += p->workers[i].pid != 0;
    return alive > 0;
}

static void signal_workers(const struct pool *p, int signal_number)
{
    for (int i = 0; i < p->count; i++)
        if (p->workers[i].pid)
            kill(p->workers[i].pid, signal_number);
}

/* The next signal, or 0 after us microseconds. */
static int await_signal(const sigset_t *set, int64_t us)
{
    struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    int signal_number = us < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &wait);
    return signal_number > 0 ? signal_number : 0;
}

static void stop_workers(struct pool *p, const sigset_t *set)
{
    int64_t deadline = time_steady() + GRACE_US;
    signal_workers(p, SIGTERM);
    while (reap(p, true)) {
        int64_t left = deadline - time_steady();
        if (left <= 0) {
            log_event(LOG_WARN, "workers_killed");
            signal_workers(p, SIGKILL);
            left = SOON_US;
        }
        await_signal(set, left);
    }
}

static void reload(struct pool *p)
{
    struct keyring fresh;
    config_reload(p->app->config);
    if (keyring_load(&fresh, p->app->config->key_file))
        p->app->keys = fresh; /* for the workers to come */
    signal_workers(p, SIGHUP);
}

/* The database was away when the pool started. False when it is back and none of ours. */
static bool check_again(struct pool *p)
{
    if (p->checked || time_steady() < p->check_at)
        return true;
    enum error e = db_check(&p->app->db, p->count, CHECK_PATIENCE_MS);
    db_release(&p->app->db); /* no worker is to inherit it */
    p->checked = e == OK;
    p->check_at = time_steady() + CHECK_US;
    return e != ERR_INTERNAL;
}

static void give_sign(struct pool *p)
{
    if (!p->watchdog || time_steady() < p->sign_at)
        return;
    notify("WATCHDOG=1");
    p->sign_at = time_steady() + p->watchdog;
}

/* Until there is something to do without a signal; -1: never. */
static int64_t pause_us(const struct pool *p)
{
    int64_t now = time_steady(), at = p->checked ? INT64_MAX : p->check_at;
    if (p->check_monitor_at < at)
        at = p->check_monitor_at;
    if (p->watchdog && p->sign_at < at)
        at = p->sign_at;
    if (p->not_before > now && p->not_before < at)
        at = p->not_before;
    return at == INT64_MAX ? -1 : at > now ? at - now : 0;
}

bool pool_run(struct app *app, int listen_fd, struct monitor *monitor, bool checked)
{
    struct pool p = {.app = app,
                     .listen_fd = listen_fd,
                     .monitor = monitor,
                     .count = app->config->fcgi_workers,
                     .checked = checked,
                     .watchdog = notify_watchdog_us()};
    char name[LISTEN_NAME_SIZE];
    bool good = true;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    size_t flags = (size_t)p.count * sizeof *p.busy;
    p.workers = calloc((size_t)p.count, sizeof *p.workers);
    p.busy = mmap(NULL, flags, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!p.workers || p.busy == MAP_FAILED)
        abort();
    monitor->look = count_busy;
    monitor->service = p.busy;
    listen_name(listen_fd, name);
    log_event(LOG_NOTICE, "started", log_int("workers", p.count), log_text("address", name));
    notify("READY=1"); /* connections are taken from here on, and wait for the workers at worst */
    for (int signal_number = 0; good && signal_number != SIGTERM && signal_number != SIGINT;) {
        if (signal_number == SIGHUP)
            reload(&p);
        reap(&p, false);
        start_missing(&p);
        good = check_again(&p);
        give_sign(&p);
        if (good)
            signal_number = await_signal(&set, pause_us(&p));
    }
    notify("STOPPING=1");
    close(listen_fd); /* ours: connections wait on for our successor where a supervisor holds it too */
    stop_workers(&p, &set);
    monitor_close(monitor);
    munmap(p.busy, flags);
    free(p.workers);
    log_event(LOG_NOTICE, "stopped");
    return good;
}
