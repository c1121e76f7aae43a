/* Sending and reading messages. */
#include "shared/metrics.h"
#include "shared/outcome.h"
#include "shared/store.h"
#include "shared/timefmt.h"

#include <string.h>

void message_send_query(struct query *q, const struct new_message *m)
{
    query_init(q, SQL_MESSAGE_SEND);
    query_int(q, m->sender->session_id);
    query_int(q, m->sender->user_id);
    query_ref(q, m->conversation);
    query_ref(q, m->recipient);
    query_text(q, m->type ? m->type : "text");
    query_text(q, m->content.s);
    query_text(q, m->media_url.s);
    query_text(q, m->client_key.s);
    query_text(q, m->kind);
}

enum error message_send_result(const PGresult *res, const struct new_message *m, struct message *out, bool *replayed)
{
    struct row r = row_at(res, 0, NULL);
    const char *outcome = PQgetvalue(res, 0, r.column++);
    enum error e = outcome_error(outcome);
    if (e != OK)
        return e;
    *replayed = !strcmp(outcome, "replayed");
    metric_add(METRIC_MESSAGES, 0, !*replayed);
    *out = (struct message){
        .id = row_int(&r),
        .type = m->type ? m->type : "text",
        .content = m->content,
        .media_url = m->media_url.s,
        .client_key = m->client_key.s,
        .edited_at = TIME_NONE,
        .sender = {.id = m->sender->user_id, .username = m->sender->username, .created_at = m->sender->user_created},
    };
    out->conversation_id = row_int(&r);
    out->seq = row_int(&r);
    out->created_at = row_time(&r);
    out->is_group = row_bool(&r);
    out->conversation_created_at = row_time(&r);
    out->recipient.id = row_int(&r);
    out->recipient.created_at = row_time(&r);
    return OK;
}

void message_by_id_query(struct query *q, int64_t id)
{
    query_init(q, SQL_MESSAGE_BY_ID);
    query_int(q, id);
}

enum error message_by_id_result(const PGresult *res, struct arena *a, struct message *out)
{
    if (!PQntuples(res))
        return ERR_MESSAGE_NOT_FOUND;
    struct row r = row_at(res, 0, a);
    message_read(&r, out);
    return OK;
}

/* What the first send with this key had stored. */
static enum error read_again(struct db *db, struct arena *a, int64_t id, struct message *out)
{
    struct query q;
    PGresult *res;
    message_by_id_query(&q, id);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    e = message_by_id_result(res, a, out);
    PQclear(res);
    return e;
}

enum error message_send(struct db *db, struct arena *a, const struct new_message *m, struct message *out,
                        bool *replayed)
{
    struct query q;
    PGresult *res;
    message_send_query(&q, m);
    enum error e = db_run(db, &q, &res);
    if (e == ERR_INTERNAL && !strcmp(db->constraint, "messages_client_key"))
        e = db_run(db, &q, &res); /* the same key at the same moment: now the other's is there */
    if (e != OK)
        return e;
    e = message_send_result(res, m, out, replayed);
    PQclear(res);
    return e == OK && *replayed ? read_again(db, a, out->id, out) : e;
}

void wake(struct db *db)
{
    struct query q;
    int64_t now = time_steady();
    if (db->woke_at && now - db->woke_at < WAKE_EVERY_US)
        return;
    db->woke_at = now;
    query_init(&q, SQL_WAKE);
    db_execute(db, &q);
}

enum error direct_history(struct db *db, struct arena *a, int64_t user_id, int64_t peer_id, int64_t limit,
                          int64_t offset, struct message **out, int *count)
{
    struct query q;
    query_init(&q, SQL_DIRECT_HISTORY);
    query_int(&q, user_id);
    query_int(&q, peer_id);
    query_int(&q, limit);
    query_int(&q, offset);
    return db_list(db, &q, a, message_row, sizeof **out, out, count);
}

static void direct_read(struct row *r, void *out)
{
    struct direct *d = out;
    d->peer.id = row_int(r);
    d->peer.username = row_text(r);
    d->peer.created_at = row_time(r);
    message_read(r, &d->last);
}

enum error direct_list(struct db *db, struct arena *a, int64_t user_id, struct direct **out, int *count)
{
    struct query q;
    query_init(&q, SQL_DIRECT_LIST);
    query_int(&q, user_id);
    return db_list(db, &q, a, direct_read, sizeof **out, out, count);
}
