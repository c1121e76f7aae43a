/* A replay covers everything up to the snapshot the feed stood at when it started; what the feed
 * hands out from then on is held. While the feed is in the middle of a large change its position is
 * between two snapshots, so a replay waits until it is through. */
#include "ws-daemon/replay.h"

#include "shared/receipt_store.h"
#include "shared/store.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 200 };

struct replay {
    struct ref since; /* id 0: none; what was never delivered to the user (p2p) */
    char *until; /* the feed's position at the start; NULL: waits for the feed */
    int64_t after;
    bool asking; /* a page is under way */
};

void replay_free(struct conn *c)
{
    if (c->replay)
        free(c->replay->until);
    free(c->replay);
    c->replay = NULL;
}

static void finish(struct conn *c)
{
    replay_free(c);
    conn_go_live(c);
}

static void refuse(struct conn *c, const char *sentence)
{
    c->behind = true; /* a receipt covers all before it, and not all of that was shown */
    conn_error(c, ERR_INVALID_PARAMETER, sentence);
    finish(c);
}

/* Sends a page on its way, or what of it fits into half an outbox: large messages come in more pages,
 * or they would fill it and never be through. Answers how many messages there were, PAGE when there
 * are more, -1 for an unknown since. */
static int show_page(struct conn *c, const PGresult *res)
{
    struct arena arena;
    struct message m;
    int count = 0;
    bool known = false;
    arena_init(&arena);
    for (int i = 0; i < PQntuples(res); i++) {
        struct row r = row_at(res, i, &arena);
        known = row_bool(&r);
        message_read(&r, &m);
        if (!m.id)
            continue;
        if (c->outbox.bytes > (size_t)c->daemon->config.outbox_max / 2) {
            count = PAGE;
            break;
        }
        bool own = m.sender.id == c->me.user_id;
        struct frame *f = frame_json(c->ops->message(&m, own));
        if (c->ops->receipts && !own)
            frame_of_message(f, &m);
        conn_reply(c, f);
        frame_unref(f);
        c->replay->after = m.id;
        count++;
    }
    arena_release(&arena);
    return known ? count : -1;
}

static void on_page(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    (void)count;
    (void)constraint;
    if (c->state == CONN_REPLAY) {
        c->replay->asking = false;
        int shown = e == OK ? show_page(c, results[0]) : 0;
        if (e != OK)
            conn_close(c, ERR_GOING_AWAY); /* it cannot be live without what it missed: come again */
        else if (shown < 0)
            refuse(c, "since names no message of yours");
        else if (shown < PAGE && c->state == CONN_REPLAY)
            finish(c);
    }
    conn_unref(c);
}

static void since_query(struct query *q, const struct conn *c, const struct replay *r)
{
    query_init(q, SQL_REPLAY);
    query_int(q, c->me.user_id);
    query_ref(q, &r->since);
    query_text(q, r->until);
    query_int(q, r->after);
    query_int(q, PAGE);
    query_bool(q, !c->ops->groups);
}

void replay_continue(struct conn *c)
{
    struct query q;
    struct replay *r = c->replay;
    if (c->state != CONN_REPLAY || !r || r->asking || !r->until)
        return;
    if (r->since.id)
        since_query(&q, c, r);
    else
        pending_query(&q, c->me.user_id, r->until, r->after, PAGE, c->ops->groups);
    r->asking = true;
    if (pgpipe_submit(c->daemon->queries, &q, 1, on_page, conn_ref(c)) != OK) {
        conn_unref(c);
        conn_close(c, ERR_GOING_AWAY);
    }
}

static void on_present(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    struct arena arena;
    (void)count;
    (void)constraint;
    arena_init(&arena);
    if (c->state == CONN_REPLAY && e == OK) {
        struct row r = row_at(results[0], 0, &arena);
        c->replay->asking = false;
        if (!(c->replay->until = strdup(row_text(&r))))
            abort();
        replay_continue(c);
    } else if (c->state == CONN_REPLAY) {
        conn_close(c, ERR_GOING_AWAY);
    }
    arena_release(&arena);
    conn_unref(c);
}

/* A socket that does not get everything live would not get what the feed has yet to hand out: its
 * replay goes up to the present, and what it gets live as well may come twice. */
static void begin_at_present(struct conn *c)
{
    struct query q;
    if (c->replay->asking)
        return;
    query_init(&q, SQL_FEED_START);
    c->holding = true;
    c->replay->asking = true;
    if (pgpipe_submit(c->daemon->queries, &q, 1, on_present, conn_ref(c)) != OK) {
        conn_unref(c);
        conn_close(c, ERR_GOING_AWAY);
    }
}

static void begin(struct conn *c)
{
    if (c->ops->wants) {
        begin_at_present(c);
        return;
    }
    if (!feed_is_settled(c->daemon->feed))
        return;
    if (!(c->replay->until = strdup(feed_position(c->daemon->feed))))
        abort();
    c->holding = true;
    replay_continue(c);
}

void replay_start(struct conn *c)
{
    struct ref since = {0};
    if (!c->since && !c->ops->pending) {
        finish(c);
        return;
    }
    bool good = !c->since || (c->ops->integers ? id_parse_integer(c->since, &since)
                                               : id_parse_uuid(c->since, &since));
    good = good && (!c->since || since.id);
    free(c->since);
    c->since = NULL;
    conn_set_state(c, CONN_REPLAY);
    c->replay = calloc(1, sizeof *c->replay);
    if (!c->replay)
        abort();
    if (!good) {
        refuse(c, c->ops->integers ? "since has to be the integer id of a message"
                                   : "since has to be the UUID of a message");
        return;
    }
    c->replay->since = since;
    c->since_id = since.id;
    begin(c);
}

void replay_start_waiting(struct daemon *d)
{
    for (struct conn *c = d->conns, *next; c; c = next) {
        next = c->next;
        if (c->state == CONN_REPLAY && c->replay && !c->replay->until)
            begin(c);
    }
}
