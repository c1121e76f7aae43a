/* The part of the table (see sql.c) with the tokens for scripts; db/0008_tokens.sql. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* Read by token_read(). */
#define TOKEN_COLUMNS(v)                                                                           \
    v ".id, " v ".label, " v ".scopes, " v ".conversation_id, " v ".conversation_created_at, " v   \
      ".created_at, " v ".expires_at, " v ".used_at"

/* Read by token_identity_read(). */
#define IDENTITY_COLUMNS                                                                           \
    "i.hash, i.id, i.user_id, i.user_created_at, i.username, i.scopes, i.conversation_id, i.expires, i.revoked"

const struct sql_statement sql_tokens[SQL_COUNT] = {
    /* session that asks (NULL: the administrator), user, hash, label, scopes, conversation (or NULL), its ms, lifetime in s (NULL: for
     * ever), user_agent, address, request id, how many a user may have -> outcome, token. The audit log gets the
     * label. */
    [SQL_TOKEN_CREATE] = {"token_create",
        "SELECT t.outcome, " TOKEN_COLUMNS("(t.shown)")
        " FROM (SELECT audit_context($10, $11, CASE WHEN $1::bigint IS NULL THEN 'administrator: ' ELSE '' END || $4)"
        "              AS known) a CROSS JOIN LATERAL"
        "      token_create($1::bigint, $2::bigint, $3::bytea, $4, CASE WHEN a.known THEN $5::bigint END,"
        "                   $6::bigint, $7::bigint, $8::bigint * interval '1 s', $9, $10, $12::bigint) t"},

    /* user, limit, offset -> tokens that are good, newest first */
    [SQL_TOKEN_LIST] = {"token_list",
        "SELECT " TOKEN_COLUMNS("v") " FROM token_view v WHERE v.user_id = $1::bigint AND v.is_good"
        " ORDER BY v.id DESC LIMIT $2::bigint OFFSET $3::bigint"},

    /* user, token (NULL: all), its ms, address, request id -> how many have ended */
    [SQL_TOKEN_REVOKE] = {"token_revoke",
        "WITH o AS MATERIALIZED (SELECT s.id FROM sessions s WHERE s.user_id = $1::bigint AND s.dialect = 'token'"
        "   AND ($2::bigint IS NULL OR s.id = $2::bigint)"
        "   AND ($3::bigint IS NULL OR epoch_ms(s.created_at) = $3::bigint)"
        "   AND s.revoked_at IS NULL AND audit_context($4, $5, 'by its user') ORDER BY s.id)"
        " SELECT count(*) FILTER (WHERE session_revoke(o.id)) FROM o"},

    /* hash -> identity; of a revoked one only where the user is disabled, who is to be told so */
    [SQL_TOKEN_FIND] = {"token_find",
        "SELECT " IDENTITY_COLUMNS " FROM token_identity i"
        " WHERE i.hash = $1::bytea AND (NOT i.revoked OR NOT i.is_active)"},

    /* token (NULL: all that are good, or whose user is disabled) -> identities */
    [SQL_TOKEN_IDENTITIES] = {"token_identities",
        "SELECT " IDENTITY_COLUMNS " FROM token_identity i WHERE ($1::bigint IS NULL OR i.id = $1::bigint)"
        " AND (NOT i.revoked OR NOT i.is_active) AND i.expires > extract(epoch FROM now())"},

    /* token: it was used. At most one write a minute, which no script waits for. */
    [SQL_TOKEN_USED] = {"token_used",
        "UPDATE tokens SET used_at = now() WHERE session_id = $1::bigint"
        " AND (used_at IS NULL OR used_at < now() - interval '1 minute')"
        " AND set_config('synchronous_commit', 'off', true) = 'off'"},

    /* message, its ms, conversation -> is it of that conversation */
    [SQL_TOKEN_MESSAGE] = {"token_message",
        "SELECT EXISTS (SELECT FROM messages m WHERE m.id = $1::bigint AND m.conversation_id = $3::bigint"
        " AND ($2::bigint IS NULL OR epoch_ms(m.created_at) = $2::bigint))"},
};
