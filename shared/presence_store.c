/* Who is online. */
#include "shared/presence_store.h"

void daemon_register_query(struct query *q)
{
    query_init(q, SQL_DAEMON_REGISTER);
}

void daemon_heartbeat_query(struct query *q, int64_t daemon_id)
{
    query_init(q, SQL_DAEMON_HEARTBEAT);
    query_int(q, daemon_id);
}

void daemon_leave_query(struct query *q, int64_t daemon_id, int grace_ms)
{
    query_init(q, SQL_DAEMON_LEAVE);
    query_int(q, daemon_id);
    query_int(q, PRESENCE_SILENCE * 1000 - grace_ms);
}

int64_t daemon_result(const PGresult *res)
{
    if (!PQntuples(res))
        return 0;
    struct row r = row_at(res, 0, NULL);
    return row_int(&r);
}

void presence_up_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users, int n)
{
    query_init(q, SQL_PRESENCE_UP);
    query_int(q, daemon_id);
    query_ints(q, a, users, n);
}

void presence_down_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users, int n)
{
    query_init(q, SQL_PRESENCE_DOWN);
    query_int(q, daemon_id);
    query_ints(q, a, users, n);
}

void presence_sweep_query(struct query *q)
{
    query_init(q, SQL_PRESENCE_SWEEP);
    query_int(q, PRESENCE_SILENCE);
}

void presence_all_query(struct query *q)
{
    query_init(q, SQL_PRESENCE_ALL);
}

int64_t presence_all_result(const PGresult *res, int i)
{
    struct row r = row_at(res, i, NULL);
    return row_int(&r);
}

void presence_viewers_query(struct query *q, struct arena *a, const int64_t *users, int n, const int64_t *viewers,
                            int viewer_count)
{
    query_init(q, SQL_PRESENCE_VIEWERS);
    query_ints(q, a, users, n);
    query_ints(q, a, viewers, viewer_count);
}

void presence_people_query(struct query *q, struct arena *a, const int64_t *viewers, const int64_t *after, int n,
                           int most)
{
    query_init(q, SQL_PRESENCE_PEOPLE);
    query_ints(q, a, viewers, n);
    query_ints(q, a, after, n);
    query_int(q, most);
}

void presence_pairs_result(const PGresult *res, struct arena *a, struct presence_row **out, int *count)
{
    *count = PQntuples(res);
    *out = arena_alloc(a, (size_t)*count * sizeof **out);
    for (int i = 0; i < *count; i++) {
        struct row r = row_at(res, i, a);
        struct presence_row *p = &(*out)[i];
        p->viewer_id = row_int(&r);
        p->user_id = row_int(&r);
        p->created_at = row_time(&r);
    }
}
