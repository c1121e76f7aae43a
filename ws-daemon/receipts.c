/* Acks go to the database one by one, because their errors are somebody's; what was merely shown is
 * collected, the highest of each conversation, and written for each user in one statement. */
#include "ws-daemon/receipts.h"

#include "shared/receipt_store.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

enum { ROOMS_MOST = 500 }; /* conversations of one statement */
static const double COLLECT_S = 0.1;

/* Up to where a user was shown a conversation. */
struct shown {
    struct {
        int64_t user_id, conversation_id;
    } key;
    int64_t seq;
    UT_hash_handle hh;
};

struct receipts {
    struct daemon *daemon;
    struct shown *shown;
    ev_timer write;
};

/* Something was committed: our own feed and the other daemons' shall look. */
static void ignore(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    (void)arg;
    (void)e;
    (void)results;
    (void)count;
    (void)constraint;
}

static void wake_all(struct daemon *d)
{
    struct query q;
    query_init(&q, SQL_WAKE);
    feed_poke(d->feed);
    if (pgpipe_submit(d->queries, &q, 1, ignore, NULL) != OK)
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

static void on_written(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    (void)results;
    (void)count;
    (void)constraint;
    if (e == OK)
        wake_all(arg);
}

static int by_user(const struct shown *a, const struct shown *b)
{
    return a->key.user_id < b->key.user_id ? -1 : a->key.user_id > b->key.user_id;
}

/* Writes the first user's; false when the database is away: then what was shown is shown again. */
static bool write_user(struct receipts *r)
{
    int64_t rooms[ROOMS_MOST], seqs[ROOMS_MOST], user_id = r->shown->key.user_id;
    struct shown *s, *next;
    struct query q;
    struct arena arena;
    int n = 0;
    HASH_ITER(hh, r->shown, s, next) {
        if (s->key.user_id != user_id || n == ROOMS_MOST)
            break;
        rooms[n] = s->key.conversation_id;
        seqs[n++] = s->seq;
        HASH_DEL(r->shown, s);
        free(s);
    }
    arena_init(&arena);
    receipts_mark_query(&q, &arena, user_id, rooms, seqs, n, false);
    bool sent = pgpipe_submit(r->daemon->queries, &q, 1, on_written, r->daemon) == OK;
    arena_release(&arena);
    return sent;
}

static void on_write(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct receipts *r = w->data;
    (void)loop;
    (void)revents;
    HASH_SORT(r->shown, by_user);
    while (r->shown && write_user(r))
        ;
}

void receipts_shown(struct conn *c, const struct message *m)
{
    struct receipts *r = c->daemon->receipts;
    struct shown wanted, *s;
    memset(&wanted, 0, sizeof wanted);
    wanted.key.user_id = c->me.user_id;
    wanted.key.conversation_id = m->conversation_id;
    HASH_FIND(hh, r->shown, &wanted.key, sizeof wanted.key, s);
    if (!s) {
        s = malloc(sizeof *s);
        if (!s)
            abort();
        *s = wanted;
        HASH_ADD(hh, r->shown, key, sizeof s->key, s);
    }
    s->seq = m->seq > s->seq ? m->seq : s->seq;
    if (!ev_is_active(&r->write)) {
        ev_timer_set(&r->write, COLLECT_S, 0);
        ev_timer_start(r->daemon->loop, &r->write);
    }
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
    HASH_ITER(hh, r->shown, s, next) {
        HASH_DEL(r->shown, s);
        free(s);
    }
    free(r);
}
