/* The fifth part of the table (see sql.c): callbacks, db/0010_callbacks.sql. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* Read by callback_read(). */
#define CALLBACK_COLUMNS(k)                                                                        \
    k ".id, " k ".url, " k ".enabled, " k ".disabled_reason, " k ".failing_since, " k ".created_at, " \
    k ".pending, " k ".dead"

/* The conversation, after the audit log knows who changes something in it. */
#define NOTED(address, request_id)                                                                 \
    "CASE WHEN audit_context(" address ", " request_id ", NULL) THEN $1::bigint END"

const struct sql_statement sql_callbacks[SQL_COUNT] = {
    /* conversation, its ms, user, URL, secret, how many a conversation may have, address, request id
     * -> outcome, callback */
    [SQL_CALLBACK_CREATE] = {"callback_create",
        "SELECT c.outcome, " CALLBACK_COLUMNS("(c.shown)")
        " FROM callback_create(" NOTED("$7", "$8") ", $2::bigint, $3::bigint, $4, $5::bytea, $6::bigint) c"},

    /* conversation, its ms, user -> outcome, callback; one row without id when there is none */
    [SQL_CALLBACK_LIST] = {"callback_list",
        "SELECT o.outcome, " CALLBACK_COLUMNS("v")
        " FROM (SELECT callback_check($1::bigint, $2::bigint, $3::bigint, NULL, NULL) AS outcome) o"
        " LEFT JOIN callback_view v ON o.outcome = 'ok' AND v.conversation_id = $1::bigint ORDER BY v.id"},

    /* conversation, its ms, user, callback, its ms, enabled, address, request id -> outcome, callback */
    [SQL_CALLBACK_ENABLE] = {"callback_enable",
        "SELECT c.outcome, " CALLBACK_COLUMNS("(c.shown)")
        " FROM callback_enable(" NOTED("$7", "$8") ", $2::bigint, $3::bigint, $4::bigint, $5::bigint,"
        "                      $6::boolean) c"},

    /* conversation, its ms, user, callback, its ms, address, request id -> outcome */
    [SQL_CALLBACK_DELETE] = {"callback_delete",
        "SELECT callback_delete(" NOTED("$6", "$7") ", $2::bigint, $3::bigint, $4::bigint, $5::bigint)"},

    /* conversation, its ms, user, callback, its ms, state (NULL: any), limit, offset
     * -> outcome, deliveries, newest first; one row without id when there is none */
    [SQL_CALLBACK_DELIVERIES] = {"callback_deliveries",
        "SELECT o.outcome, d.id, d.kind, d.state, d.attempts, d.last_status, d.last_error, d.created_at,"
        "       CASE WHEN d.state = 'pending' THEN d.next_attempt_at END, d.finished_at"
        " FROM (SELECT callback_check($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint) AS outcome) o"
        " LEFT JOIN LATERAL (SELECT x.* FROM callback_deliveries x"
        "     WHERE o.outcome = 'ok' AND x.callback_id = $4::bigint AND ($6::text IS NULL OR x.state = $6)"
        "     ORDER BY x.id DESC LIMIT $7::bigint OFFSET $8::bigint) d ON true ORDER BY d.id DESC"},

    /* conversation, its ms, user, callback, its ms, address, request id -> outcome, how many */
    [SQL_CALLBACK_REDELIVER] = {"callback_redeliver",
        "SELECT r.outcome, r.redelivered"
        " FROM callback_redeliver(" NOTED("$6", "$7") ", $2::bigint, $3::bigint, $4::bigint, $5::bigint) r"},

    /* how many changes at most -> how many were looked at */
    [SQL_CALLBACKS_PLAN] = {"callbacks_plan", "SELECT callbacks_plan($1::bigint)"},

    /* lease in s
     * -> delivery, attempt, created_at, callback, URL, secret, is there nothing to tell any more, then the
     *    change as in SQL_EVENTS from its id on; no row when nothing is due */
    [SQL_CALLBACK_CLAIM] = {"callback_claim",
        "SELECT d.id, d.attempts, d.created_at, k.id, k.url, k.secret,"
        " CASE WHEN d.kind = 'message' THEN v.id IS NULL OR v.deleted_at IS NOT NULL"
        "      ELSE e.id IS NULL OR (e.message_id IS NOT NULL AND (v.id IS NULL"
        "           OR (v.deleted_at IS NOT NULL AND d.kind <> 'message_deleted'))) END,"
        " d.change_id, d.kind, g.id, e.user_id, e.actor_id, e.seq, coalesce(e.created_at, v.created_at),"
        " g.created_at, u.created_at, a.created_at, u.username, a.username, g.name, "
        MESSAGE_COLUMNS("v")
        " FROM callback_claim($1::bigint * interval '1 s') d JOIN callbacks k ON k.id = d.callback_id"
        "   JOIN conversations g ON g.id = k.conversation_id"
        "   LEFT JOIN events e ON e.id = d.change_id AND d.kind <> 'message'"
        "   LEFT JOIN message_view v ON v.id = CASE WHEN d.kind = 'message' THEN d.change_id ELSE e.message_id END"
        "   LEFT JOIN users u ON u.id = e.user_id LEFT JOIN users a ON a.id = e.actor_id"},

    /* delivery, attempt, new state (see callback_finish()), HTTP status (NULL: none), error (NULL: none),
     * delay in ms, pause in ms, patience in s, days after which it is disabled
     * -> state, was the callback disabled; NULL when another courier has it */
    [SQL_CALLBACK_FINISH] = {"callback_finish",
        "SELECT f.state, f.disabled FROM callback_finish($1::bigint, $2::bigint, $3, $4::bigint, $5,"
        " $6::bigint * interval '1 ms', $7::bigint * interval '1 ms', $8::bigint * interval '1 s',"
        " $9::bigint * interval '1 day') f"},

    /* how many at most -> how many went, or were buried */
    [SQL_CALLBACKS_PURGE] = {"callbacks_purge", "SELECT callbacks_purge($1::bigint)"},

    /* () -> how many are pending, how many dead */
    [SQL_CALLBACKS_QUEUE] = {"callbacks_queue",
        "SELECT coalesce(sum(v.pending), 0)::bigint, coalesce(sum(v.dead), 0)::bigint FROM callback_view v WHERE v.enabled"},
};
