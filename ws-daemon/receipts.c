/* Acks go to the database one by one, because their errors are somebody's; what was merely shown is
 * collected, the highest of each conversation, and written for each user in one statement. One round
 * of writes is under way at a time: under load the next one takes in more, and nothing piles up. */
#include "ws-daemon/receipts.h"

#include "shared/receipt_store.h"
#include "shared/store.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ROOMS_MOST = 500, ROUND = 64 }; /* conversations of one statement, statements of a round */
static const double COLLECT_S = 0.1, AGAIN_S = 1;

/* Up to where a user was shown a conversation. */
struct shown {
    struct {
        int64_t user_id, conversation_id;
    } key;
    int64_t seq, flying; /* flying: what is being written, 0: nothing */
    UT_hash_handle hh;
};

struct receipts {
    struct daemon *daemon;
    struct shown *shown;
    ev_timer write;
    int flying;     /* statements of the round under way */
    bool lost;      /* one of them came to nothing: the next round is one statement, to see */
    bool more;      /* there was more than a round takes */
    double woke_at; /* when the other daemons were last told to look, see wake() */
};

/* Something was committed: our own feed and the other daemons' shall look. */
static void wake_all(struct daemon *d)
{
    struct query q;
    double now = time_seconds();
    feed_poke(d->feed);
    if (now - d->receipts->woke_at < WAKE_EVERY_US / 1e6)
        return;
    d->receipts->woke_at = now;
    query_init(&q, SQL_WAKE);
    if (pgpipe_submit(d->queries, &q, 1, NULL, NULL) != OK)
        return; /* their sweeps will find it */
}

/* ---- acks ---- */

static void on_marked(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    (void)count;
    (void)constraint;
    if (e == OK)
        e = receipt_mark_result(results[0]);
    if (e == OK)
        wake_all(c->daemon);
    else
        conn_error(c, e, error_sentence(e));
    conn_unref(c);
}

enum error receipts_mark(struct conn *c, const struct ref *message, bool read)
{
    struct query q;
    receipt_mark_query(&q, c->me.user_id, NULL, message, read);
    enum error e = pgpipe_submit(c->daemon->queries, &q, 1, on_marked, conn_ref(c));
    if (e != OK)
        conn_unref(c);
    return e;
}

/* ---- what was shown ---- */

static void schedule(struct receipts *r, double seconds)
{
    if (r->flying || ev_is_active(&r->write))
        return;
    ev_timer_set(&r->write, seconds, 0);
    ev_timer_start(r->daemon->loop, &r->write);
}

/* The round is over. What came to nothing, and what has moved on since, is written in the next one. */
static void finish(struct receipts *r)
{
    struct shown *s, *next;
    HASH_ITER (hh, r->shown, s, next) {
        if (!r->lost && s->flying == s->seq) {
            HASH_DEL(r->shown, s);
            free(s);
        } else {
            s->flying = 0;
        }
    }
    if (!r->lost)
        wake_all(r->daemon);
    if (r->shown)
        schedule(r, r->lost ? AGAIN_S : r->more ? 0.001 : COLLECT_S);
}

static void on_written(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct receipts *r = arg;
    (void)results;
    (void)count;
    (void)constraint;
    r->lost |= e == ERR_UNAVAILABLE;
    if (!--r->flying)
        finish(r);
}

static int by_user(const struct shown *a, const struct shown *b)
{
    return a->key.user_id < b->key.user_id ? -1 : a->key.user_id > b->key.user_id;
}

/* Writes the user's who comes first in the list; answers whose turn is next. */
static struct shown *write_user(struct receipts *r, struct shown *s)
{
    int64_t rooms[ROOMS_MOST], seqs[ROOMS_MOST], user_id = s->key.user_id;
    struct query q;
    struct arena arena;
    int n = 0;
    for (; s && s->key.user_id == user_id && n < ROOMS_MOST; s = s->hh.next) {
        rooms[n] = s->key.conversation_id;
        seqs[n++] = s->flying = s->seq;
    }
    arena_init(&arena);
    receipts_mark_query(&q, &arena, user_id, rooms, seqs, n, false);
    if (pgpipe_submit(r->daemon->queries, &q, 1, on_written, r) == OK)
        r->flying++;
    else
        r->lost = true;
    arena_release(&arena);
    return s;
}

static void on_write(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct receipts *r = w->data;
    struct shown *s;
    int most = r->lost ? 1 : ROUND;
    (void)loop;
    (void)revents;
    r->lost = false;
    HASH_SORT(r->shown, by_user);
    s = r->shown;
    for (int i = 0; s && !r->lost && i < most; i++)
        s = write_user(r, s);
    r->more = s != NULL;
    if (!r->flying)
        finish(r);
}

void receipts_shown(struct conn *c, int64_t conversation_id, int64_t seq)
{
    struct receipts *r = c->daemon->receipts;
    struct shown wanted, *s;
    memset(&wanted, 0, sizeof wanted);
    wanted.key.user_id = c->me.user_id;
    wanted.key.conversation_id = conversation_id;
    HASH_FIND(hh, r->shown, &wanted.key, sizeof wanted.key, s);
    if (!s) {
        s = malloc(sizeof *s);
        if (!s)
            abort();
        *s = wanted;
        HASH_ADD(hh, r->shown, key, sizeof s->key, s);
    }
    s->seq = seq > s->seq ? seq : s->seq;
    schedule(r, COLLECT_S);
}

bool receipts_are_written(const struct daemon *d)
{
    return !d->receipts->shown || !pgpipe_is_up(d->queries);
}

struct receipts *receipts_new(struct daemon *d)
{
    struct receipts *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->daemon = d;
    ev_init(&r->write, on_write);
    r->write.data = r;
    return r;
}

void receipts_free(struct receipts *r)
{
    struct shown *s, *next;
    if (!r)
        return;
    ev_timer_stop(r->daemon->loop, &r->write);
    HASH_ITER (hh, r->shown, s, next) {
        HASH_DEL(r->shown, s);
        free(s);
    }
    free(r);
}
