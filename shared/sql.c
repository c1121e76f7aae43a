/* The table. Above each entry: parameters, then columns. Results are read in binary, so columns are
 * bigint, text, boolean, timestamptz or bytea and nothing else. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

#include <stddef.h>

/* clang-format off */
/* Rows of a table that a snapshot does not see ($1: its xmax, $2: its xip), or above id $5. */
#define UNSEEN(table)                                                                              \
    "SELECT '" table "' AS source, id, xid FROM " table " WHERE xid >= $1::xid8"                   \
    " UNION ALL SELECT '" table "', id, xid FROM " table " WHERE xid = ANY ($2::xid8[])"           \
    " UNION ALL SELECT '" table "', id, xid FROM " table " WHERE id > $5::bigint"                  \
    "   AND (xid < $1::xid8) IS TRUE AND xid <> ALL ($2::xid8[])" /* IS TRUE: not by the index on xid */
#define LITERAL_(x) #x
#define LITERAL(x) LITERAL_(x) /* a limit the planner knows makes a better plan than a parameter */

static const struct sql_statement statements[SQL_COUNT] = {
    /* () -> version */
    [SQL_SCHEMA_VERSION] = {"schema_version",
        "SELECT coalesce(max(version), 0)::bigint FROM schema_migrations"},

    /* () -> how many connections we may have at most, how many others there are now */
    [SQL_CONNECTIONS] = {"connections",
        "SELECT least(current_setting('max_connections')::bigint"
        "               - current_setting('superuser_reserved_connections')::bigint,"
        "             (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
        "             (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())),"
        " (SELECT count(*) FROM pg_stat_activity"
        "   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())"},

    /* () -> nothing of use; run after a commit that others should hear of */
    [SQL_WAKE] = {"wake", "SELECT wake()"},

    /* payload: what daemons tell each other and nobody keeps; not empty, at most 7,999 bytes */
    [SQL_SAY] = {"say", "SELECT pg_notify('parley', $1)"},

    [SQL_LISTEN] = {"listen", "LISTEN parley"},

    /* longest life of an access token in s -> sessions whose tokens may still look good though they are
     * revoked, in the order they were, and seconds since; then disabled users, as negative ids */
    [SQL_REVOKED] = {"revoked",
        "(SELECT s.id, extract(epoch FROM now() - s.revoked_at)::bigint FROM sessions s"
        "  WHERE s.revoked_at > now() - $1::bigint * interval '1 s' ORDER BY s.revoked_at)"
        " UNION ALL SELECT -u.id, NULL FROM users u WHERE NOT u.is_active"},

    /* username, email, display_name, password_hash, dialect (NULL: open no session),
     * refresh_hash (NULL: none), session lifetime in s, user_agent, address, kind of mail to send
     * (NULL: none), network, request id -> user, session id */
    [SQL_ACCOUNT_CREATE] = {"account_create",
        "WITH u AS (INSERT INTO users (username, email, display_name, password_hash)"
        "           VALUES ($1, $2, $3, $4) RETURNING *),"
        " s AS (INSERT INTO sessions (user_id, dialect, refresh_hash, expires_at, user_agent, address,"
        "                             network)"
        "       SELECT u.id, $5, $6::bytea, now() + $7::bigint * interval '1 s', $8, $9, $11"
        "         FROM u WHERE $5::text IS NOT NULL RETURNING id),"
        " m AS (INSERT INTO mail_outbox (kind, recipient)"
        "       SELECT $10, u.email FROM u WHERE $10::text IS NOT NULL AND u.email IS NOT NULL)"
        " SELECT " USER_COLUMNS("u") ", (SELECT id FROM s) FROM u WHERE audit_context($9, $12, NULL)"},

    /* id -> user */
    [SQL_USER_BY_ID] = {"user_by_id", "SELECT " USER_COLUMNS("u") " FROM users u WHERE u.id = $1::bigint"},

    /* session, user -> the user, when the session stands or ended because they are disabled */
    [SQL_SESSION_USER] = {"session_user",
        "SELECT " USER_COLUMNS("u") " FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.id = $1::bigint AND s.user_id = $2::bigint"
        "   AND (s.revoked_at IS NULL OR NOT u.is_active)"},

    /* session, sender, conversation, its ms, peer, their ms, type, content, media_url, client key, the
     * conversation's kind (NULL: any; it never changes, so it may be looked at before the lock)
     * -> outcome, id, conversation, seq, created_at, is a group, conversation's created_at,
     *    recipient, their created_at */
    [SQL_MESSAGE_SEND] = {"message_send",
        "SELECT * FROM message_send($1::bigint, $2::bigint, CASE WHEN $11::text IS NULL THEN $3::bigint"
        "   ELSE (SELECT c.id FROM conversations c WHERE c.id = $3::bigint AND c.kind = $11::text) END,"
        " $4::bigint, $5::bigint, $6::bigint, $7, $8, $9, $10)"},

    /* id -> message */
    [SQL_MESSAGE_BY_ID] = {"message_by_id",
        "SELECT " MESSAGE_COLUMNS("v") " FROM message_view v WHERE v.id = $1::bigint"},

    /* user, peer, limit, offset -> messages, newest first */
    [SQL_DIRECT_HISTORY] = {"direct_history",
        "WITH page AS MATERIALIZED (SELECT m.id FROM messages m"
        "   WHERE m.conversation_id = (SELECT c.id FROM conversations c WHERE c.kind = 'direct'"
        "       AND c.user_low = least($1::bigint, $2::bigint)"
        "       AND c.user_high = greatest($1::bigint, $2::bigint)) AND m.deleted_at IS NULL"
        "   ORDER BY m.seq DESC LIMIT $3::bigint OFFSET $4::bigint)"
        " SELECT " MESSAGE_COLUMNS("v") " FROM page JOIN message_view v ON v.id = page.id"
        " ORDER BY v.seq DESC"},

    /* user -> peer's id, username, created_at, then the last message; latest first */
    [SQL_DIRECT_LIST] = {"direct_list",
        "SELECT o.id, o.username, o.created_at, " MESSAGE_COLUMNS("l")
        " FROM participants p"
        " JOIN conversations c ON c.id = p.conversation_id AND c.kind = 'direct'"
        " JOIN users o ON o.id = c.user_low + c.user_high - p.user_id"
        " JOIN LATERAL (SELECT v.* FROM message_view v WHERE v.conversation_id = c.id"
        "       AND v.deleted_at IS NULL ORDER BY v.seq DESC LIMIT 1) l ON true"
        " WHERE p.user_id = $1::bigint ORDER BY l.created_at DESC, l.id DESC"},

    /* () -> snapshot, highest id: everything visible now is behind us */
    [SQL_FEED_START] = {"feed_start",
        "SELECT pg_current_snapshot()::text,"
        " greatest((SELECT max(id) FROM messages), (SELECT max(id) FROM events), 0)"},

    /* What became visible between two snapshots, messages and events in the order of their ids,
     * which is commit order within a conversation. The unseen ids are gathered by their indexes first:
     * given a chance to sort and limit in one go, the planner walks the whole primary key instead.
     * old xmax, old xip (bigint[] text), new snapshot (NULL: now), after id, and (else NULL)
     * the highest id handed out before the connection was lost: see feed.c
     * -> new snapshot, id, kind ('message' for a new one), event's conversation, user, actor,
     *    session, seq, created_at of conversation, user, actor and event, the conversation's name, then the
     *    message; one row without id when there is nothing; FEED_BATCH rows at most */
    [SQL_FEED] = {"feed",
        "WITH target AS MATERIALIZED (SELECT coalesce($3::pg_snapshot, pg_current_snapshot()) AS s),"
        " unseen AS MATERIALIZED (" UNSEEN("messages") " UNION ALL " UNSEEN("events") "),"
        " changes AS MATERIALIZED (SELECT n.source, n.id FROM unseen n WHERE n.id > $4::bigint"
        "   AND pg_visible_in_snapshot(n.xid, (SELECT s FROM target)) ORDER BY n.id LIMIT " LITERAL(FEED_BATCH) ")"
        " SELECT t.s::text, c.id, CASE WHEN c.source = 'messages' THEN 'message' ELSE e.kind END,"
        " e.conversation_id, e.user_id, e.actor_id, e.session_id, e.seq,"
        " coalesce(g.created_at, e.conversation_created_at), u.created_at, a.created_at, e.created_at, g.name, "
        MESSAGE_COLUMNS("v")
        " FROM target t LEFT JOIN (changes c LEFT JOIN events e ON e.id = c.id AND c.source = 'events'"
        "   LEFT JOIN message_view v ON v.id = CASE WHEN c.source = 'messages' THEN c.id ELSE e.message_id END"
        "   LEFT JOIN conversations g ON g.id = e.conversation_id"
        "   LEFT JOIN users u ON u.id = e.user_id LEFT JOIN users a ON a.id = e.actor_id) ON true"
        " ORDER BY c.id"},

    /* What a socket missed since a message it was shown: in the message's conversation all after it,
     * in the others all that its snapshot did not see; up to the snapshot the live feed stands at.
     * Within a conversation what is new are the newest, so each gives the next few of them.
     * user, message, its ms (NULL: any), feed's snapshot, after id, limit, direct only
     * -> is the message known to the user, then messages; one row without id when there are none */
    [SQL_REPLAY] = {"replay",
        "WITH since AS MATERIALIZED (SELECT s.room, s.unseen"
        "   FROM message_shown($1::bigint, $2::bigint, $3::bigint) s WHERE s.known),"
        " missed AS MATERIALIZED (SELECT m.id"
        "   FROM since s CROSS JOIN participants p JOIN conversations c ON c.id = p.conversation_id"
        "   CROSS JOIN LATERAL (SELECT x.id FROM messages x WHERE x.conversation_id = c.id"
        "       AND x.seq > CASE WHEN c.id = s.room"
        "                   THEN message_seen(c.id, c.last_seq, NULL, greatest($2::bigint, $5::bigint))"
        "                   ELSE message_seen(c.id, c.last_seq, s.unseen, $5::bigint) END"
        "       AND x.deleted_at IS NULL AND pg_visible_in_snapshot(x.xid, $4::pg_snapshot)"
        "       ORDER BY x.seq LIMIT $6::bigint) m"
        "   WHERE p.user_id = $1::bigint AND (c.kind = 'direct' OR NOT $7::boolean)"
        "   ORDER BY m.id LIMIT $6::bigint)"
        " SELECT EXISTS (SELECT FROM since), " MESSAGE_COLUMNS("v")
        " FROM (SELECT) one LEFT JOIN (missed JOIN message_view v ON v.id = missed.id) ON true"
        " ORDER BY v.id"},

    /* user, conversation -> does it exist, since when is the user in it (NULL: not in it) */
    [SQL_MEMBERSHIP] = {"membership",
        "SELECT EXISTS (SELECT FROM conversations WHERE id = $2::bigint),"
        "       (SELECT joined_at FROM participants WHERE user_id = $1::bigint AND conversation_id = $2::bigint)"},

    /* Where a typing notice goes: to at most 300 people, as it travels in one NOTIFY.
     * user, conversation (or NULL), its ms, peer (or NULL), their ms; where both are given an
     * integer names either
     * -> does the peer exist, conversation (NULL: there is none), created_at, is a group, others as id,id,…
     *    (NULL: the user is not in it) */
    [SQL_TYPING] = {"typing",
        "WITH peer AS MATERIALIZED (SELECT u.id FROM users u WHERE u.id = $4::bigint"
        "       AND ($5::bigint IS NULL OR epoch_ms(u.created_at) = $5::bigint))"
        " SELECT EXISTS (SELECT FROM peer), c.id, c.created_at, c.kind = 'group', CASE WHEN p.user_id IS NOT NULL THEN"
        "    (SELECT coalesce(string_agg(o.user_id::text, ','), '') FROM (SELECT user_id FROM participants"
        "      WHERE conversation_id = c.id AND user_id <> $1::bigint ORDER BY user_id LIMIT 300) o) END"
        "  FROM (SELECT) one"
        "  LEFT JOIN conversations c ON c.id = coalesce((SELECT d.id FROM peer q JOIN conversations d ON d.kind = 'direct'"
        "         AND d.user_low = least($1::bigint, q.id) AND d.user_high = greatest($1::bigint, q.id)), $2::bigint)"
        "   AND ($3::bigint IS NULL OR epoch_ms(c.created_at) = $3::bigint)"
        "  LEFT JOIN participants p ON p.conversation_id = c.id AND p.user_id = $1::bigint"},

    /* how many at most -> posted, refused, are there more? (messages from SQL, db/0011_chat_post.sql) */
    [SQL_POSTS_DELIVER] = {"posts_deliver",
        "SELECT d.delivered, d.refused, d.due FROM chat_posts_deliver($1::bigint) d"},

    /* Who joined after the first of the messages that are to be told is told by `member_added`, which is yet to come.
     * conversations, first message's seq in each (bigint[] text) -> conversation, member; in order */
    [SQL_MEMBERS] = {"members",
        "SELECT p.conversation_id, p.user_id FROM participants p"
        " JOIN unnest($1::bigint[], $2::bigint[]) a(id, seq) ON a.id = p.conversation_id AND p.joined_seq < a.seq"
        " ORDER BY p.conversation_id, p.user_id"},
};
/* clang-format on */

const struct sql_statement *sql_statement(enum sql which)
{
    static const struct sql_statement *const parts[] = {
        statements, sql_people, sql_mail,   sql_door,      sql_admin,
        sql_events, sql_keep,   sql_tokens, sql_callbacks, sql_webhooks,
    };
    const struct sql_statement *s = NULL;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && (!s || !s->name); i++)
        s = &parts[i][which];
    return s;
}
