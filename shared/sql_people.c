/* The second half of the table (see sql.c): conversations, their members and history. A conversation,
 * a user or a message is named by its id and the timestamp of its UUID in ms, NULL when an integer
 * named it. */
#include "shared/sql_columns.h"
#include "shared/sql_tables.h"

/* clang-format off */
/* The id of the last message of a conversation. Ids first, then message_view by id: the planner sees
 * one table and one index, whose order it can use. */
#define LAST_MESSAGE(conversation)                                                                 \
    "(SELECT x.id FROM messages x WHERE x.conversation_id = " conversation                         \
    "  AND x.deleted_at IS NULL ORDER BY x.seq DESC LIMIT 1)"

/* Conversations as one of their people sees them, a row per participant in the order they joined;
 * the last message stands in the first of these rows. `source` gives member, read_seq and the
 * conversation. Parameters of all: viewer, kind (NULL: any), count what is unread. */
#define CONVERSATIONS(source)                                                                      \
    "WITH mine AS MATERIALIZED (SELECT s.*, (SELECT count(*) FROM messages x"                      \
    "       WHERE s.member AND $3::boolean AND x.conversation_id = s.id AND x.seq > s.read_seq"    \
    "         AND x.sender_id <> $1::bigint AND x.deleted_at IS NULL) AS unread"                   \
    "   FROM (" source " AND ($2::text IS NULL OR c.kind = $2)) s)"                                \
    " SELECT m.member, m.id, m.kind = 'group', m.name, m.owner_id, o.created_at, m.last_seq,"      \
    "        m.created_at, m.updated_at, m.unread, " PERSON_COLUMNS("u") ", p.role, p.joined_at,"  \
    "        p.delivered_seq, p.delivered_at, p.read_seq, p.read_at, " MESSAGE_COLUMNS("l")        \
    " FROM mine m LEFT JOIN LATERAL (SELECT q.*, row_number() OVER (ORDER BY q.joined_at, q.user_id) AS n" \
    "       FROM participants q WHERE m.member AND q.conversation_id = m.id) p ON true"            \
    " LEFT JOIN users u ON u.id = p.user_id LEFT JOIN users o ON o.id = m.owner_id"                \
    " LEFT JOIN message_view l ON l.id = CASE WHEN p.n = 1 THEN " LAST_MESSAGE("m.id") " END"      \
    " ORDER BY m.updated_at DESC, m.id DESC, p.n"

/* A page of a conversation's messages.
 * viewer, conversation, its ms, peer, their ms (their direct conversation; with both given an integer
 * names either), kind (NULL: any), then the place, one of: seq, message id, time in us with the
 * digits behind them (-1: none), or all NULL; limit
 * -> does the peer exist, the conversation, is the viewer in it, are there messages on the other side
 *    of the place, message */
#define HISTORY(side, other_side, direction)                                                       \
    "WITH peer AS MATERIALIZED (SELECT u.id FROM users u WHERE u.id = $4::bigint"                  \
    "       AND ($5::bigint IS NULL OR epoch_ms(u.created_at) = $5::bigint)),"                     \
    " room AS MATERIALIZED (SELECT c.id, p.user_id IS NOT NULL AS member FROM conversations c"     \
    "   LEFT JOIN participants p ON p.conversation_id = c.id AND p.user_id = $1::bigint"           \
    "   WHERE c.id = coalesce((SELECT d.id FROM peer q JOIN conversations d ON d.kind = 'direct'"  \
    "           AND d.user_low = least($1::bigint, q.id) AND d.user_high = greatest($1::bigint, q.id))," \
    "         $2::bigint)"                                                                         \
    "     AND ($3::bigint IS NULL OR epoch_ms(c.created_at) = $3::bigint)"                         \
    "     AND ($6::text IS NULL OR c.kind = $6)),"                                                 \
    " place AS MATERIALIZED (SELECT r.id, CASE"                                                    \
    "       WHEN $8::bigint IS NOT NULL THEN message_position(r.id, $8::bigint, NULL)"             \
    "       WHEN $9::bigint IS NOT NULL THEN message_position_of_cursor(r.id,"                     \
    "            timestamptz 'epoch' + $9::bigint * interval '1 microsecond', $10::bigint)"        \
    "       ELSE coalesce($7::bigint, 9223372036854775807) END AS seq FROM room r WHERE r.member)," \
    " page AS MATERIALIZED (SELECT m.id FROM messages m WHERE m.conversation_id = (SELECT id FROM place)" \
    "   AND m.seq " side " (SELECT seq FROM place) AND m.deleted_at IS NULL"                       \
    "   ORDER BY m.seq " direction " LIMIT $11::bigint)"                                           \
    " SELECT EXISTS (SELECT FROM peer), r.id IS NOT NULL, r.member,"                               \
    "        EXISTS (SELECT FROM messages x WHERE x.conversation_id = (SELECT id FROM place)"      \
    "                AND x.seq " other_side " (SELECT seq FROM place) AND x.deleted_at IS NULL), " \
    MESSAGE_COLUMNS("v")                                                                           \
    " FROM (SELECT) one LEFT JOIN room r ON true"                                                  \
    " LEFT JOIN (page JOIN message_view v ON v.id = page.id) ON true"                              \
    " ORDER BY v.seq " direction

