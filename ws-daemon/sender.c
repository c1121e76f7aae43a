/* One unit of the pipe is one transaction, and one is under way at a time: what arrives meanwhile
 * forms the next, so batches grow with the load.
 *
 * A transaction locks the conversations it writes to. Those are taken in the order of their ids, so
 * two daemons never wait for each other in a circle; a pair whose conversation is not known yet goes
 * alone. When a batch fails, its messages are sent again one by one and the guilty one is found. */
#include "ws-daemon/sender.h"

#include "shared/log.h"
#include "shared/store.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/server.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { BATCH = PGPIPE_UNIT, BACKLOG_MOST = 10000, BACKLOG_BYTES = 64 << 20, PAIRS_MOST = 100000 };

/* A message on its way. */
struct job {
    struct job *prev, *next;
    struct conn *conn; /* a reference */
    struct arena arena;
    struct new_message message;
    struct ref conversation, recipient;
    int64_t room; /* the conversation's id when it is known, 0: go alone */
    bool alone;   /* its batch failed: go alone */
    bool again;   /* it failed alone with a unique violation: once more */
};

/* The conversation of two people who talked here. */
struct pair {
    struct {
        int64_t low, high;
    } key;
    int64_t conversation_id;
    UT_hash_handle hh;
};

struct sender {
    struct daemon *daemon;
    struct pgpipe *pipe;
    struct job *queue;  /* waiting */
    struct job *flying; /* in the unit under way, in the order of its queries */
    bool busy;          /* a unit is under way */
    int backlog;
    size_t backlog_bytes;
    double woke_at; /* when the other daemons were last told to look, see wake() */
    struct pair *pairs;
    ev_prepare start; /* once per turn of the loop, so that a turn's frames share a unit */
};

static void fly(struct sender *s);

/* ---- known pairs ---- */

static void pair_key(struct pair *p, int64_t a, int64_t b)
{
    memset(p, 0, sizeof *p);
    p->key.low = a < b ? a : b;
    p->key.high = a < b ? b : a;
}

static int64_t pair_find(struct sender *s, int64_t a, int64_t b)
{
    struct pair wanted, *p;
    pair_key(&wanted, a, b);
    HASH_FIND(hh, s->pairs, &wanted.key, sizeof wanted.key, p);
    return p ? p->conversation_id : 0;
}

static void pairs_clear(struct sender *s)
{
    struct pair *p, *next;
    HASH_ITER (hh, s->pairs, p, next) {
        HASH_DEL(s->pairs, p);
        free(p);
    }
}

static void pair_learn(struct sender *s, int64_t a, int64_t b, int64_t conversation_id)
{
    if (pair_find(s, a, b))
        return;
    if (HASH_COUNT(s->pairs) >= PAIRS_MOST)
        pairs_clear(s);
    struct pair *p = malloc(sizeof *p);
    if (!p)
        abort();
    pair_key(p, a, b);
    p->conversation_id = conversation_id;
    HASH_ADD(hh, s->pairs, key, sizeof p->key, p);
}

/* ---- answers ---- */

static size_t job_bytes(const struct job *j)
{
    return sizeof *j + j->message.content.len + j->message.media_url.len;
}

static void job_finish(struct sender *s, struct job *j)
{
    s->backlog--;
    s->backlog_bytes -= job_bytes(j);
    conn_pending(j->conn, -1);
    conn_unref(j->conn);
    arena_release(&j->arena);
    free(j);
}

static void on_found(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    struct message m;
    struct arena arena;
    (void)count;
    (void)constraint;
    arena_init(&arena);
    if (e == OK)
        e = message_by_id_result(results[0], &arena, &m);
    if (e != OK) {
        conn_error(c, e, error_sentence(e));
    } else if (c->state < CONN_CLOSING) {
        struct frame *f = frame_json(c->ops->message(&m, true));
        conn_reply(c, f);
        frame_unref(f);
    }
    arena_release(&arena);
    conn_unref(c);
}

