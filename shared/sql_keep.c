/* The sixth part of the table (see sql.c): what is kept and what is forgotten; db/0012_retention.sql has
 * the rules. */
#include "shared/sql_tables.h"

/* clang-format off */
const struct sql_statement sql_keep[SQL_COUNT] = {
    /* days to keep them (0: for ever), how many at most -> of which conversation, how many went, ms until
     * there may be more to do */
    [SQL_MESSAGES_PURGE] = {"messages_purge",
        "SELECT p.room, p.purged, p.wait_ms FROM messages_purge($1::bigint, $2::bigint) p"},

    /* days to keep it, how many lines at most -> how many went */
    [SQL_AUDIT_PURGE] = {"audit_purge", "SELECT audit_purge($1::bigint * interval '1 day', $2::bigint)"},

    /* conversation, its ms, days (NULL: as all) -> outcome */
    [SQL_RETENTION_SET] = {"retention_set", "SELECT retention_set($1::bigint, $2::bigint, $3::bigint)"},

    /* conversation, its ms -> its own rule in days (NULL: none), how many messages went so far, the
     * oldest one there is; no row without the conversation */
    [SQL_RETENTION_GET] = {"retention_get",
        "SELECT c.id, r.days, coalesce(r.purged_seq, 0) AS deleted, (SELECT m.created_at FROM messages m"
        "         WHERE m.conversation_id = c.id ORDER BY m.seq LIMIT 1) AS oldest_message"
        "  FROM conversations c LEFT JOIN retention r ON r.conversation_id = c.id"
        " WHERE c.id = $1::bigint AND ($2::bigint IS NULL OR epoch_ms(c.created_at) = $2::bigint)"},

    /* how many at most -> conversation, what, from and up to which seq */
    [SQL_BACKUP_FAULTS] = {"backup_faults",
        "SELECT f.conversation_id AS conversation, f.what, f.first_seq AS first, f.last_seq AS last"
        "  FROM backup_faults f ORDER BY f.conversation_id, f.first_seq LIMIT $1::bigint"},

    /* () -> what a backup holds, and its newest message */
    [SQL_BACKUP_CONTENTS] = {"backup_contents",
        "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM conversations) AS conversations,"
        "       (SELECT count(*) FROM messages) AS messages, (SELECT max(c.last_at) FROM conversations c) AS newest"},

    /* () -> how far the transaction ids in the tables are ahead of the cluster's */
    [SQL_XIDS_AHEAD] = {"xids_ahead", "SELECT xids_ahead()"},
};
