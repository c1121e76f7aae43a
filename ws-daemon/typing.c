/* A notice asks the database where it goes, so that who has left gets none; then it goes through NOTIFY
 * to all daemons, this one included. Clients send one with every key that is pressed: what says again
 * what was told within the last second goes no further than here. */
#include "ws-daemon/typing.h"

#include "shared/query.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TYPISTS_MOST = 8, PAYLOAD_MOST = 7900 };
static const double STOP_AFTER_S = 3, REPEAT_S = 1;

/* What a socket named as the place where its user types; id 0: not given. */
struct place {
    struct ref conversation, peer;
};

/* A socket that types in a conversation right now. */
struct typist {
    struct typist *prev, *next; /* of the socket's */
    struct conn *conn;          /* no reference: typing_closed() comes before the end */
    struct place place;
    struct typing what;
    char *others; /* who was told: id,id,… */
    double told;  /* steady time */
    ev_timer stop;
};

/* A notice that asks where it goes. */
struct asking {
    struct conn *conn;
    struct place place;
    bool on;
};

/* ---- telling ---- */

static void say(struct daemon *d, const struct typing *t, const char *others)
{
    struct query q;
    char payload[PAYLOAD_MOST];
    int n = snprintf(payload, sizeof payload, "typing %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %d %s", t->on,
                     t->user_id, t->user_created, t->conversation_id, t->conversation_created, t->is_group, others);
    if (n >= (int)sizeof payload)
        return;
    query_init(&q, SQL_SAY);
    query_text(&q, payload);
    if (pgpipe_submit(d->queries, &q, 1, NULL, NULL) != OK)
        return; /* a notice that nobody gets is no loss */
}

static void tell(struct daemon *d, const struct typing *t, int64_t user_id)
{
    for (struct conn *c = hub_user(d->hub, user_id), *next; c; c = next) {
        next = c->user_next;
        struct json_object *o = c->ops->typing ? c->ops->typing(t) : NULL;
        if (!o)
            continue;
        struct frame *f = frame_json(o);
        conn_push(c, f);
        frame_unref(f);
    }
}

void typing_said(struct daemon *d, const char *payload)
{
    struct typing t;
    int on, group, at = 0;
    if (sscanf(payload, "typing %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %d %n", &on, &t.user_id,
               &t.user_created, &t.conversation_id, &t.conversation_created, &group, &at) != 6 ||
        !at)
        return;
    t.on = on;
    t.is_group = group;
    for (const char *p = payload + at; *p;) {
        char *end;
        int64_t user_id = strtoll(p, &end, 10);
        if (end == p)
            return;
        tell(d, &t, user_id);
        p = end + (*end == ',');
    }
}

/* ---- who types ---- */

static void typist_free(struct typist *t)
{
    ev_timer_stop(t->conn->daemon->loop, &t->stop);
    DL_DELETE(t->conn->typists, t);
    free(t->others);
    free(t);
}

static void stopped(struct typist *t)
{
    t->what.on = false;
    say(t->conn->daemon, &t->what, t->others);
    typist_free(t);
}

static void on_silence(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    stopped(w->data);
}

static struct typist *find(struct conn *c, int64_t conversation_id, int *count)
{
    struct typist *t;
    *count = 0;
    DL_FOREACH (c->typists, t) {
        if (t->what.conversation_id == conversation_id)
            return t;
        (*count)++;
    }
    return NULL;
}

static struct typist *find_place(struct conn *c, const struct place *p)
{
    struct typist *t;
    DL_FOREACH (c->typists, t) {
        if (!memcmp(&t->place, p, sizeof *p))
            return t;
    }
    return NULL;
}

static bool fresh(const struct typist *t)
{
    return time_seconds() - t->told < REPEAT_S;
}

static void started(struct conn *c, const struct place *place, const struct typing *what, const char *others)
{
    int count;
    struct typist *t = find(c, what->conversation_id, &count);
    if (!t && count >= TYPISTS_MOST)
        return;
    if (!t) {
        t = calloc(1, sizeof *t);
        if (!t)
            abort();
        t->conn = c;
        ev_timer_init(&t->stop, on_silence, 0, STOP_AFTER_S);
        t->stop.data = t;
        DL_APPEND(c->typists, t);
    }
    t->place = *place;
    t->what = *what;
    free(t->others);
    if (!(t->others = strdup(others)))
        abort();
    ev_timer_again(c->daemon->loop, &t->stop);
    if (fresh(t)) /* one that came before this one's answer */
        return;
    t->told = time_seconds();
    say(c->daemon, what, others);
}

void typing_closed(struct conn *c)
{
    struct typist *t, *next;
    DL_FOREACH_SAFE (c->typists, t, next)
        stopped(t);
}

/* ---- notices ---- */

/* Where a notice goes. *others NULL: to nobody, as nothing was written to this person yet. */
static enum error read_target(const PGresult *res, struct arena *arena, const struct place *place, struct typing *out,
                              const char **others)
{
    struct row r = row_at(res, 0, arena);
    bool peer = row_bool(&r);
    out->conversation_id = row_int(&r);
    out->conversation_created = row_time(&r);
    out->is_group = row_bool(&r);
    *others = row_text(&r);
    if (out->conversation_id)
        return *others ? OK : ERR_NOT_MEMBER;
    return peer ? OK : place->peer.id ? ERR_RECIPIENT_NOT_FOUND : ERR_CONVERSATION_NOT_FOUND;
}

static void on_target(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct asking a = *(struct asking *)arg;
    struct typing t = {.on = a.on, .user_id = a.conn->me.user_id, .user_created = a.conn->me.user_created};
    const char *others = NULL;
    struct arena arena;
    int n;
    (void)count;
    (void)constraint;
    free(arg);
    a.conn->typing_asked--;
    arena_init(&arena);
    if (e == OK)
        e = read_target(results[0], &arena, &a.place, &t, &others);
    struct typist *known = e == OK ? find(a.conn, t.conversation_id, &n) : NULL;
    if (a.conn->state >= CONN_CLOSING)
        ; /* too late */
    else if (e != OK)
        conn_error(a.conn, e, error_sentence(e));
    else if (a.on && others)
        started(a.conn, &a.place, &t, others);
    else if (known)
        stopped(known);
    arena_release(&arena);
    conn_unref(a.conn);
}

/* Is it no news? Then the stop is put off, and that is all. While a notice is on its way to the database,
 * nobody knows: it may be a stop. */
static bool repeated(struct conn *c, const struct place *place)
{
    struct typist *t = c->typing_asked ? NULL : find_place(c, place);
    if (!t || !fresh(t))
        return false;
    ev_timer_again(c->daemon->loop, &t->stop);
    return true;
}

enum error typing_notice(struct conn *c, bool on, const struct ref *conversation, const struct ref *peer)
{
    struct query q;
    struct place place = {.conversation = conversation ? *conversation : (struct ref){0},
                          .peer = peer ? *peer : (struct ref){0}};
    if (on && repeated(c, &place))
        return OK;
    struct asking *a = malloc(sizeof *a);
    if (!a)
        abort();
    *a = (struct asking){conn_ref(c), place, on};
    query_init(&q, SQL_TYPING);
    query_int(&q, c->me.user_id);
    query_ref(&q, conversation);
    query_ref(&q, peer);
    enum error e = pgpipe_submit(c->daemon->queries, &q, 1, on_target, a);
    if (e != OK) {
        conn_unref(c);
        free(a);
    } else {
        c->typing_asked++;
    }
    return e;
}
