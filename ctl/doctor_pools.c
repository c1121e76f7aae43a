/* The doctor's look at the pools: are there workers for who comes next? By the pools' metrics where they can be
 * read, which is on their own machine, and by how long requests take. */
#include "ctl/doctor.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_S = 10, ME_COPIES = 8, SLOW_S = 3, LOOKS = 10, LOOK_US = 100000 };

/* ---- by metrics ---- */

/* The number of a metric without labels; -1: it is not there. */
static int sample(const char *text, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL)
        if (!strncmp(line, name, len) && line[len] == ' ')
            return atoi(line + len);
    return -1;
}

static bool read_metrics(struct doctor *d, const char *at, int *workers, int *busy)
{
    struct answer a;
    web_ask(d->web, &(struct request_spec){.path = "/metrics", .at = at}, SLOW_S, &a);
    *workers = sample(a.body.s, "parley_pool_workers");
    *busy = sample(a.body.s, "parley_pool_workers_busy");
    return a.status == 200 && *workers >= 0 && *busy >= 0;
}

/* False when its metrics cannot be read. A moment without a free worker is nothing; a second is. */
static bool look_at_pool(struct doctor *d, const char *at)
{
    int workers, busy;
    if (!read_metrics(d, at, &workers, &busy))
        return false;
    for (int i = 1; i < LOOKS && busy >= workers; i++) {
        usleep(LOOK_US);
        if (!read_metrics(d, at, &workers, &busy))
            return false;
    }
    d->workers += workers;
    if (busy < workers)
        verdict(&d->verdicts, VERDICT_OK, "workers", NULL,
                "By the metrics at %s, %d of %d workers of that pool are free.", at, workers - busy, workers);
    else
        verdict(&d->verdicts, VERDICT_BAD, "workers",
                "FCGI_WORKERS of that pool; what they wait for is in pg_stat_activity",
                "By the metrics at %s, none of %d workers of that pool was free for %.0f s: who comes next waits.", at,
                workers, LOOKS * LOOK_US / 1e6);
    return true;
}

void doctor_workers(struct doctor *d)
{
    struct process pools[PROCESSES_MOST];
    int seen = 0, all = process_find(d->arena, "fcgi-app", d->ctl->config_file, pools),
        count = process_parents(pools, all);
    for (int i = 0; i < count; i++) {
        const char *at = process_variable(d->arena, pools[i].pid, "METRICS_LISTEN");
        at = at ? at : d->ctl->config.metrics_listen;
        seen += *at && look_at_pool(d, at);
    }
    if (seen)
        return;
    d->workers = all - count;
    verdict(&d->verdicts, VERDICT_SKIPPED, "workers", "METRICS_LISTEN, and root on the pools' machine",
            "No pool's metrics can be read from here; that workers are free is judged by how long requests take.");
}

/* ---- by requests ---- */

static double slowest(const struct answer *answers, int count, int *refused)
{
    double most = 0;
    for (int i = 0; i < count; i++) {
        *refused += answers[i].status != 401 && answers[i].status != 200;
        most = answers[i].seconds > most ? answers[i].seconds : most;
    }
    return most;
}

/* Uploads that stop after their first byte wait in nginx, or hold a worker each. */
static void check_buffering(struct doctor *d, int workers)
{
    struct answer a;
    int hanging = web_dangle(d->web, "/api/v1/messages/dm", d->guests[0].token,
                             workers + 1 < WEB_AT_ONCE ? workers + 1 : WEB_AT_ONCE);
    web_ask(d->web, &(struct request_spec){.path = DOCTOR_ME}, SLOW_S, &a);
    web_let_go(d->web);
    if (a.status == 401)
        verdict(&d->verdicts, VERDICT_OK, "buffering", NULL, "%d slow uploads at once keep no worker busy.", hanging);
    else
        verdict(&d->verdicts, VERDICT_BAD, "buffering",
                "fastcgi_request_buffering on; (Apache cannot: RequestReadTimeout of mod_reqtimeout bounds it)",
                "%d slow uploads at once keep every worker of the pool \"api\" waiting, and everybody else with them.",
                hanging);
}

void doctor_pools(struct doctor *d)
{
    struct answer answers[ME_COPIES];
    int refused = 0;
    web_ask_many(d->web, &(struct request_spec){.path = DOCTOR_ME, .token = d->guests[0].token}, ME_COPIES, PATIENCE_S,
                 answers);
    double most = slowest(answers, ME_COPIES, &refused);
    if (refused || most > SLOW_S) {
        verdict(
            &d->verdicts, VERDICT_BAD, "api-pool", "FCGI_WORKERS; fastcgi_keep_conn off;",
            "Of %d requests at once, %d were not answered and the slowest took %.1f s: no worker of the pool \"api\" is free.",
            ME_COPIES, refused, most);
        return;
    }
    verdict(&d->verdicts, VERDICT_OK, "api-pool", NULL, "%d requests at once are answered within %.2f s.", ME_COPIES,
            most);
    check_buffering(d, d->workers ? d->workers : d->ctl->config.fcgi_workers);
}
