/* The fourth part of the table (see sql.c): what happened, for those without a socket. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* A consumer's position, read by consumer_read(). */
#define CONSUMER_COLUMNS(c)                                                                        \
    c ".name, " c ".seen::text, " c ".upto::text, " c ".after_id, " c ".created_at, " c ".acknowledged_at"

/* On this page: behind the last one, and seen by where the position moves to. */
#define IN_PAGE(e) e ".id > $6::bigint AND pg_visible_in_snapshot(" e ".xid, (SELECT s FROM target))"
#define EVENT_COLUMNS(e)                                                                           \
    e ".id, " e ".kind, " e ".message_id, " e ".conversation_id, " e ".user_id, " e ".actor_id, "  \
    e ".seq, " e ".conversation_created_at, " e ".created_at"

const struct sql_statement sql_events[SQL_COUNT] = {
    /* A page of what became visible to a user between two snapshots, in the order of ids, which is the
     * order within a conversation. What they may see is what a socket of theirs would have got: of the
     * conversations they are in, all since they came; receipts of their own messages; and what is about
     * them. In a conversation the unseen messages are the newest, so they are searched from its end;
     * events, which are not as orderly, through the index on what the position cannot have seen: xids
     * from its xmax on, and its xip. They are put in order before their messages are looked at, so that a
     * script that is far behind costs a page's worth of these and not all.
     * user, position (NULL: the present), its xmax, its xip (bigint[] text), where it moves to (NULL:
     * the present), after id, limit, conversation (NULL: all), its ms, kinds
     * -> outcome (see events_check()), is the conversation there, is the user in it, the snapshot moved to,
     *    id, kind, event's conversation, user, actor, seq, created_at, created_at of conversation, user
     *    and actor, names of user, actor and conversation, then the message; one row without id when there is nothing */
    [SQL_EVENTS] = {"events",
        "WITH target AS MATERIALIZED (SELECT coalesce($5::pg_snapshot, events_now()) AS s),"
        " mine AS MATERIALIZED (SELECT p.conversation_id, p.joined_seq FROM participants p"
        "   WHERE p.user_id = $1::bigint AND ($8::bigint IS NULL OR p.conversation_id = $8::bigint)),"
        " changes AS MATERIALIZED ("
        "  (SELECT m.id, 'message' AS kind, m.id AS message_id, NULL::bigint AS conversation_id,"
        "          NULL::bigint AS user_id, NULL::bigint AS actor_id, NULL::bigint AS seq,"
        "          NULL::timestamptz AS conversation_created_at, m.created_at"
        "     FROM mine p CROSS JOIN LATERAL (SELECT greatest(p.joined_seq, (SELECT x.seq FROM messages x"
        "            WHERE x.conversation_id = p.conversation_id AND pg_visible_in_snapshot(x.xid, $2::pg_snapshot)"
        "            ORDER BY x.seq DESC LIMIT 1)) AS seq) seen"
        "     CROSS JOIN LATERAL (SELECT x.id, x.created_at FROM messages x"
        "            WHERE x.conversation_id = p.conversation_id AND x.seq > seen.seq AND x.deleted_at IS NULL"
        "              AND " IN_PAGE("x") " ORDER BY x.seq LIMIT $7::bigint) m"
        "    WHERE 'message' = ANY ($10::text[]) AND $2::pg_snapshot IS NOT NULL"
        "    ORDER BY m.id LIMIT $7::bigint)"
        "  UNION ALL"
        "  (SELECT " EVENT_COLUMNS("e")
        "     FROM (SELECT n.id, p.joined_seq FROM mine p CROSS JOIN LATERAL ("
        "               SELECT x.* FROM events x WHERE x.conversation_id = p.conversation_id AND x.xid >= $3::xid8"
        "                UNION ALL"
        "               SELECT x.* FROM unnest($4::xid8[]) i(xid) CROSS JOIN LATERAL (SELECT * FROM events y"
        "                   WHERE y.conversation_id = p.conversation_id AND y.xid = i.xid OFFSET 0) x) n"
        "            WHERE " IN_PAGE("n") " AND n.kind = ANY ($10::text[]) ORDER BY n.id) o"
        "     JOIN events e ON e.id = o.id"
        "     LEFT JOIN messages m ON m.id = e.message_id"
        "    WHERE CASE WHEN e.kind IN ('delivered', 'read')"
        "               THEN m.sender_id = $1::bigint AND e.user_id <> $1::bigint AND m.seq > o.joined_seq"
        "               WHEN e.message_id IS NOT NULL"
        "               THEN m.seq > o.joined_seq AND (m.deleted_at IS NULL OR e.kind = 'message_deleted')"
        "               WHEN e.kind IN ('member_removed', 'conversation_deleted') AND e.user_id = $1::bigint THEN false"
        "               WHEN e.kind = 'conversation_created' AND e.user_id <> $1::bigint THEN false"
        "               ELSE e.id >= member_since(e.conversation_id, $1::bigint) END"
        "    ORDER BY e.id LIMIT $7::bigint)"
        "  UNION ALL"
        "  (SELECT " EVENT_COLUMNS("e") " FROM events e"
        "    WHERE e.user_id = $1::bigint AND e.kind IN ('member_removed', 'conversation_deleted',"
        "          'contact_added', 'contact_removed', 'invitation_received')"
        "      AND (e.xid >= $3::xid8 OR e.xid = ANY ($4::xid8[])) AND " IN_PAGE("e")
        "      AND e.kind = ANY ($10::text[])"
        "      AND ($8::bigint IS NULL OR e.conversation_id = $8::bigint)"
        "    ORDER BY e.id LIMIT $7::bigint)"
        "  ORDER BY id LIMIT $7::bigint)"
        " SELECT events_check($2::pg_snapshot, $5::pg_snapshot),"
        " $8::bigint IS NULL OR EXISTS (SELECT FROM conversations k WHERE k.id = $8::bigint"
        "       AND ($9::bigint IS NULL OR epoch_ms(k.created_at) = $9::bigint)),"
        " $8::bigint IS NULL OR EXISTS (SELECT FROM mine), t.s::text,"
        " c.id, c.kind, c.conversation_id, c.user_id, c.actor_id, c.seq, c.created_at,"
        " coalesce(g.created_at, c.conversation_created_at), u.created_at, a.created_at, u.username, a.username, g.name, "
        MESSAGE_COLUMNS("v")
        " FROM target t LEFT JOIN (changes c LEFT JOIN message_view v ON v.id = c.message_id"
        "   LEFT JOIN conversations g ON g.id = c.conversation_id"
        "   LEFT JOIN users u ON u.id = c.user_id LEFT JOIN users a ON a.id = c.actor_id) ON true"
        " ORDER BY c.id"},

    /* user, name, how many a user may have -> outcome, consumer */
    [SQL_CONSUMER_OPEN] = {"consumer_open",
        "SELECT o.outcome, " CONSUMER_COLUMNS("(o.shown)")
        " FROM consumer_open($1::bigint, $2, $3::bigint) o"},

    /* user, name, how many a user may have, the position: seen, upto (or NULL), after id
     * -> outcome, consumer */
    [SQL_CONSUMER_ACK] = {"consumer_ack",
        "SELECT a.outcome, " CONSUMER_COLUMNS("(a.shown)")
        " FROM consumer_ack($1::bigint, $2, $3::bigint, $4::pg_snapshot, $5::pg_snapshot, $6::bigint) a"},

    /* user -> consumers, by name */
    [SQL_CONSUMER_LIST] = {"consumer_list",
        "SELECT " CONSUMER_COLUMNS("c") " FROM consumers c WHERE c.user_id = $1::bigint ORDER BY c.name"},

    /* user, name -> name; no row when there was none */
    [SQL_CONSUMER_DELETE] = {"consumer_delete",
        "DELETE FROM consumers WHERE user_id = $1::bigint AND name = $2 RETURNING name"},

    /* days to keep, how many at most -> how many went */
    [SQL_EVENTS_PURGE] = {"events_purge",
        "SELECT events_purge($1::bigint * interval '1 day', $2::bigint)"},
};
