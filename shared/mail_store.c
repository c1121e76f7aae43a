/* The outbox and the links; db/0003_mail.sql has the rules. */
#include "shared/mail_store.h"

#include <string.h>

static const char *const state_names[] = {
    [MAIL_SENT] = "sent", [MAIL_LOGGED] = "logged", [MAIL_FAILED] = "failed", [MAIL_PENDING] = "pending"};

enum error mail_forgot(struct db *db, const char *address)
{
    struct query q;
    query_init(&q, SQL_MAIL_FORGOT);
    query_text(&q, address);
    return db_execute(db, &q);
}

enum error email_verify(struct db *db, const unsigned char hash[SECRET_HASH])
{
    struct query q;
    query_init(&q, SQL_EMAIL_VERIFY);
    query_bytes(&q, hash, SECRET_HASH);
    return db_bool(db, &q, ERR_LINK_INVALID);
}

enum error password_reset(struct db *db, const unsigned char hash[SECRET_HASH], const char *password,
                          const struct caller *from)
{
    struct query q;
    query_init(&q, SQL_PASSWORD_RESET);
    query_bytes(&q, hash, SECRET_HASH);
    query_text(&q, password);
    query_caller(&q, from);
    return db_bool(db, &q, ERR_LINK_INVALID);
}

static void mail_read(struct row *r, void *out)
{
    struct mail *m = out;
    m->id = row_int(r);
    m->attempt = row_int(r);
    m->kind = row_text(r);
    m->recipient = row_text(r);
    m->username = row_text(r);
    m->created_at = row_time(r);
    m->failure = row_text(r);
}

enum error mail_claim(struct db *db, struct arena *a, const unsigned char hash[SECRET_HASH], int64_t lease,
                      struct mail *out)
{
    struct query q;
    query_init(&q, SQL_MAIL_CLAIM);
    query_bytes(&q, hash, SECRET_HASH);
    query_int(&q, lease);
    return db_row(db, &q, a, mail_read, out, ERR_INTERNAL);
}

enum error mail_finish(struct db *db, const struct mail *m, enum mail_state *state, const char *reason,
                       int64_t delay_ms)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_MAIL_FINISH);
    query_int(&q, m->id);
    query_int(&q, m->attempt);
    query_text(&q, state_names[*state]);
    query_text(&q, reason);
    query_int(&q, delay_ms);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    if (PQntuples(res) && !strcmp(PQgetvalue(res, 0, 0), state_names[MAIL_FAILED]))
        *state = MAIL_FAILED;
    PQclear(res);
    return OK;
}

enum error mail_queue(struct db *db, int64_t *count, int64_t *age)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_MAIL_QUEUE);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, NULL);
    *count = row_int(&r);
    *age = row_int(&r);
    PQclear(res);
    return OK;
}