/* Is it a person's? Users whom nobody can be, those of webhooks and of messages from SQL, have no password. */
#define A_PERSON(u) u ".password_hash <> '*'"

/* The contacts of a user ($1) among usernames, in the order named; others are passed over. */
#define CONTACTS_NAMED(user, names)                                                                \
    "(SELECT coalesce(array_agg(u.id ORDER BY n.n), '{}')"                                         \
    "   FROM unnest(" names "::text[]) WITH ORDINALITY n(name, n)"                                 \
    "   JOIN users u ON lower(u.username) = lower(n.name)"                                         \
    "   JOIN contacts c ON c.user_low = least(u.id, " user ") AND c.user_high = greatest(u.id, " user "))"

/* The members of a user's conversations, once for each of these. In this order: from the other end the planner
 * reads all members of a conversation for each of them. */
#define MEMBERS_AROUND(user)                                                                       \
    "(SELECT p.user_id AS member FROM"                                                             \
    "   (SELECT q.conversation_id FROM participants q WHERE q.user_id = " user " OFFSET 0) a"      \
    "   CROSS JOIN LATERAL (SELECT q.user_id FROM participants q"                                  \
    "                        WHERE q.conversation_id = a.conversation_id OFFSET 0) p)"

const struct sql_statement sql_people[SQL_COUNT] = {
    /* actor, peer, their ms -> outcome, conversation */
    [SQL_DIRECT_START] = {"direct_start",
        "SELECT d.outcome, d.conversation FROM direct_start($1::bigint, $2::bigint, $3::bigint) d"},

    /* actor, name, users, their ms -> outcome, conversation, which user does not exist (from 1) */
    [SQL_GROUP_CREATE] = {"group_create",
        "SELECT g.outcome, g.conversation, g.missing"
        " FROM group_create($1::bigint, $2, $3::bigint[], $4::bigint[]) g"},

    /* actor, name, usernames -> the same */
    [SQL_GROUP_CREATE_WITH_CONTACTS] = {"group_create_with_contacts",
        "SELECT g.outcome, g.conversation, g.missing"
        " FROM group_create($1::bigint, $2, " CONTACTS_NAMED("$1::bigint", "$3") ", NULL) g"},

    /* conversation, its ms, actor, name -> outcome */
    [SQL_GROUP_RENAME] = {"group_rename",
        "SELECT group_rename($1::bigint, $2::bigint, $3::bigint, $4)"},

    /* conversation, its ms, actor -> outcome */
    [SQL_GROUP_DELETE] = {"group_delete", "SELECT group_delete($1::bigint, $2::bigint, $3::bigint)"},

    /* conversation, its ms, actor, users, their ms -> outcome, which user does not exist (from 1) */
    [SQL_MEMBERS_ADD] = {"members_add",
        "SELECT m.outcome, m.missing"
        " FROM members_add($1::bigint, $2::bigint, $3::bigint, $4::bigint[], $5::bigint[]) m"},

    /* conversation, its ms, actor, usernames -> the same */
    [SQL_MEMBERS_ADD_CONTACTS] = {"members_add_contacts",
        "SELECT m.outcome, m.missing FROM members_add($1::bigint, $2::bigint, $3::bigint, "
        CONTACTS_NAMED("$3::bigint", "$4") ", NULL) m"},

    /* conversation, its ms, actor, member, their ms, or their username instead -> outcome */
    [SQL_MEMBER_REMOVE] = {"member_remove",
        "SELECT member_remove($1::bigint, $2::bigint, $3::bigint, coalesce($4::bigint,"
        "   (SELECT u.id FROM users u WHERE lower(u.username) = lower($6))), $5::bigint)"},

    /* conversation, its ms, actor -> outcome */
    [SQL_GROUP_QUIT] = {"group_quit", "SELECT group_quit($1::bigint, $2::bigint, $3::bigint)"},

    /* viewer, kind, count unread -> conversations, latest first */
    [SQL_CONVERSATION_LIST] = {"conversation_list",
        CONVERSATIONS("SELECT true AS member, me.read_seq, c.* FROM participants me"
                      " JOIN conversations c ON c.id = me.conversation_id WHERE me.user_id = $1::bigint")},

    /* viewer, kind, count unread, conversation, its ms -> it, member false and no people for outsiders */
    [SQL_CONVERSATION_GET] = {"conversation_get",
        CONVERSATIONS("SELECT me.user_id IS NOT NULL AS member, me.read_seq, c.* FROM conversations c"
                      " LEFT JOIN participants me ON me.conversation_id = c.id AND me.user_id = $1::bigint"
                      " WHERE c.id = $4::bigint"
                      " AND ($5::bigint IS NULL OR epoch_ms(c.created_at) = $5::bigint)")},

    /* newest first, all before the place */
    [SQL_HISTORY_OLDER] = {"history_older", HISTORY("<", ">=", "DESC")},

    /* oldest first, from the place on */
    [SQL_HISTORY_NEWER] = {"history_newer", HISTORY(">=", "<", "ASC")},

    /* message, its ms, actor, content -> outcome, message */
    [SQL_MESSAGE_EDIT] = {"message_edit",
        "SELECT e.outcome, " MESSAGE_COLUMNS("(e.shown)")
        " FROM message_edit($1::bigint, $2::bigint, $3::bigint, $4) e"},

    /* message, its ms, actor -> outcome */
    [SQL_MESSAGE_DELETE] = {"message_delete",
        "SELECT message_delete($1::bigint, $2::bigint, $3::bigint)"},

    /* actor, username -> outcome, the invitation, the contact when a crossing one was accepted */
    [SQL_CONTACT_INVITE] = {"contact_invite",
        "SELECT i.outcome, " INVITATION_COLUMNS("(i.shown)") ", " CONTACT_COLUMNS("(i.contact)")
        " FROM contact_invite($1::bigint, (SELECT u.username FROM users u"
        "   WHERE lower(u.username) = lower($2) AND " A_PERSON("u") ")) i"},

    /* actor, invitation, its ms, accept -> outcome, the contact when accepted */
    [SQL_INVITATION_ANSWER] = {"invitation_answer",
        "SELECT i.outcome, " CONTACT_COLUMNS("(i.contact)")
        " FROM invitation_answer($1::bigint, $2::bigint, $3::bigint, $4::boolean) i"},

    /* actor, contact, its ms -> outcome */
    [SQL_CONTACT_REMOVE] = {"contact_remove", "SELECT contact_remove($1::bigint, $2::bigint, $3::bigint)"},

    /* viewer -> contacts, in the order they came */
    [SQL_CONTACT_LIST] = {"contact_list",
        "SELECT " CONTACT_COLUMNS("v") " FROM contact_view v WHERE v.viewer_id = $1::bigint ORDER BY v.id"},

    /* user -> invitations they sent and received, in the order they came */
    [SQL_INVITATION_LIST] = {"invitation_list",
        "WITH mine AS MATERIALIZED (SELECT id FROM invitations WHERE from_id = $1::bigint"
        "   UNION ALL SELECT id FROM invitations WHERE to_id = $1::bigint)"
        " SELECT " INVITATION_COLUMNS("v") " FROM mine JOIN invitation_view v ON v.id = mine.id ORDER BY v.id"},

    /* viewer, username -> the username as its user wrote it, are they contacts */
    [SQL_CONTACT_CHECK] = {"contact_check",
        "SELECT u.username, are_contacts($1::bigint, u.id) FROM users u WHERE lower(u.username) = lower($2)"
        "   AND " A_PERSON("u")},

    /* user, conversation (NULL: the message's), its ms, message (NULL: the newest), its ms, is it read
     * -> outcome */
    [SQL_RECEIPT_MARK] = {"receipt_mark",
        "SELECT receipt_mark($1::bigint, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::boolean)"},

    /* user, conversations, their seqs, is it read -> how many moved */
    [SQL_RECEIPTS_MARK] = {"receipts_mark",
        "SELECT receipts_mark($1::bigint, $2::bigint[], $3::bigint[], $4::boolean)"},

    /* viewer, message, its ms -> is the viewer in its conversation, then per recipient: user,
     * created_at, status, delivered_at, read_at; user NULL when there are none */
    [SQL_DELIVERIES] = {"deliveries",
        "WITH m AS MATERIALIZED (SELECT m.id, EXISTS (SELECT FROM participants p"
        "       WHERE p.conversation_id = m.conversation_id AND p.user_id = $1::bigint) AS member"
        "   FROM messages m WHERE m.id = $2::bigint AND m.deleted_at IS NULL"
        "    AND ($3::bigint IS NULL OR epoch_ms(m.created_at) = $3::bigint))"
        " SELECT m.member, u.id, u.created_at, d.status, d.delivered_at, d.read_at"
        " FROM m LEFT JOIN (message_deliveries d JOIN users u ON u.id = d.user_id)"
        "   ON d.message_id = m.id AND m.member ORDER BY u.id"},

    /* messages -> for each, in their order: have all its recipients got it, is one of them connected.
     * Each member is looked at once, not once for each message: of the two who have the least one is a
     * recipient, whoever sent it, and so is one of any two who are connected. */
    [SQL_REACH] = {"reach",
        "WITH m AS MATERIALIZED (SELECT i.n, x.conversation_id, x.seq, x.sender_id"
        "   FROM unnest($1::bigint[]) WITH ORDINALITY i(id, n) LEFT JOIN messages x ON x.id = i.id),"
        " rooms AS MATERIALIZED (SELECT p.conversation_id,"
        "     (array_agg(p.user_id ORDER BY s.seq))[1] AS slowest, min(s.seq) AS has,"
        "     (array_agg(s.seq ORDER BY s.seq))[2] AS next_has,"
        "     min(p.user_id) FILTER (WHERE s.online) AS one, max(p.user_id) FILTER (WHERE s.online) AS other"
        "   FROM (SELECT DISTINCT m.conversation_id FROM m) r"
        "   JOIN participants p ON p.conversation_id = r.conversation_id"
        "   CROSS JOIN LATERAL (SELECT greatest(p.joined_seq, p.delivered_seq) AS seq,"
        "       EXISTS (SELECT FROM online o WHERE o.user_id = p.user_id) AS online) s"
        "   GROUP BY p.conversation_id)"
        " SELECT coalesce(CASE WHEN r.slowest = m.sender_id THEN r.next_has ELSE r.has END >= m.seq, m.seq IS NOT NULL),"
        "        coalesce(r.one <> m.sender_id OR r.other <> m.sender_id, false)"
        " FROM m LEFT JOIN rooms r ON r.conversation_id = m.conversation_id ORDER BY m.n"},

    /* What was never delivered to a user, oldest first; the columns of SQL_REPLAY, the first true.
     * user, feed's snapshot, after id, limit, groups too */
    [SQL_PENDING] = {"pending",
        "WITH pending AS MATERIALIZED (SELECT m.id"
        "   FROM participants p JOIN conversations c ON c.id = p.conversation_id"
        "   CROSS JOIN LATERAL (SELECT x.id FROM messages x WHERE x.conversation_id = p.conversation_id"
        "       AND x.seq > p.delivered_seq AND x.sender_id <> $1::bigint AND x.deleted_at IS NULL"
        "       AND x.id > $3::bigint AND pg_visible_in_snapshot(x.xid, $2::pg_snapshot)"
        "       ORDER BY x.seq LIMIT $4::bigint) m"
        "   WHERE p.user_id = $1::bigint AND p.delivered_seq < c.last_seq"
        "     AND (c.kind = 'direct' OR $5::boolean)"
        "   ORDER BY m.id LIMIT $4::bigint)"
        " SELECT true, " MESSAGE_COLUMNS("v")
        " FROM (SELECT) one LEFT JOIN (pending JOIN message_view v ON v.id = pending.id) ON true"
        " ORDER BY v.id"},

    /* username -> person */
    [SQL_USER_BY_NAME] = {"user_by_name",
        "SELECT " PERSON_COLUMNS("u") " FROM users u WHERE lower(u.username) = lower($1)"
        "   AND " A_PERSON("u")},

    /* viewer, after id (0: from the start, which is the viewer), limit of the others, with the last
     * message between the two -> user (email of the viewer only), message */
    [SQL_USER_LIST] = {"user_list",
        "WITH page AS MATERIALIZED (SELECT u.*, 0 AS rank FROM users u WHERE u.id = $1::bigint AND $2::bigint = 0"
        "   UNION ALL (SELECT u.*, 1 FROM users u WHERE u.id > $2::bigint AND u.id <> $1::bigint"
        "              AND u.is_active AND " A_PERSON("u") " ORDER BY u.id LIMIT $3::bigint))"
        " SELECT u.id, u.username, CASE u.rank WHEN 0 THEN u.email END, u.display_name, NULL::text,"
        "        u.is_active, u.email_verified, u.created_at, u.updated_at, " MESSAGE_COLUMNS("l")
        " FROM page u LEFT JOIN conversations c ON $4::boolean AND c.kind = 'direct'"
        "     AND c.user_low = least(u.id, $1::bigint) AND c.user_high = greatest(u.id, $1::bigint)"
        " LEFT JOIN message_view l ON l.id = " LAST_MESSAGE("c.id")
        " ORDER BY u.rank, u.id"},

    /* user -> the last message of each conversation, latest first */
    [SQL_CHAT_LIST] = {"chat_list",
        "SELECT " MESSAGE_COLUMNS("l") " FROM participants p"
        " JOIN message_view l ON l.id = " LAST_MESSAGE("p.conversation_id")
        " WHERE p.user_id = $1::bigint ORDER BY l.created_at DESC, l.id DESC"},

    /* () -> daemon */
    [SQL_DAEMON_REGISTER] = {"daemon_register", "INSERT INTO daemons DEFAULT VALUES RETURNING id"},

    /* daemon -> the same; no row when it was swept */
    [SQL_DAEMON_HEARTBEAT] = {"daemon_heartbeat",
        "UPDATE daemons SET seen_at = clock_timestamp() WHERE id = $1::bigint RETURNING id"},

    /* daemon, milliseconds: it ends, and counts as having been silent for so long already */
    [SQL_DAEMON_LEAVE] = {"daemon_leave",
        "UPDATE daemons SET seen_at = clock_timestamp() - $2::bigint * interval '1 ms' WHERE id = $1::bigint"},

    /* daemon, users -> how many came online; daemons are told */
    [SQL_PRESENCE_UP] = {"presence_up", "SELECT presence_up($1::bigint, $2::bigint[])"},

    /* daemon, users -> how many went offline; daemons are told */
    [SQL_PRESENCE_DOWN] = {"presence_down", "SELECT presence_down($1::bigint, $2::bigint[])"},

    /* seconds of silence -> how many users went offline with their daemon; the others are told */
    [SQL_PRESENCE_SWEEP] = {"presence_sweep", "SELECT presence_sweep($1::bigint * interval '1 s')"},

    /* () -> everybody who is online */
    [SQL_PRESENCE_ALL] = {"presence_all", "SELECT DISTINCT user_id FROM online"},

    /* Who of the viewers shares a conversation or a contact with which subject.
     * subjects, viewers -> viewer, subject, the subject's created_at */
    [SQL_PRESENCE_VIEWERS] = {"presence_viewers",
        "SELECT x.viewer, u.id, u.created_at FROM ("
        "  SELECT b.viewer, s.subject FROM unnest($1::bigint[]) s(subject) CROSS JOIN LATERAL ("
        "     SELECT m.member AS viewer FROM " MEMBERS_AROUND("s.subject") " m"
        "     INTERSECT SELECT unnest($2::bigint[])) b WHERE b.viewer <> s.subject"
        "  UNION SELECT user_high, user_low FROM contacts"
        "   WHERE user_low = ANY ($1::bigint[]) AND user_high = ANY ($2::bigint[])"
        "  UNION SELECT user_low, user_high FROM contacts"
        "   WHERE user_high = ANY ($1::bigint[]) AND user_low = ANY ($2::bigint[])) x"
        " JOIN users u ON u.id = x.subject"},

    /* The same for those who are online, the next few of each viewer: in order of their ids, so that what is
     * shown is bounded however many there are. Each conversation gives its next few too: left to itself the
     * planner may begin with all who are online, and look at everybody in a large group for each of them.
     * viewers, ids after which each goes on, how many of each -> viewer, subject, the subject's created_at */
    [SQL_PRESENCE_PEOPLE] = {"presence_people",
        "SELECT v.viewer, u.id, u.created_at FROM unnest($1::bigint[], $2::bigint[]) v(viewer, after)"
        " CROSS JOIN LATERAL (SELECT x.subject FROM ("
        "   SELECT b.user_id AS subject FROM participants a CROSS JOIN LATERAL ("
        "       SELECT p.user_id FROM participants p WHERE p.conversation_id = a.conversation_id"
        "          AND p.user_id > v.after AND p.user_id <> v.viewer"
        "          AND EXISTS (SELECT FROM online o WHERE o.user_id = p.user_id)"
        "        ORDER BY p.user_id LIMIT $3::bigint) b WHERE a.user_id = v.viewer"
        "   UNION SELECT c.other_id FROM contact_view c WHERE c.viewer_id = v.viewer AND c.other_id > v.after"
        "        AND EXISTS (SELECT FROM online o WHERE o.user_id = c.other_id)) x"
        "   ORDER BY x.subject LIMIT $3::bigint) y"
        " JOIN users u ON u.id = y.subject ORDER BY v.viewer, u.id"},
};
