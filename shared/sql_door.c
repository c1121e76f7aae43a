/* The fourth part of the table (see sql.c): logins, their throttle, sessions. What sets the audit log's
 * context does so in its WHERE, or where what comes after it depends on it: before the deed. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
const struct sql_statement sql_door[SQL_COUNT] = {
    /* name as typed, network, tries that are free by name, by network, longest delay in s
     * -> seconds to wait, was the try counted, user (NULL: nobody's name) */
    [SQL_LOGIN_ADMIT] = {"login_admit",
        "SELECT a.wait, a.counted, " USER_COLUMNS("u")
        " FROM login_admit($1, $2, $3::bigint, $4::bigint, $5::bigint) a LEFT JOIN users u ON u.id = a.account"},

    /* user (NULL: nobody), why, address, request id */
    [SQL_LOGIN_FAILED] = {"login_failed",
        "SELECT audit_note('login_failed', $1::bigint, NULL, $2) WHERE audit_context($3, $4, NULL)"},

    /* name, network, was the try counted, tries that are free by network */
    [SQL_LOGIN_FORGIVE] = {"login_forgive", "SELECT login_forgive($1, $2, $3::boolean, $4::bigint)"},

    /* user, password_hash that was checked, dialect, refresh_hash (NULL: none), lifetime in s, user_agent,
     * address, network, request id, seconds after which ended sessions are forgotten
     * -> session id; NULL when the password is another by now */
    [SQL_SESSION_CREATE] = {"session_create",
        "SELECT session_open($1::bigint, $2, $3, $4::bytea, $5::bigint * interval '1 s', $6, $7, $8,"
        " $10::bigint * interval '1 s') WHERE audit_context($7, $9, NULL)"},

    /* user, session that asks, lifetime of access tokens in s, limit, offset
     * -> session, dialect, user_agent, address, created_at, used_at, expires_at, is it the one that asks */
    [SQL_SESSION_LIST] = {"session_list",
        "SELECT s.id, s.dialect, s.user_agent, s.address, s.created_at, s.used_at, s.expires_at, s.id = $2::bigint"
        "  FROM sessions s WHERE s.user_id = $1::bigint AND s.revoked_at IS NULL AND s.dialect <> 'token'"
        "   AND (s.expires_at > now() OR s.used_at > now() - $3::bigint * interval '1 s')"
        " ORDER BY s.id DESC LIMIT $4::bigint OFFSET $5::bigint"},

    /* user, session, its ms (NULL: any), address, request id -> true; no row when it is not there */
    [SQL_SESSION_END] = {"session_end",
        "SELECT session_revoke(s.id) FROM sessions s WHERE s.id = $2::bigint AND s.user_id = $1::bigint"
        " AND ($3::bigint IS NULL OR epoch_ms(s.created_at) = $3::bigint) AND s.revoked_at IS NULL AND s.dialect <> 'token'"
        " AND audit_context($4, $5, 'ended by its user')"},

    /* user, session that asks, address, request id -> how many were ended */
    [SQL_SESSIONS_END] = {"sessions_end",
        "SELECT sessions_revoke($1::bigint, $2::bigint) WHERE audit_context($3, $4, 'ended by its user')"},

    /* user, session, password_hash that was checked, the new one, address, request id -> is it set */
    [SQL_PASSWORD_CHANGE] = {"password_change",
        "SELECT password_change($1::bigint, $2::bigint, $3, $4) WHERE audit_context($5, $6, 'password changed')"},

    /* shown hash, new hash, rotate, lifetime in s, address, request id -> outcome, session id, user */
    [SQL_SESSION_REFRESH] = {"session_refresh",
        "SELECT r.outcome, r.session, " USER_COLUMNS("u")
        " FROM (SELECT audit_context($5, $6, 'refresh token used twice') AS known) c"
        " CROSS JOIN LATERAL session_refresh($1::bytea, $2::bytea, $3::boolean AND c.known,"
        "                                    $4::bigint * interval '1 s') r"
        " LEFT JOIN users u ON u.id = r.account"},

    /* session, address, request id -> was it still open */
    [SQL_SESSION_REVOKE] = {"session_revoke",
        "SELECT session_revoke($1::bigint) WHERE audit_context($2, $3, 'logout')"},
};
