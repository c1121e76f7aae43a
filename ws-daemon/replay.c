/* A replay covers everything up to the snapshot the feed stood at when it started; what the feed
 * hands out from then on is held. While the feed is in the middle of a large change its position is
 * between two snapshots, so a replay waits until it is through. A page may cost the database some tenths of a
 * second, and all questions share a connection: a few pages are under way at a time, one of each user. */
#include "ws-daemon/replay.h"

#include "shared/event_store.h"
#include "shared/receipt_store.h"
#include "shared/store.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { PAGE = 200, PAGES_MOST = 4 }; /* messages of a page, pages under way */

struct replay {
    struct ref since;   /* id 0: none; what was never delivered to the user (p2p), or since the cursor: */
    struct position at; /* seen NULL: none */
    struct arena place; /* at's strings */
    char *until;        /* the feed's position at the start; NULL: waits for the feed */
    int64_t after;
    bool asking; /* a page is under way */
    bool queued; /* or waits for its turn */
    struct conn *conn;
    struct replay *prev, *next; /* in the queue */
};

void replay_free(struct conn *c)
{
    if (c->replay) {
        if (c->replay->queued)
            DL_DELETE(c->daemon->replays, c->replay);
        arena_release(&c->replay->place);
        free(c->replay->until);
    }
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

static bool has_room(const struct conn *c)
{
    return c->outbox.bytes <= (size_t)c->daemon->config.outbox_max / 2;
}

static void show_message(struct conn *c, const struct message *m)
{
    bool own = m->sender.id == c->me.user_id;
    struct frame *f = frame_json(c->ops->message(m, own));
    if (c->ops->receipts && !own)
        frame_of_message(f, m);
    conn_reply(c, f);
    frame_unref(f);
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
        if (!has_room(c)) {
            count = PAGE;
            break;
        }
        show_message(c, &m);
        c->replay->after = m.id;
        count++;
    }
    arena_release(&arena);
    return known ? count : -1;
}

/* Is a page under way for another socket of the user? */
static bool another_asks(const struct conn *c)
{
    for (struct conn *o = hub_user(c->daemon->hub, c->me.user_id); o; o = o->user_next)
        if (o != c && o->replay && o->replay->asking)
            return true;
    return false;
}

static void ask(struct conn *c);

/* Whose turn it is. */
static void pump(struct daemon *d)
{
    struct replay *r, *next;
    DL_FOREACH_SAFE (d->replays, r, next) {
        if (d->replay_pages >= PAGES_MOST)
            return;
        if (another_asks(r->conn))
            continue;
        DL_DELETE(d->replays, r);
        r->queued = false;
        ask(r->conn);
    }
}

/* Also of one that is closing, or gone, meanwhile. */
static void answered(struct conn *c, bool page)
{
    c->daemon->replay_pages -= page;
    if (c->replay)
        c->replay->asking = false;
}

static void on_page(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    (void)count;
    (void)constraint;
    answered(c, true);
    if (c->state == CONN_REPLAY) {
        int shown = e == OK ? show_page(c, results[0]) : 0;
        if (e != OK)
            conn_close(c, ERR_GOING_AWAY); /* it cannot be live without what it missed: come again */
        else if (shown < 0)
            refuse(c, "since names no message of yours");
        else if (shown < PAGE && c->state == CONN_REPLAY)
            finish(c);
    }
    pump(c->daemon);
    conn_unref(c);
}

/* ---- since a cursor: other changes too, for dialects that have words for them ---- */

static void show_change(struct conn *c, const struct change *change)
{
    const struct message *m = &change->message;
    struct json_object *o = NULL;
    if (m->id && m->is_group && !c->ops->groups)
        return;
    if (!strcmp(change->event.kind, "message"))
        show_message(c, m);
    else if (c->ops->event && (o = c->ops->event(change))) {
        struct frame *f = frame_json(o);
        conn_reply(c, f);
        frame_unref(f);
    }
}

/* Where a page that was asked for from `at` leads to, as far as there was room for it. True: all has been
 * shown. The cursor may stand between two snapshots; behind the second one it goes on to the replay's end. */
