#include "shared/callback_store.h"

#include "shared/event_store.h"
#include "shared/outcome.h"

/* The parameters all that owners do begins with. */
static void at_query(struct query *q, enum sql sql, const struct callback_ref *at)
{
    query_init(q, sql);
    query_ref(q, at->conversation);
    query_int(q, at->me);
    if (at->callback)
        query_ref(q, at->callback);
}

static void callback_read(struct row *r, void *out)
{
    struct callback *c = out;
    c->id = row_int(r);
    c->url = row_text(r);
    c->enabled = row_bool(r);
    c->disabled_reason = row_text(r);
    c->failing_since = row_time(r);
    c->created_at = row_time(r);
    c->pending = row_int(r);
    c->dead = row_int(r);
}

enum error callback_create(struct db *db, struct arena *a, const struct callback_ref *at, const char *url,
                           const unsigned char secret[CALLBACK_SECRET], struct callback *out)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_CREATE, at);
    query_text(&q, url);
    query_bytes(&q, secret, CALLBACK_SECRET);
    query_int(&q, CALLBACKS_MOST);
    query_caller(&q, &at->from);
    return outcome_row(db, &q, a, callback_read, out);
}

enum error callback_enable(struct db *db, struct arena *a, const struct callback_ref *at, bool enabled,
                           struct callback *out)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_ENABLE, at);
    query_bool(&q, enabled);
    query_caller(&q, &at->from);
    return outcome_row(db, &q, a, callback_read, out);
}

enum error callback_delete(struct db *db, const struct callback_ref *at)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_DELETE, at);
    query_caller(&q, &at->from);
    return outcome_run(db, &q);
}

enum error callback_list(struct db *db, struct arena *a, const struct callback_ref *at, struct callback **out,
                         int *count)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_LIST, at);
    return outcome_list(db, &q, a, callback_read, sizeof **out, out, count);
}

static void delivery_read(struct row *r, void *out)
{
    struct callback_delivery *d = out;
    d->id = row_int(r);
    d->kind = row_text(r);
    d->state = row_text(r);
    d->attempts = row_int(r);
    d->last_status = row_int(r);
    d->error = row_text(r);
    d->created_at = row_time(r);
    d->next_attempt_at = row_time(r);
    d->finished_at = row_time(r);
}

enum error callback_deliveries(struct db *db, struct arena *a, const struct callback_ref *at, const char *state,
                               int64_t limit, int64_t offset, struct callback_delivery **out, int *count)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_DELIVERIES, at);
    query_text(&q, state);
    query_int(&q, limit);
    query_int(&q, offset);
    return outcome_list(db, &q, a, delivery_read, sizeof **out, out, count);
}

enum error callback_redeliver(struct db *db, const struct callback_ref *at, int64_t *count)
{
    struct query q;
    at_query(&q, SQL_CALLBACK_REDELIVER, at);
    query_caller(&q, &at->from);
    return outcome_row(db, &q, NULL, int_row, count);
}

/* ---- the courier ---- */

enum error callbacks_plan(struct db *db, int64_t most, int64_t *looked)
{
    struct query q;
    query_init(&q, SQL_CALLBACKS_PLAN);
    query_int(&q, most);
    return db_int(db, &q, looked);
}

enum error callback_claim(struct db *db, struct arena *a, int64_t lease, struct callback_post *out)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_CALLBACK_CLAIM);
    query_int(&q, lease);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    *out = (struct callback_post){0};
    if (PQntuples(res)) {
        struct row r = row_at(res, 0, a);
        out->id = row_int(&r);
        out->attempt = row_int(&r);
        out->created_at = row_time(&r);
        out->callback_id = row_int(&r);
        out->url = row_text(&r);
        out->secret = row_bytes(&r);
        out->moot = row_bool(&r);
        change_read(&r, &out->change);
    }
    PQclear(res);
    return OK;
}

enum error callback_finish(struct db *db, struct arena *a, const struct callback_post *post,
                           const struct callback_result *result, const char **state, bool *disabled)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_CALLBACK_FINISH);
    query_int(&q, post->id);
    query_int(&q, post->attempt);
    query_text(&q, result->state);
    if (result->status)
        query_int(&q, result->status);
    else
        query_null(&q);
    query_text(&q, result->error);
    query_int(&q, result->delay_ms);
    query_int(&q, result->pause_ms);
    query_int(&q, db->config->callback_give_up);
    query_int(&q, db->config->callback_days);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    *state = row_text(&r);
    *disabled = row_bool(&r);
    PQclear(res);
    return OK;
}

enum error callbacks_queue(struct db *db, int64_t *pending, int64_t *dead)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_CALLBACKS_QUEUE);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, NULL);
    *pending = row_int(&r);
    *dead = row_int(&r);
    PQclear(res);
    return OK;
}
