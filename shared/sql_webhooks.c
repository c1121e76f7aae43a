/* The part of the table (see sql.c) with the incoming webhooks; db/0009_webhooks.sql. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* Read by webhook_read(). */
#define WEBHOOK_COLUMNS(v)                                                                         \
    v ".id, " v ".created_at, " v ".username, " v ".name, " v ".maker_id, " v ".maker_created_at, " v ".used_at"

const struct sql_statement sql_webhooks[SQL_COUNT] = {
    /* conversation, its ms, actor, username, name, hash, how many there may be, address, request id
     * -> outcome, webhook */
    [SQL_WEBHOOK_CREATE] = {"webhook_create",
        "SELECT w.outcome, " WEBHOOK_COLUMNS("(w.shown)")
        " FROM (SELECT audit_context($8, $9, 'webhook') AS known) a CROSS JOIN LATERAL"
        "      webhook_create(CASE WHEN a.known THEN $1::bigint END, $2::bigint, $3::bigint, $4, $5, $6::bytea,"
        "                     $7::bigint) w"},

    /* conversation, its ms, actor, webhook, its ms, hash (NULL: end it), address, request id -> outcome, webhook */
    [SQL_WEBHOOK_CHANGE] = {"webhook_change",
        "SELECT w.outcome, " WEBHOOK_COLUMNS("(w.shown)")
        " FROM (SELECT audit_context($7, $8, NULL) AS known) a CROSS JOIN LATERAL"
        "      webhook_change(CASE WHEN a.known THEN $1::bigint END, $2::bigint, $3::bigint, $4::bigint, $5::bigint,"
        "                     $6::bytea) w"},

    /* viewer, conversation, its ms -> may they look: a row with a NULL id when there are none */
    [SQL_WEBHOOK_LIST] = {"webhook_list",
        "SELECT l.outcome, " WEBHOOK_COLUMNS("v")
        " FROM (SELECT CASE WHEN c.id IS NULL THEN 'no_conversation' WHEN p.user_id IS NULL THEN 'not_member'"
        "         ELSE 'ok' END AS outcome, c.id FROM (SELECT) one"
        "   LEFT JOIN conversations c ON c.id = $2::bigint AND ($3::bigint IS NULL OR epoch_ms(c.created_at) = $3::bigint)"
        "   LEFT JOIN participants p ON p.conversation_id = c.id AND p.user_id = $1::bigint) l"
        " LEFT JOIN webhook_view v ON v.conversation_id = l.id AND l.outcome = 'ok' ORDER BY v.id"},

    /* hash, content, key (or NULL), messages a minute -> outcome, seconds to wait */
    [SQL_WEBHOOK_POST] = {"webhook_post",
        "SELECT p.outcome, p.wait FROM webhook_post($1::bytea, $2, $3, $4::bigint) p"},
};
