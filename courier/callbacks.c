/* One loop: note what is owed, claim what is due, let libcurl work on it. Many receivers are served at
 * once, and each gets one delivery at a time, so a slow one costs only itself. */
#include "courier/callbacks.h"

#include "courier/outbox.h"
#include "courier/post.h"
#include "courier/stop.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/retention_store.h"
#include "shared/secret.h"
#include "shared/timefmt.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { SLOTS = 64, LOOK_MS = 250, PLAN_BATCH = 5000, PAUSE_MOST_MS = 60000 };
static const double SWEEP_S = 3600, SWEEP_ON_S = 5, DRAIN_S = 5; /* on: where there may be more to sweep */

struct callbacks {
    const struct config *config;
    struct reach *reach;
    struct db db;
    CURLM *multi;
    struct post *posts[SLOTS]; /* under way; NULL: free */
    int flying;
    double look_at, sweep_at; /* steady times */
    bool more;                /* something has ended, so something may be due */
};

/* ---- what came of it ---- */

static void count(const char *state)
{
    static const char *const counted[] = {
        [CALLBACK_DELIVERED] = "delivered", [CALLBACK_FAILED] = "pending", [CALLBACK_GIVEN_UP] = "dead"};
    for (int i = 0; i < (int)(sizeof counted / sizeof *counted); i++)
        if (!strcmp(state, counted[i]))
            metric_add(METRIC_CALLBACKS, i, 1);
}

static void log_outcome(const struct callback_post *d, const char *state, bool disabled, int64_t status,
                        const char *reason)
{
    bool good = !strcmp(state, "delivered") || !strcmp(state, "dropped");
    log_event(good ? LOG_INFO : LOG_WARN, "callback", log_int("callback", d->callback_id), log_int("delivery", d->id),
              log_int("attempt", d->attempt), log_text("state", state), log_int("status", status),
              log_text("reason", reason));
    if (disabled)
        log_event(LOG_WARN, "callback_disabled", log_int("callback", d->callback_id), log_text("reason", reason));
}

/* Notes it. What cannot be noted now is posted again when its lease is over. */
static void note(struct callbacks *c, const struct callback_post *d, const char *state, int64_t status,
                 const char *reason)
{
    struct arena a;
    const char *now = NULL;
    bool disabled = false, failed = !strcmp(state, "pending");
    unsigned char chance;
    secret_bytes(&chance, 1);
    int64_t delay = failed ? outbox_delay_ms(d->attempt, c->config->callback_retry, chance) : 0;
    /* A receiver that refuses one may take the next; one that is down or busy wants a rest. */
    bool rest = failed && (status < 400 || status >= 500 || status == 429);
    struct callback_result r = {state, status, *reason ? reason : NULL, delay,
                                !rest                   ? 0
                                : delay < PAUSE_MOST_MS ? delay
                                                        : PAUSE_MOST_MS};
    arena_init(&a);
    if (callback_finish(&c->db, &a, d, &r, &now, &disabled) == OK && now) {
        count(now);
        log_outcome(d, now, disabled, status, reason);
    } else {
        log_event(LOG_WARN, "callback_not_noted", log_int("delivery", d->id));
    }
    arena_release(&a);
    c->more = true;
}

static void reap(struct callbacks *c)
{
    CURLMsg *m;
    char reason[REASON_TEXT];
    int left;
    while ((m = curl_multi_info_read(c->multi, &left))) {
        CURL *curl = m->easy_handle;
        CURLcode code = m->data.result; /* m is gone with the handle */
        struct post *p;
        curl_easy_getinfo(curl, CURLINFO_PRIVATE, &p);
        int64_t status = post_outcome(p, code, reason);
        note(c, &p->delivery, !*reason ? "delivered" : status == 410 ? "refused" : "pending", status, reason);
        curl_multi_remove_handle(c->multi, curl);
        for (int i = 0; i < SLOTS; i++)
            c->posts[i] = c->posts[i] == p ? NULL : c->posts[i];
        post_free(p);
        c->flying--;
    }
}

/* ---- what is to be done ---- */

/* False when nothing more is due now. */
static bool send_next(struct callbacks *c)
{
    struct arena a;
    struct callback_post d = {0};
    int slot = 0;
    while (slot < SLOTS && c->posts[slot])
        slot++;
    if (slot == SLOTS)
        return false;
    arena_init(&a);
    /* The lease outlasts the longest delivery, or a second courier would begin beside the first. */
    bool claimed = callback_claim(&c->db, &a, 2 * (int64_t)c->config->callback_timeout, &d) == OK && d.id;
    if (claimed && d.moot) {
        note(c, &d, "dropped", 0, "");
    } else if (claimed) {
        struct post *p = post_new(c->config, c->reach, &a, &d);
        c->posts[slot] = p;
        c->flying++;
        curl_multi_add_handle(c->multi, p->curl);
    }
    arena_release(&a);
    return claimed;
}

static void look(struct callbacks *c)
{
    double now = time_seconds();
    int64_t looked = PLAN_BATCH, gone = 0;
    if (now >= c->look_at) {
        while (looked == PLAN_BATCH && !stop_asked() && callbacks_plan(&c->db, PLAN_BATCH, &looked) == OK)
            ;
        c->look_at = now + LOOK_MS / 1e3;
        c->more = true;
    }
    if (now >= c->sweep_at)
        c->sweep_at = now + (callbacks_purge(&c->db, &gone) != OK || gone == PURGE_BATCH ? SWEEP_ON_S : SWEEP_S);
    while (c->more && !stop_asked())
        c->more = send_next(c);
}

static void run(struct callbacks *c)
{
    double stop_at = 0;
    int running;
    while (!stop_asked() || (c->flying && time_seconds() < stop_at)) {
        if (!stop_asked()) {
            look(c);
            stop_at = time_seconds() + DRAIN_S;
        }
        curl_multi_perform(c->multi, &running);
        reap(c);
        if (!c->more || stop_asked())
            curl_multi_poll(c->multi, NULL, 0, LOOK_MS, NULL);
    }
    for (int i = 0; i < SLOTS; i++) { /* they are sent again when their leases are over */
        if (c->posts[i])
            curl_multi_remove_handle(c->multi, c->posts[i]->curl);
        post_free(c->posts[i]);
    }
}

static int serve(struct courier *of)
{
    struct callbacks c = {.config = &of->config, .reach = &of->reach};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(c.multi = curl_multi_init()))
        return EX_SOFTWARE;
    db_init(&c.db, c.config);
    run(&c);
    curl_multi_cleanup(c.multi);
    curl_global_cleanup();
    db_release(&c.db);
    return EXIT_SUCCESS;
}

/* ---- the process ---- */

pid_t callbacks_start(struct courier *c)
{
    pid_t parent = getpid(), pid = fork();
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "parley-posts"); /* for ps */
    monitor_leave(&c->monitor);
    int status = getppid() == parent ? serve(c) : EX_SOFTWARE;
    arena_release(&c->arena);
    exit(status);
}

bool callbacks_ended(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) != 0;
}

void callbacks_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}