/* A stored message, to the sender's socket alone. */
static void show(struct conn *c, int64_t id)
{
    struct query q;
    message_by_id_query(&q, id);
    enum error e = pgpipe_submit(c->daemon->queries, &q, 1, on_found, conn_ref(c));
    if (e == OK)
        return;
    conn_error(c, e, error_sentence(e));
    conn_unref(c);
}

/* Will the feed not bring it to who sent it? */
static bool unwanted(struct conn *c, const struct message *m)
{
    return c->ops->wants && !c->ops->wants(c, m);
}

static void answer(struct sender *s, struct job *j, const PGresult *res)
{
    struct message stored;
    bool replayed;
    enum error e = message_send_result(res, &j->message, &stored, &replayed);
    if (e == ERR_RECIPIENT_NOT_FOUND && j->message.or_conversation && j->message.recipient) {
        j->conversation = j->recipient; /* no person has this id: a group, perhaps */
        j->message.conversation = &j->conversation;
        j->message.recipient = NULL;
        j->room = j->conversation.id;
        DL_PREPEND(s->queue, j);
        return;
    }
    if (e == ERR_CONVERSATION_NOT_FOUND && j->message.or_conversation)
        e = ERR_RECIPIENT_NOT_FOUND;
    if (e != OK)
        conn_error(j->conn, e, error_sentence(e));
    else if (replayed || unwanted(j->conn, &stored))
        show(j->conn, stored.id); /* what it had stored before, or is not subscribed to */
    else if (j->message.recipient)
        pair_learn(s, j->conn->me.user_id, stored.recipient.id, stored.conversation_id);
    job_finish(s, j);
}

/* The unit failed. When the connection is lost, so that it may be stored or not, every sender is told.
 * Else nothing is stored, and who is to blame (for a fault, or a conversation that somebody keeps
 * locked) is looked for one by one; the others' messages have nothing to do with it. A unique
 * violation means the same key at the same moment: the other's message is there now. */
static void unit_failed(struct sender *s, enum error e, const char *constraint)
{
    struct job *jobs = s->flying, *j, *next;
    bool key = !strcmp(constraint, "messages_client_key"), single = jobs && !jobs->next;
    bool undone = pgpipe_is_up(s->pipe);
    s->flying = NULL;
    DL_FOREACH_SAFE (jobs, j, next) {
        DL_DELETE(jobs, j); /* NOLINT: the head is the first, and no other has itself for prev */
        if (undone && (!single || (key && !j->again))) {
            j->again = single;
            j->alone = true;
            DL_APPEND(s->flying, j);
        } else {
            conn_error(j->conn, e, error_sentence(e));
            job_finish(s, j);
        }
    }
    DL_CONCAT(s->flying, s->queue); /* before those that came later */
    s->queue = s->flying;
    s->flying = NULL;
}

static void on_done(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct sender *s = arg;
    struct job *jobs = s->flying, *j, *next;
    int i = 0;
    s->busy = false;
    if (e != OK) {
        unit_failed(s, e, constraint);
    } else {
        s->flying = NULL;
        feed_poke(s->daemon->feed);
        DL_FOREACH_SAFE (jobs, j, next) {
            DL_DELETE(jobs, j);
            if (i < count)
                answer(s, j, results[i++]);
        }
    }
    fly(s);
}

/* ---- sending ---- */

static int by_room(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->room < y->room ? -1 : x->room > y->room;
}

/* Moves the next unit's jobs from the queue to flying: one that goes alone, or those before it. */
static void choose(struct sender *s)
{
    struct job *j, *next;
    int count = 0;
    DL_FOREACH_SAFE (s->queue, j, next) {
        if (!j->room && j->message.recipient)
            j->room = pair_find(s, j->conn->me.user_id, j->recipient.id);
        bool alone = j->alone || !j->room;
        if (count == BATCH || (alone && count))
            break;
        DL_DELETE(s->queue, j);
        DL_APPEND(s->flying, j);
        count++;
        if (alone)
            break;
    }
    /* cppcheck-suppress nullPointer ; there was a queue */
    DL_SORT(s->flying, by_room); /* stable: a conversation keeps the order of arrival */
}

