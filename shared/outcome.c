/* One table for all functions: an outcome means the same wherever it comes from. */
#include "shared/outcome.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *outcome;
    enum error error;
} table[] = {
    {"ok", OK},
    {"sent", OK},
    {"replayed", OK},
    {"created", OK},
    {"existing", OK},
    {"invited", OK},
    {"accepted", OK},
    {"no_session", ERR_UNAUTHORIZED},
    {"conflict", ERR_IDEMPOTENCY_CONFLICT},
    {"self", ERR_SELF_MESSAGE},
    {"no_peer", ERR_RECIPIENT_NOT_FOUND},
    {"no_conversation", ERR_CONVERSATION_NOT_FOUND},
    {"no_message", ERR_MESSAGE_NOT_FOUND},
    {"no_user", ERR_USER_NOT_FOUND},
    {"not_found", ERR_NOT_FOUND},
    {"forbidden", ERR_NOT_MEMBER},
    {"not_member", ERR_NOT_MEMBER},
    {"not_owner", ERR_NOT_OWNER},
    {"not_sender", ERR_FORBIDDEN},
    {"direct", ERR_SYSTEM_ROOM},
    {"owner_leaves", ERR_OWNER_LEAVES},
    {"self_invitation", ERR_SELF_INVITATION},
    {"already_contacts", ERR_ALREADY_CONTACTS},
    {"already_invited", ERR_ALREADY_INVITED},
    {"too_many", ERR_TOO_MANY_CONSUMERS},
    {"too_many_tokens", ERR_TOO_MANY_TOKENS},
    {"no_callback", ERR_CALLBACK_NOT_FOUND},
    {"callback_disabled", ERR_CALLBACK_DISABLED},
    {"too_many_callbacks", ERR_TOO_MANY_CALLBACKS},
    {"too_many_webhooks", ERR_TOO_MANY_WEBHOOKS},
    {"no_webhook", ERR_NOT_FOUND},
    {"too_fast", ERR_RATE_LIMITED},
    {"bad_cursor", ERR_CURSOR},
    {"expired", ERR_CURSOR_EXPIRED},
};

enum error outcome_error(const char *outcome)
{
    for (size_t i = 0; outcome && i < sizeof table / sizeof *table; i++)
        if (!strcmp(outcome, table[i].outcome))
            return table[i].error;
    return ERR_INTERNAL;
}

enum error outcome_result(const PGresult *res)
{
    return outcome_error(PQgetisnull(res, 0, 0) ? NULL : PQgetvalue(res, 0, 0));
}

/* *out, there only when all is well, is the caller's to PQclear(). */
static enum error run(struct db *db, const struct query *q, PGresult **out)
{
    enum error e = db_run(db, q, out);
    if (e == OK && (e = outcome_result(*out)) != OK)
        PQclear(*out);
    return e;
}

enum error outcome_row(struct db *db, const struct query *q, struct arena *a, row_reader *read, void *out)
{
    PGresult *res;
    enum error e = run(db, q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    r.column = 1;
    read(&r, out);
    PQclear(res);
    return OK;
}

enum error outcome_list(struct db *db, const struct query *q, struct arena *a, row_reader *read, size_t size, void *out,
                        int *count)
{
    PGresult *res;
    enum error e = run(db, q, &res);
    if (e != OK)
        return e;
    rows_read(res, 1, a, read, size, out, count);
    PQclear(res);
    return OK;
}

enum error outcome_run(struct db *db, const struct query *q)
{
    PGresult *res;
    enum error e = run(db, q, &res);
    if (e == OK)
        PQclear(res);
    return e;
}
