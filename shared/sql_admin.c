/* The fourth part of the table (see sql.c): what parleyctl asks and does. The columns of the lists are
 * what it prints, so their names are made for people. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* What the audit log says of why. */
#define BY_ADMINISTRATOR "audit_context(NULL, NULL, 'administrator')"
/* An open session: one whose tokens are still good. */
#define OPEN_SESSION "s.revoked_at IS NULL AND s.expires_at > now()"

const struct sql_statement sql_admin[SQL_COUNT] = {
    /* ---- users ---- */

    /* user name or address -> user. A name that looks like somebody's address is the address's owner's. */
    [SQL_ADMIN_USER] = {"admin_user",
        "SELECT " USER_COLUMNS("u") " FROM users u WHERE lower(u.username) = lower($1)"
        " UNION ALL SELECT " USER_COLUMNS("u") " FROM users u WHERE lower(u.email) = lower($1) LIMIT 1"},

    /* part of a name or address (NULL: any), after id, limit -> the list */
    [SQL_ADMIN_USERS] = {"admin_users",
        "SELECT u.id, u.username, u.email, u.display_name, u.is_active AS active, u.is_admin AS admin,"
        "       u.email_verified AS verified, u.created_at AS created,"
        "       (SELECT max(s.used_at) FROM sessions s WHERE s.user_id = u.id) AS last_login"
        "  FROM users u WHERE u.id > $2::bigint AND u.deleted_at IS NULL"
        "   AND ($1::text IS NULL OR strpos(lower(u.username), lower($1)) > 0 OR strpos(lower(u.email), lower($1)) > 0)"
        " ORDER BY u.id LIMIT $3::bigint"},

    /* user, active -> changed; the trigger on users ends the sessions and tells the daemons */
    [SQL_ADMIN_USER_ACTIVE] = {"admin_user_active",
        "UPDATE users SET is_active = $2::boolean, updated_at = now()"
        " WHERE id = $1::bigint AND is_active <> $2::boolean AND deleted_at IS NULL AND " BY_ADMINISTRATOR " RETURNING true AS changed"},

    /* user, is an administrator -> changed */
    [SQL_ADMIN_USER_PROMOTE] = {"admin_user_promote",
        "UPDATE users SET is_admin = $2::boolean, updated_at = now()"
        " WHERE id = $1::bigint AND is_admin <> $2::boolean AND deleted_at IS NULL RETURNING true AS changed"},

    /* user, password_hash -> sessions ended */
    [SQL_ADMIN_USER_PASSWORD] = {"admin_user_password",
        "WITH u AS (UPDATE users SET password_hash = $2, updated_at = now()"
        "            WHERE id = $1::bigint AND deleted_at IS NULL AND " BY_ADMINISTRATOR " RETURNING id),"
        " o AS MATERIALIZED (SELECT s.id FROM sessions s JOIN u ON u.id = s.user_id"
        "            WHERE s.revoked_at IS NULL ORDER BY s.id)"
        " SELECT count(*) FILTER (WHERE session_revoke(o.id)) AS sessions_ended FROM o"},

    /* user -> were they there */
    [SQL_ADMIN_USER_ERASE] = {"admin_user_erase", "SELECT user_erase($1::bigint)"},
    /* user; not inside a transaction */
    [SQL_ADMIN_USER_ERASE_MESSAGES] = {"admin_user_erase_messages", "CALL user_erase_messages($1::bigint)"},
    /* user: opens the cursor of SQL_ROWS_NEXT; columns section, JSON */
    [SQL_ADMIN_USER_ROWS] = {"admin_user_rows", "SELECT user_rows($1::bigint)"},

    /* ---- sessions ---- */

    /* user (NULL: all), ended ones too, limit -> the list, latest first */
    [SQL_ADMIN_SESSIONS] = {"admin_sessions",
        "SELECT s.id, u.username, s.dialect, s.created_at AS created, s.used_at AS used, s.expires_at AS expires,"
        "       s.revoked_at AS revoked, s.address, s.user_agent"
        "  FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE ($1::bigint IS NULL OR s.user_id = $1::bigint) AND ($2::boolean OR (" OPEN_SESSION "))"
        " ORDER BY s.used_at DESC, s.id DESC LIMIT $3::bigint"},

    /* session (NULL: all of the user), user (NULL: whoever's) -> how many were open */
    [SQL_ADMIN_SESSIONS_REVOKE] = {"admin_sessions_revoke",
        "WITH o AS MATERIALIZED (SELECT s.id FROM sessions s WHERE s.revoked_at IS NULL"
        "    AND " BY_ADMINISTRATOR " AND CASE WHEN $1::bigint IS NOT NULL THEN s.id = $1::bigint ELSE s.user_id = $2::bigint END ORDER BY s.id)"
        " SELECT count(*) FILTER (WHERE session_revoke(o.id)) AS ended FROM o"},

    /* ---- tokens for scripts ---- */

    /* user (NULL: all), limit -> those that are good, newest first */
    [SQL_ADMIN_TOKENS] = {"admin_tokens",
        "SELECT v.id, u.username, v.label, array_to_string(token_scopes(v.scopes), ' ') AS scopes,"
        "       v.conversation_id AS conversation, v.created_at AS created, v.expires_at AS expires, v.used_at AS used"
        "  FROM token_view v JOIN users u ON u.id = v.user_id"
        " WHERE ($1::bigint IS NULL OR v.user_id = $1::bigint) AND v.is_good ORDER BY v.id DESC LIMIT $2::bigint"},

    /* token, its ms (NULL: any) -> true; no row when it is not there */
    [SQL_ADMIN_TOKEN_REVOKE] = {"admin_token_revoke",
        "SELECT session_revoke(s.id) FROM sessions s WHERE s.id = $1::bigint AND s.dialect = 'token'"
        " AND ($2::bigint IS NULL OR epoch_ms(s.created_at) = $2::bigint) AND s.revoked_at IS NULL AND " BY_ADMINISTRATOR},

    /* ---- looking ---- */

    /* () -> one row of figures. Messages are counted by their gap-free numbers, without reading them; users
     * whom nobody can be, those of webhooks, are not counted. */
    [SQL_ADMIN_STATS] = {"admin_stats",
        "SELECT (SELECT max(version)::bigint FROM schema_migrations) AS schema,"
        " (SELECT count(*) FROM users WHERE deleted_at IS NULL AND password_hash <> '*') AS users,"
        " (SELECT count(*) FROM users WHERE NOT is_active AND deleted_at IS NULL AND password_hash <> '*') AS users_disabled,"
        " (SELECT count(*) FROM users WHERE deleted_at IS NOT NULL) AS users_deleted,"
        " (SELECT count(*) FROM sessions s WHERE " OPEN_SESSION ") AS sessions_open,"
        " (SELECT count(*) FROM daemons WHERE seen_at > now() - interval '30 s') AS daemons,"
        " (SELECT count(DISTINCT user_id) FROM online) AS users_online,"
        " (SELECT count(*) FROM conversations WHERE kind = 'direct') AS direct_conversations,"
        " (SELECT count(*) FROM conversations WHERE kind = 'group') AS groups,"
        " (SELECT coalesce(sum(c.last_seq), 0)::bigint FROM conversations c)"
        "   - (SELECT coalesce(sum(r.purged_seq), 0)::bigint FROM retention r) AS messages,"
        " (SELECT max(last_at) FROM conversations WHERE last_seq > 0) AS last_message,"
        " (SELECT count(*) FROM mail_outbox WHERE state = 'pending') AS mail_pending,"
        " (SELECT count(*) FROM mail_outbox WHERE state = 'failed') AS mail_failed,"
        " pg_database_size(current_database()) AS database_bytes"},

    /* member (NULL: any), after id, limit -> the list */
    [SQL_ADMIN_CONVERSATIONS] = {"admin_conversations",
        "SELECT c.id, c.kind, coalesce(c.name, (SELECT string_agg(u.username, ' - ' ORDER BY u.id) FROM users u"
        "         WHERE u.id IN (c.user_low, c.user_high))) AS name, o.username AS owner,"
        "       (SELECT count(*) FROM participants p WHERE p.conversation_id = c.id) AS members,"
        "       c.last_seq - coalesce(r.purged_seq, 0) AS messages, c.created_at AS created, c.updated_at AS updated"
        "  FROM conversations c LEFT JOIN users o ON o.id = c.owner_id"
        "  LEFT JOIN retention r ON r.conversation_id = c.id"
        " WHERE c.id > $2::bigint AND ($1::bigint IS NULL OR EXISTS (SELECT FROM participants p"
        "         WHERE p.conversation_id = c.id AND p.user_id = $1::bigint))"
        " ORDER BY c.id LIMIT $3::bigint"},

    /* conversation, its ms (NULL: any) -> the same columns, one row or none */
    [SQL_ADMIN_CONVERSATION] = {"admin_conversation",
        "SELECT c.id, c.kind, coalesce(c.name, (SELECT string_agg(u.username, ' - ' ORDER BY u.id) FROM users u"
        "         WHERE u.id IN (c.user_low, c.user_high))) AS name, o.username AS owner,"
        "       c.last_seq - coalesce(r.purged_seq, 0) AS messages, c.created_at AS created, c.updated_at AS updated"
        "  FROM conversations c LEFT JOIN users o ON o.id = c.owner_id"
        "  LEFT JOIN retention r ON r.conversation_id = c.id"
        " WHERE c.id = $1::bigint AND ($2::bigint IS NULL OR epoch_ms(c.created_at) = $2::bigint)"},

    /* conversation -> its members */
    [SQL_ADMIN_MEMBERS] = {"admin_members",
        "SELECT u.id, u.username, p.role, p.joined_at AS joined, p.delivered_seq AS delivered, p.read_seq AS read"
        "  FROM participants p JOIN users u ON u.id = p.user_id WHERE p.conversation_id = $1::bigint"
        " ORDER BY p.joined_at, u.id"},

    /* conversation, how many -> its last messages, oldest first */
    [SQL_ADMIN_MESSAGES] = {"admin_messages",
        "SELECT m.* FROM (SELECT v.seq, v.id, v.created_at AS at, v.sender_username AS sender, v.content, v.media_url,"
        "       v.deleted_at AS deleted FROM message_view v WHERE v.conversation_id = $1::bigint"
        " ORDER BY v.seq DESC LIMIT $2::bigint) m ORDER BY m.seq"},

    /* ---- export and import; see 0005_admin.sql ---- */

    [SQL_BEGIN] = {"begin", "BEGIN"},
    /* One view of the database for the whole export, and no hurry for whoever reads it. */
    [SQL_BEGIN_SNAPSHOT] = {"begin_snapshot", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"},
    [SQL_PATIENT] = {"patient", "SET LOCAL idle_in_transaction_session_timeout = 0"},
    [SQL_COMMIT] = {"commit", "COMMIT"},
    [SQL_ROLLBACK] = {"rollback", "ROLLBACK"},
    /* () -> section, JSON; none at the end */
    [SQL_ROWS_NEXT] = {"rows_next", "FETCH 500 FROM parley_rows"},
    [SQL_ROWS_CLOSE] = {"rows_close", "CLOSE parley_rows"},
    /* () -> table, rows */
    [SQL_EXPORT_TABLES] = {"export_tables", "SELECT name, row_count FROM export_tables()"},
    /* () -> what transaction id comes next */
    [SQL_EXPORT_XID] = {"export_xid", "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"},
    /* table: opens the cursor */
    [SQL_EXPORT_ROWS] = {"export_rows", "SELECT export_rows($1)"},
    /* () -> sequence, last value */
    [SQL_EXPORT_SEQUENCES] = {"export_sequences",
        "SELECT s.sequencename::text, s.last_value FROM pg_sequences s"
        " WHERE s.schemaname = current_schema() AND s.last_value IS NOT NULL ORDER BY s.sequencename"},
    /* the export's next transaction id -> is the database empty */
    [SQL_IMPORT_BEGIN] = {"import_begin", "SELECT import_begin($1::bigint)"},
    /* table, rows as a JSON array -> how many */
    [SQL_IMPORT_ROWS] = {"import_rows", "SELECT import_rows($1, $2::json)"},
    /* sequence, last value */
    [SQL_IMPORT_SEQUENCE] = {"import_sequence", "SELECT setval(format('%I', $1::text)::regclass, $2::bigint)"},
    [SQL_IMPORT_END] = {"import_end", "SELECT import_end()"},
    [SQL_ANALYZE] = {"analyze", "ANALYZE"},

    /* ---- the doctor ---- */

    /* () -> the database's time, its schema (0: none) */
    [SQL_DOCTOR_DATABASE] = {"doctor_database",
        "SELECT clock_timestamp(), (SELECT max(version)::bigint FROM schema_migrations)"},
    /* seconds -> the daemons that gave a sign within so many */
    [SQL_DOCTOR_DAEMONS] = {"doctor_daemons",
        "SELECT id FROM daemons WHERE seen_at > now() - $1::bigint * interval '1 s' ORDER BY id"},
    /* user -> the daemons they have sockets on */
    [SQL_DOCTOR_ONLINE] = {"doctor_online", "SELECT daemon_id FROM online WHERE user_id = $1::bigint ORDER BY daemon_id"},
    /* user -> the address of their latest session */
    [SQL_DOCTOR_ADDRESS] = {"doctor_address",
        "SELECT address FROM sessions WHERE user_id = $1::bigint ORDER BY id DESC LIMIT 1"},
    /* () -> where the database's files are; no row unless the role may know */
    [SQL_DOCTOR_DATA] = {"doctor_data",
        "SELECT setting FROM pg_settings WHERE name = 'data_directory' AND setting IS NOT NULL"},
    /* user: nothing is left of them or their direct conversations. For accounts the doctor made. */
    [SQL_DOCTOR_FORGET] = {"doctor_forget",
        "WITH m AS (DELETE FROM messages WHERE conversation_id IN"
        "   (SELECT id FROM conversations WHERE kind = 'direct' AND $1::bigint IN (user_low, user_high)))"
        " DELETE FROM users WHERE id = $1::bigint"},
};
