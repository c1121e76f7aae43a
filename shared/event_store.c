/* Reading events and keeping positions; why a position misses nothing is in position.h and
 * db/0007_events.sql. */
#include "shared/event_store.h"

#include "shared/outcome.h"

/* ---- pages ---- */

void events_query(struct query *q, struct arena *a, int64_t me, const struct position *from,
                  const struct event_filter *filter, int64_t limit)
{
    query_init(q, SQL_EVENTS);
    query_int(q, me);
    query_text(q, from->seen);
    query_text(q, from->seen ? snapshot_xmax(a, from->seen) : NULL);
    query_text(q, from->seen ? snapshot_xip(a, from->seen) : NULL);
    query_text(q, from->upto);
    query_int(q, from->after);
    query_int(q, limit + 1); /* one more tells whether there are more */
    query_ref(q, filter->conversation);
    query_text(q, filter->kinds);
}

void change_read(struct row *r, struct change *out)
{
    struct event *e = &out->event;
    *out = (struct change){0};
    e->id = row_int(r);
    e->kind = row_text(r);
    e->conversation_id = row_int(r);
    e->user_id = row_int(r);
    e->actor_id = row_int(r);
    e->seq = row_int(r);
    e->at = row_time(r);
    e->conversation_created = row_time(r);
    e->user_created = row_time(r);
    e->actor_created = row_time(r);
    e->user_name = row_text(r);
    e->actor_name = row_text(r);
    e->conversation_name = row_text(r);
    message_read(r, &out->message);
}

enum error events_result(const PGresult *res, struct arena *a, const struct position *from,
                         const struct event_filter *filter, int64_t limit, struct event_page *out)
{
    struct event_page page = {.from = position_copy(a, from)}; /* the caller moves on from it */
    size_t bytes = 0;
    int rows = PQntuples(res);
    page.list = arena_alloc(a, sizeof *page.list * (size_t)rows);
    for (int i = 0; i < rows; i++) {
        struct row r = row_at(res, i, a);
        enum error e = outcome_error(row_text(&r));
        if (e != OK)
            return e;
        if (!row_bool(&r) && filter->conversation)
            return ERR_CONVERSATION_NOT_FOUND;
        page.member = row_bool(&r);
        page.from.upto = row_text(&r);
        if (row_is_null(&r) || (page.more = page.more || page.count == limit || bytes > EVENT_PAGE_BYTES))
            continue;
        change_read(&r, &page.list[page.count]);
        bytes += page.list[page.count++].message.content.len;
    }
    page.next = page.more ? event_position(&page, page.count - 1) : (struct position){.seen = page.from.upto};
    *out = page;
    return OK;
}

enum error events(struct db *db, struct arena *a, int64_t me, const struct position *from,
                  const struct event_filter *filter, int64_t limit, struct event_page *out)
{
    struct query q;
    PGresult *res;
    events_query(&q, a, me, from, filter, limit);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    e = events_result(res, a, from, filter, limit, out);
    PQclear(res);
    return e;
}

struct position event_position(const struct event_page *p, int i)
{
    if (!p->more && i == p->count - 1)
        return (struct position){.seen = p->from.upto};
    return (struct position){p->from.seen, p->from.upto, p->list[i].event.id};
}

/* ---- consumers ---- */

static void consumer_read(struct row *r, void *out)
{
    struct consumer *c = out;
    c->name = row_text(r);
    c->position.seen = row_text(r);
    c->position.upto = row_text(r);
    c->position.after = row_int(r);
    c->created_at = row_time(r);
    c->acknowledged_at = row_time(r);
}

void consumer_open_query(struct query *q, int64_t me, const char *name)
{
    query_init(q, SQL_CONSUMER_OPEN);
    query_int(q, me);
    query_text(q, name);
    query_int(q, CONSUMERS_MOST);
}

enum error consumer_open_result(const PGresult *res, struct arena *a, struct consumer *out)
{
    struct row r = row_at(res, 0, a);
    enum error e = outcome_error(row_text(&r));
    if (e == OK)
        consumer_read(&r, out);
    return e;
}

enum error consumer_open(struct db *db, struct arena *a, int64_t me, const char *name, struct consumer *out)
{
    struct query q;
    consumer_open_query(&q, me, name);
    return outcome_row(db, &q, a, consumer_read, out);
}

enum error consumer_ack(struct db *db, struct arena *a, int64_t me, const char *name, const struct position *position,
                        struct consumer *out)
{
    struct query q;
    query_init(&q, SQL_CONSUMER_ACK);
    query_int(&q, me);
    query_text(&q, name);
    query_int(&q, CONSUMERS_MOST);
    query_text(&q, position->seen);
    query_text(&q, position->upto);
    query_int(&q, position->after);
    return outcome_row(db, &q, a, consumer_read, out);
}

enum error consumer_list(struct db *db, struct arena *a, int64_t me, struct consumer **out, int *count)
{
    struct query q;
    query_init(&q, SQL_CONSUMER_LIST);
    query_int(&q, me);
    return db_list(db, &q, a, consumer_read, sizeof **out, out, count);
}

enum error consumer_delete(struct db *db, int64_t me, const char *name)
{
    struct query q;
    query_init(&q, SQL_CONSUMER_DELETE);
    query_int(&q, me);
    query_text(&q, name);
    return db_row(db, &q, NULL, NULL, NULL, ERR_CONSUMER_NOT_FOUND);
}