static void fly(struct sender *s)
{
    static struct query queries[BATCH]; /* 40 kB: too much for the stack, used only within the call */
    struct query woken;
    struct job *j;
    bool sent = false;
    while (!s->busy && s->queue) {
        int count = 0;
        choose(s);
        DL_FOREACH (s->flying, j)
            message_send_query(&queries[count++], &j->message);
        enum error e = pgpipe_submit(s->pipe, queries, count, on_done, s);
        s->busy = sent = e == OK;
        if (e != OK)
            unit_failed(s, e, ""); /* and so will all that wait */
    }
    if (!sent || time_seconds() - s->woke_at < WAKE_EVERY_US / 1e6)
        return;
    s->woke_at = time_seconds();
    query_init(&woken, SQL_WAKE);
    if (pgpipe_submit(s->pipe, &woken, 1, NULL, NULL) != OK)
        s->woke_at = 0; /* the connection is gone; the sweeps of the other daemons cover it */
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int revents)
{
    (void)loop;
    (void)revents;
    fly(w->data);
}

static struct text keep(struct arena *a, struct text t)
{
    return (struct text){arena_strndup(a, t.s, t.len), t.len};
}

enum error sender_submit(struct conn *c, const struct new_message *m)
{
    struct sender *s = c->daemon->sender;
    if (!pgpipe_is_up(s->pipe) || s->backlog >= BACKLOG_MOST || s->backlog_bytes >= BACKLOG_BYTES)
        return ERR_UNAVAILABLE;
    if (!(c->me.scopes & SCOPE_SEND))
        return ERR_INSUFFICIENT_SCOPE;
    if (m->recipient && m->recipient->id == c->me.user_id)
        return ERR_SELF_MESSAGE;
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        abort();
    j->message = *m;
    j->message.type = arena_strdup(&j->arena, m->type);
    j->message.content = keep(&j->arena, m->content);
    j->message.media_url = keep(&j->arena, m->media_url);
    j->message.client_key = keep(&j->arena, m->client_key);
    if (m->conversation) {
        j->conversation = *m->conversation;
        j->message.conversation = &j->conversation;
        j->room = m->conversation->id;
    }
    if (m->recipient) {
        j->recipient = *m->recipient;
        j->message.recipient = &j->recipient;
    }
    j->conn = conn_ref(c);
    j->message.sender = &j->conn->me;
    DL_APPEND(s->queue, j);
    s->backlog++;
    s->backlog_bytes += job_bytes(j);
    conn_pending(c, 1);
    return OK;
}

int sender_backlog(const struct sender *s)
{
    return s->backlog;
}

void sender_hurry(struct sender *s)
{
    pgpipe_hurry(s->pipe);
}

static void on_up(void *arg)
{
    server_ready(arg, PART_SENDER);
}

struct sender *sender_new(struct daemon *d)
{
    struct sender *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->daemon = d;
    s->pipe = pgpipe_new(d->loop, &d->config, d->config.database_url, "writes",
                         (struct pgpipe_owner){.up = on_up, .arg = d});
    ev_prepare_init(&s->start, on_turn);
    s->start.data = s;
    /* Before the pipe flushes in the same turn. */
    ev_set_priority(&s->start, EV_MAXPRI);
    ev_prepare_start(d->loop, &s->start);
    return s;
}

void sender_free(struct sender *s)
{
    struct job *j, *next;
    if (!s)
        return;
    ev_prepare_stop(s->daemon->loop, &s->start);
    pgpipe_free(s->pipe);
    DL_CONCAT(s->queue, s->flying);
    DL_FOREACH_SAFE (s->queue, j, next)
        job_finish(s, j);
    pairs_clear(s);
    free(s);
}
