/* The third part of the table (see sql.c): mail, and what the links in it do. */
#include "shared/sql_tables.h"

/* clang-format off */
const struct sql_statement sql_mail[SQL_COUNT] = {
    /* address: owes it a reset mail. Writes a row in any case, so that its time tells nothing. */
    [SQL_MAIL_FORGOT] = {"mail_forgot",
        "INSERT INTO mail_outbox AS o (kind, recipient) VALUES ('reset', $1)"
        " ON CONFLICT (lower(recipient)) WHERE kind = 'reset' AND state = 'pending'"
        " DO UPDATE SET attempts = o.attempts"},

    /* hash of the token to send, lease in s
     * -> mail (NULL: nothing is due), attempt, kind, recipient, username, created_at, why it failed
     *    (NULL: it is to be sent) */
    [SQL_MAIL_CLAIM] = {"mail_claim",
        "SELECT * FROM mail_claim($1::bytea, $2::bigint * interval '1 s')"},

    /* mail, attempt, new state, why it failed (NULL: it did not), delay of the next attempt in ms
     * -> state; no row when another courier has it. What was accepted is sent, whoever has it now. */
    [SQL_MAIL_FINISH] = {"mail_finish",
        "WITH n AS (SELECT o.id, CASE WHEN $3 = 'pending' AND now() + $5::bigint * interval '1 ms'"
        "     >= o.created_at + mail_lifetime(o.kind) THEN 'failed' ELSE $3 END AS state"
        "   FROM mail_outbox o WHERE o.id = $1::bigint AND o.state = 'pending'"
        "    AND (o.attempts = $2::bigint OR $3 = 'sent') FOR UPDATE)"
        " UPDATE mail_outbox o SET state = n.state, last_error = $4,"
        "        next_attempt_at = now() + $5::bigint * interval '1 ms',"
        "        finished_at = CASE WHEN n.state <> 'pending' THEN now() END"
        "   FROM n WHERE o.id = n.id RETURNING o.state"},

    /* how many at most -> how many went */
    [SQL_MAIL_PURGE] = {"mail_purge", "SELECT mail_purge($1::bigint)"},

    /* -> how many mails are owed, microseconds since the oldest of them was asked for */
    [SQL_MAIL_QUEUE] = {"mail_queue",
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)) * 1000000, 0)::bigint"
        "  FROM mail_outbox WHERE state = 'pending'"},

    /* hash of the token -> was it good */
    [SQL_EMAIL_VERIFY] = {"email_verify", "SELECT email_verify($1::bytea)"},

    /* hash of the token, password_hash, address, request id -> was it good */
    [SQL_PASSWORD_RESET] = {"password_reset",
        "SELECT password_reset($1::bytea, $2) WHERE audit_context($3, $4, 'password reset by mail')"},
};