static bool show_changes(struct conn *c, const struct event_page *p)
{
    struct replay *r = c->replay;
    struct position next = p->next;
    bool at_end = !strcmp(p->from.upto, r->until) && !p->more;
    for (int i = 0; i < p->count; i++) {
        if (i && !has_room(c)) {
            next = event_position(p, i - 1);
            at_end = false;
            break;
        }
        show_change(c, &p->list[i]);
    }
    struct arena place;
    arena_init(&place);
    r->at = position_copy(&place, &next);
    arena_release(&r->place);
    r->place = place;
    return at_end;
}

static void changes_query(struct query *q, struct arena *a, const struct conn *c, struct position *from)
{
    const char *kinds = "message";
    *from = c->replay->at;
    if (!from->upto)
        from->upto = c->replay->until;
    if (c->ops->event) {
        kinds = "";
        view_event_kinds(a, NULL, &kinds);
    }
    events_query(q, a, c->me.user_id, from, &(struct event_filter){.kinds = arena_printf(a, "{%s}", kinds)}, PAGE);
}

static void on_changes(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    struct arena a;
    struct event_page page;
    (void)count;
    (void)constraint;
    answered(c, true);
    arena_init(&a);
    if (c->state == CONN_REPLAY) {
        bool good = e == OK;
        if (good)
            e = events_result(results[0], &a, &c->replay->at, &(struct event_filter){0}, PAGE, &page);
        if (!good)
            conn_close(c, ERR_GOING_AWAY);
        else if (e != OK)
            refuse(c, error_sentence(e));
        else if (show_changes(c, &page) && c->state == CONN_REPLAY)
            finish(c);
        else if (c->state == CONN_REPLAY && has_room(c))
            replay_continue(c); /* nothing may be on its way, whose end would wake us */
    }
    arena_release(&a);
    pump(c->daemon);
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

static void ask(struct conn *c)
{
    struct query q;
    struct arena a;
    struct position from;
    struct replay *r = c->replay;
    if (c->state != CONN_REPLAY)
        return;
    arena_init(&a);
    if (r->at.seen)
        changes_query(&q, &a, c, &from);
    else if (r->since.id)
        since_query(&q, c, r);
    else
        pending_query(&q, c->me.user_id, r->until, r->after, PAGE, c->ops->groups);
    r->asking = pgpipe_submit(c->daemon->queries, &q, 1, r->at.seen ? on_changes : on_page, conn_ref(c)) == OK;
    if (r->asking) {
        c->daemon->replay_pages++;
    } else {
        conn_unref(c);
        conn_close(c, ERR_GOING_AWAY);
    }
    arena_release(&a);
}

void replay_continue(struct conn *c)
{
    struct replay *r = c->replay;
    if (c->state != CONN_REPLAY || !r || r->asking || !r->until || r->queued)
        return;
    r->queued = true;
    DL_APPEND(c->daemon->replays, r);
    pump(c->daemon);
}

static void on_present(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct conn *c = arg;
    struct arena arena;
    (void)count;
    (void)constraint;
    answered(c, false);
    arena_init(&arena);
    if (c->state == CONN_REPLAY && e == OK) {
        struct row r = row_at(results[0], 0, &arena);
        if (!(c->replay->until = strdup(row_text(&r))))
            abort();
        replay_continue(c);
    } else if (c->state == CONN_REPLAY) {
        conn_close(c, ERR_GOING_AWAY);
    }
    arena_release(&arena);
    pump(c->daemon);
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
    c->replay->asking = pgpipe_submit(c->daemon->queries, &q, 1, on_present, conn_ref(c)) == OK;
    if (!c->replay->asking) {
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
    struct replay *r = calloc(1, sizeof *r);
    if (!r)
        abort();
    bool good = !c->since || position_parse(&r->place, c->since, &r->at) ||
                ((c->ops->integers ? id_parse_integer : id_parse_uuid)(c->since, &since) && since.id);
    free(c->since);
    c->since = NULL;
    conn_set_state(c, CONN_REPLAY);
    c->replay = r;
    r->conn = c;
    if (!good) {
        refuse(c, c->ops->integers ? "since has to be the integer id of a message, or a cursor"
                                   : "since has to be the UUID of a message, or a cursor");
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
