/* Every style of paging is a place and a direction: a page never asks how many came before it, so
 * none skips or repeats a message, whatever arrives between two pages. */
#include "shared/history_store.h"

#include "shared/outcome.h"

#include <stdio.h>
#include <string.h>

/* The place as parameters: seq, id, time, rest. Newer pages begin at the place itself. */
static void query_place(struct query *q, const struct page *p)
{
    bool by_seq = p->place == PLACE_BEFORE_SEQ || p->place == PLACE_AFTER_SEQ;
    bool by_id = p->place == PLACE_BEFORE_ID || p->place == PLACE_AFTER_ID || p->place == PLACE_AROUND_ID;
    bool behind = p->place == PLACE_AFTER_SEQ || p->place == PLACE_AFTER_ID;
    int64_t at = p->at + (behind && p->at < INT64_MAX);
    by_seq ? query_int(q, at) : query_null(q);
    by_id ? query_int(q, at) : query_null(q);
    p->place == PLACE_BEFORE_TIME ? query_int(q, at) : query_null(q);
    p->place == PLACE_BEFORE_TIME ? query_int(q, p->rest) : query_null(q);
}

/* Is the conversation there, and mine? The first three columns. */
static enum error access(struct row *r, const struct page *p)
{
    bool peer = row_bool(r), known = row_bool(r), member = row_bool(r);
    if (known)
        return member ? OK : ERR_NOT_MEMBER;
    if (!p->peer)
        return ERR_CONVERSATION_NOT_FOUND;
    return peer ? OK : ERR_USER_NOT_FOUND; /* they never talked */
}

static void reverse(struct message *list, int count)
{
    for (int i = 0; i < count / 2; i++) {
        struct message m = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = m;
    }
}

/* A page in one direction, in the order of that direction. */
static enum error walk(struct db *db, struct arena *a, int64_t me, const struct page *p, bool older, int64_t limit,
                       struct messages *out)
{
    struct query q;
    PGresult *res;
    struct message m;
    query_init(&q, older ? SQL_HISTORY_OLDER : SQL_HISTORY_NEWER);
    query_int(&q, me);
    query_ref(&q, p->conversation);
    query_ref(&q, p->peer);
    query_text(&q, conversation_kind_name(p->kind));
    query_place(&q, p);
    query_int(&q, limit + 1); /* one more tells whether there are more */
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    out->list = arena_alloc(a, (size_t)(limit + 1) * sizeof *out->list);
    out->count = 0;
    bool behind = false, more = false;
    for (int i = 0; i < PQntuples(res) && e == OK; i++) {
        struct row r = row_at(res, i, a);
        e = access(&r, p);
        behind = row_bool(&r);
        message_read(&r, &m);
        if (m.id && !(more = out->count == limit))
            out->list[out->count++] = m;
    }
    PQclear(res);
    out->older = older ? more : behind;
    out->newer = older ? behind : more;
    return e;
}

/* Both sides of a message. */
static enum error around(struct db *db, struct arena *a, int64_t me, const struct page *p, struct messages *out)
{
    struct messages before, from;
    enum error e;
    if ((e = walk(db, a, me, p, true, p->limit / 2, &before)) ||
        (e = walk(db, a, me, p, false, p->limit - p->limit / 2, &from)))
        return e;
    out->count = before.count + from.count;
    out->list = arena_alloc(a, (size_t)out->count * sizeof *out->list);
    reverse(before.list, before.count);
    memcpy(out->list, before.list, (size_t)before.count * sizeof *out->list);
    memcpy(out->list + before.count, from.list, (size_t)from.count * sizeof *out->list);
    out->older = before.older;
    out->newer = from.newer;
    return OK;
}

enum error history_page(struct db *db, struct arena *a, int64_t me, const struct page *page, struct messages *out)
{
    bool both = page->place == PLACE_AROUND_ID;
    bool oldest_first = both || page->place == PLACE_AFTER_SEQ || page->place == PLACE_AFTER_ID;
    struct messages found;
    enum error e = both ? around(db, a, me, page, &found) : walk(db, a, me, page, !oldest_first, page->limit, &found);
    if (e != OK)
        return e;
    if (oldest_first != page->oldest_first)
        reverse(found.list, found.count);
    *out = found;
    return OK;
}

/* ---- cursors ---- */

void cursor_format(const struct message *m, bool older, char out[CURSOR_TEXT])
{
    snprintf(out, CURSOR_TEXT, "%c%lld", older ? 'b' : 'a', (long long)m->seq);
}

enum error cursor_parse(const char *text, struct page *page)
{
    struct ref seq;
    if ((*text != 'b' && *text != 'a') || !id_parse_integer(text + 1, &seq))
        return ERR_INVALID_PARAMETER;
    page->place = *text == 'b' ? PLACE_BEFORE_SEQ : PLACE_AFTER_SEQ;
    page->at = seq.id;
    return OK;
}

void cursor_format_time(const struct message *m, char out[CURSOR_TEXT])
{
    char time[TIME_TEXT];
    time_format(m->created_at, time);
    snprintf(out, CURSOR_TEXT, "%.*s%lldZ", (int)strcspn(time, "Z"), time, (long long)m->seq);
}

enum error cursor_parse_time(const char *text, struct page *page)
{
    if (!time_parse(text, &page->at, &page->rest))
        return ERR_INVALID_PARAMETER;
    page->place = PLACE_BEFORE_TIME;
    return OK;
}

/* ---- one's own messages ---- */

enum error message_edit(struct db *db, struct arena *a, int64_t me, const struct ref *message, struct text content,
                        struct message *out)
{
    struct query q;
    query_init(&q, SQL_MESSAGE_EDIT);
    query_ref(&q, message);
    query_int(&q, me);
    query_text(&q, content.s);
    return outcome_row(db, &q, a, message_row, out);
}

enum error message_delete(struct db *db, int64_t me, const struct ref *message)
{
    struct query q;
    query_init(&q, SQL_MESSAGE_DELETE);
    query_ref(&q, message);
    query_int(&q, me);
    return outcome_run(db, &q);
}
