/* A hash of sessions and one of users. All sessions are kept for the same time, so the hash, which
 * remembers the order of what is put in, has those to forget in front. */
#include "ws-daemon/revoked.h"

#include "shared/query.h"
#include "shared/timefmt.h"
#include "shared/token_store.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/tokens.h"

#include <stdlib.h>
#include <uthash.h>

struct entry {
    int64_t number;
    double until; /* sessions: steady time after which no token of theirs is good anyway */
    UT_hash_handle hh;
};

struct revoked {
    struct entry *sessions, *users;
    int64_t keep; /* seconds: the longest life of an access token */
};

struct loading {
    struct daemon *daemon;
    void (*done)(struct daemon *d);
};

struct revoked *revoked_new(const struct config *c)
{
    struct revoked *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    r->keep = c->access_ttl > c->access_ttl_v1 ? c->access_ttl : c->access_ttl_v1;
    return r;
}

static void drop(struct entry **set, struct entry *e)
{
    HASH_DEL(*set, e);
    free(e);
}

static void clear(struct revoked *r)
{
    while (r->sessions)
        drop(&r->sessions, r->sessions);
    while (r->users)
        drop(&r->users, r->users);
}

void revoked_free(struct revoked *r)
{
    if (!r)
        return;
    clear(r);
    free(r);
}

static struct entry *find(struct entry *set, int64_t number)
{
    struct entry *e;
    HASH_FIND(hh, set, &number, sizeof number, e);
    return e;
}

static void add(struct entry **set, int64_t number, double until)
{
    if (find(*set, number))
        return;
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    e->number = number;
    e->until = until;
    HASH_ADD(hh, *set, number, sizeof e->number, e);
}

void revoked_add_session(struct revoked *r, int64_t session_id)
{
    add(&r->sessions, session_id, time_seconds() + (double)(r->keep + 1));
}

void revoked_add_user(struct revoked *r, int64_t user_id)
{
    add(&r->users, user_id, 0);
}

void revoked_remove_user(struct revoked *r, int64_t user_id)
{
    struct entry *e = find(r->users, user_id);
    if (e)
        drop(&r->users, e);
}

void revoked_forget(struct revoked *r, double now)
{
    while (r->sessions && r->sessions->until <= now)
        drop(&r->sessions, r->sessions);
}

enum error revoked_check(const struct revoked *r, const struct identity *who)
{
    if (find(r->users, who->user_id))
        return ERR_DISABLED;
    return find(r->sessions, who->session_id) ? ERR_UNAUTHORIZED : OK;
}

int revoked_count(const struct revoked *r)
{
    return (int)(HASH_COUNT(r->sessions) + HASH_COUNT(r->users));
}

static void on_loaded(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct loading l = *(struct loading *)arg;
    (void)constraint;
    free(arg);
    if (e != OK || count < 2) { /* not without the set: no door is opened before it is here */
        pgpipe_reset(feed_pipe(l.daemon->feed), "the revoked sessions could not be read");
        return;
    }
    clear(l.daemon->revoked);
    for (int i = 0; i < PQntuples(results[0]); i++) {
        struct row r = row_at(results[0], i, NULL);
        int64_t number = row_int(&r), ago = row_int(&r);
        if (number < 0)
            revoked_add_user(l.daemon->revoked, -number);
        else
            add(&l.daemon->revoked->sessions, number,
                time_seconds() + (double)(l.daemon->revoked->keep + 1 - ago)); /* ago is rounded */
    }
    tokens_loaded(l.daemon->tokens, results[1]);
    l.done(l.daemon);
}

void revoked_load(struct daemon *d, void (*done)(struct daemon *d))
{
    struct query q[2];
    struct loading *l = malloc(sizeof *l);
    if (!l)
        abort();
    *l = (struct loading){d, done};
    query_init(&q[0], SQL_REVOKED);
    query_int(&q[0], d->revoked->keep);
    token_identities_query(&q[1], 0);
    if (pgpipe_submit(feed_pipe(d->feed), q, 2, on_loaded, l) != OK)
        free(l);
}
