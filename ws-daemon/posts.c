/* Every daemon looks when it is told to, and every second for what nobody told; of several that look at
 * one moment the database lets one do the work. */
#include "ws-daemon/posts.h"

#include "shared/log.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>

enum { BATCH = 100 };
static const double SWEEP_S = 1;
static const double SOON_S = 0.05; /* a conversation was locked, or another daemon was at it */

struct posts {
    struct daemon *daemon;
    ev_timer timer; /* the next look */
    bool busy;      /* a look is under way */
    bool again;     /* told meanwhile */
};

static void look_in(struct posts *p, double seconds)
{
    ev_timer_stop(p->daemon->loop, &p->timer);
    ev_timer_set(&p->timer, seconds, 0);
    ev_timer_start(p->daemon->loop, &p->timer);
}

static void on_delivered(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct posts *p = arg;
    double wait = SWEEP_S;
    (void)count;
    (void)constraint;
    p->busy = false;
    if (e == OK) {
        struct row r = row_at(results[0], 0, NULL);
        int64_t delivered = row_int(&r), refused = row_int(&r);
        bool due = row_bool(&r);
        if (refused)
            log_event(LOG_WARN, "posts_refused", log_int("posts", refused));
        wait = p->again || (due && delivered == BATCH) ? 0 : due ? SOON_S : SWEEP_S;
    }
    p->again = false;
    look_in(p, wait);
}

static void on_time(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct posts *p = timer->data;
    struct query q;
    (void)loop;
    (void)revents;
    query_init(&q, SQL_POSTS_DELIVER);
    query_int(&q, BATCH);
    p->busy = pgpipe_submit(p->daemon->queries, &q, 1, on_delivered, p) == OK;
    if (!p->busy)
        look_in(p, SWEEP_S);
}

void posts_look(struct daemon *d)
{
    if (d->posts->busy)
        d->posts->again = true;
    else
        look_in(d->posts, 0);
}

struct posts *posts_new(struct daemon *d)
{
    struct posts *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->daemon = d;
    ev_init(&p->timer, on_time);
    p->timer.data = p;
    look_in(p, SWEEP_S);
    return p;
}

void posts_free(struct posts *p)
{
    if (!p)
        return;
    ev_timer_stop(p->daemon->loop, &p->timer);
    free(p);
}
