/* Delivered and read. */
#include "shared/receipt_store.h"

#include "shared/outcome.h"

void receipt_mark_query(struct query *q, int64_t me, const struct ref *conversation, const struct ref *message,
                        bool read)
{
    query_init(q, SQL_RECEIPT_MARK);
    query_int(q, me);
    query_ref(q, conversation);
    query_ref(q, message);
    query_bool(q, read);
}

enum error receipt_mark_result(const PGresult *res)
{
    return outcome_result(res);
}

enum error receipt_mark(struct db *db, int64_t me, const struct ref *conversation, const struct ref *message, bool read)
{
    struct query q;
    receipt_mark_query(&q, me, conversation, message, read);
    return outcome_run(db, &q);
}

void receipts_mark_query(struct query *q, struct arena *a, int64_t user_id, const int64_t *conversations,
                         const int64_t *seqs, int n, bool read)
{
    query_init(q, SQL_RECEIPTS_MARK);
    query_int(q, user_id);
    query_ints(q, a, conversations, n);
    query_ints(q, a, seqs, n);
    query_bool(q, read);
}

enum error delivery_list(struct db *db, struct arena *a, int64_t me, const struct ref *message, struct delivery **out,
                         int *count)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_DELIVERIES);
    query_int(&q, me);
    query_ref(&q, message);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct delivery *list = arena_alloc(a, (size_t)PQntuples(res) * sizeof *list);
    int n = 0;
    if (!PQntuples(res))
        e = ERR_MESSAGE_NOT_FOUND;
    for (int i = 0; i < PQntuples(res) && e == OK; i++) {
        struct row r = row_at(res, i, a);
        struct delivery d = {0};
        e = row_bool(&r) ? OK : ERR_NOT_MEMBER;
        d.user_id = row_int(&r);
        d.user_created_at = row_time(&r);
        d.status = row_text(&r);
        d.delivered_at = row_time(&r);
        d.read_at = row_time(&r);
        if (d.user_id)
            list[n++] = d;
    }
    PQclear(res);
    if (e == OK) {
        *out = list;
        *count = n;
    }
    return e;
}

enum error message_reach(struct db *db, struct arena *a, const struct message *messages, int n, enum reach *out)
{
    struct query q;
    PGresult *res;
    int64_t *ids = arena_alloc(a, (size_t)n * sizeof *ids);
    for (int i = 0; i < n; i++)
        ids[i] = messages[i].id;
    query_init(&q, SQL_REACH);
    query_ints(&q, a, ids, n);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    for (int i = 0; i < n; i++) {
        struct row r = row_at(res, i, a);
        bool all = row_bool(&r), connected = row_bool(&r);
        out[i] = all ? REACH_ALL : connected ? REACH_CONNECTED : REACH_NOBODY;
    }
    PQclear(res);
    return OK;
}

void pending_query(struct query *q, int64_t user_id, const char *snapshot, int64_t after_id, int64_t limit, bool groups)
{
    query_init(q, SQL_PENDING);
    query_int(q, user_id);
    query_text(q, snapshot);
    query_int(q, after_id);
    query_int(q, limit);
    query_bool(q, groups);
}
