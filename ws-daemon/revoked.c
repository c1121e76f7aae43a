/* One hash of numbers: sessions as they are, users negated. */
#include "ws-daemon/revoked.h"

#include "shared/query.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <uthash.h>

struct entry {
    int64_t number;
    UT_hash_handle hh;
};

struct revoked {
    struct entry *entries;
};

struct loading {
    struct daemon *daemon;
    void (*done)(struct daemon *d);
};

struct revoked *revoked_new(void)
{
    struct revoked *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    return r;
}

static void clear(struct revoked *r)
{
    struct entry *e, *next;
    HASH_ITER(hh, r->entries, e, next) {
        HASH_DEL(r->entries, e);
        free(e);
    }
}

void revoked_free(struct revoked *r)
{
    if (!r)
        return;
    clear(r);
    free(r);
}

static struct entry *find(const struct revoked *r, int64_t number)
{
    struct entry *e;
    HASH_FIND(hh, r->entries, &number, sizeof number, e);
    return e;
}

static void add(struct revoked *r, int64_t number)
{
    if (find(r, number))
        return;
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        abort();
    e->number = number;
    HASH_ADD(hh, r->entries, number, sizeof e->number, e);
}

void revoked_add_session(struct revoked *r, int64_t session_id)
{
    add(r, session_id);
}

void revoked_add_user(struct revoked *r, int64_t user_id)
{
    add(r, -user_id);
}

void revoked_remove_user(struct revoked *r, int64_t user_id)
{
    struct entry *e = find(r, -user_id);
    if (!e)
        return;
    HASH_DEL(r->entries, e);
    free(e);
}

enum error revoked_check(const struct revoked *r, const struct identity *who)
{
    if (find(r, -who->user_id))
        return ERR_DISABLED;
    return find(r, who->session_id) ? ERR_UNAUTHORIZED : OK;
}

static void on_loaded(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct loading l = *(struct loading *)arg;
    (void)count;
    (void)constraint;
    free(arg);
    if (e != OK) { /* not without the set: no door is opened before it is here */
        pgpipe_reset(feed_pipe(l.daemon->feed), "the revoked sessions could not be read");
        return;
    }
    clear(l.daemon->revoked);
    for (int i = 0; i < PQntuples(results[0]); i++) {
        struct row r = row_at(results[0], i, NULL);
        add(l.daemon->revoked, row_int(&r));
    }
    l.done(l.daemon);
}

void revoked_load(struct daemon *d, void (*done)(struct daemon *d))
{
    struct query q;
    const struct config *c = &d->config;
    struct loading *l = malloc(sizeof *l);
    if (!l)
        abort();
    *l = (struct loading){d, done};
    query_init(&q, SQL_REVOKED);
    query_int(&q, c->access_ttl > c->access_ttl_v1 ? c->access_ttl : c->access_ttl_v1);
    if (pgpipe_submit(feed_pipe(d->feed), &q, 1, on_loaded, l) != OK)
        free(l);
}
