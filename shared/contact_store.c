/* Contacts and invitations. */
#include "shared/contact_store.h"

#include "shared/outcome.h"

#include <string.h>

enum error contact_invite(struct db *db, struct arena *a, int64_t me, const char *username, struct invitation *out,
                          bool *accepted, struct contact *contact)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_CONTACT_INVITE);
    query_int(&q, me);
    query_text(&q, username);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    const char *outcome = row_text(&r);
    e = outcome_error(outcome);
    if (e == OK) {
        *accepted = !strcmp(outcome, "accepted");
        invitation_read(&r, out);
        contact_read(&r, contact);
    }
    PQclear(res);
    return e;
}

static void contact_row(struct row *r, void *out)
{
    contact_read(r, out);
}

static void answer_query(struct query *q, int64_t me, const struct ref *invitation, bool accept)
{
    query_init(q, SQL_INVITATION_ANSWER);
    query_int(q, me);
    query_ref(q, invitation);
    query_bool(q, accept);
}

enum error invitation_accept(struct db *db, struct arena *a, int64_t me, const struct ref *invitation,
                             struct contact *out)
{
    struct query q;
    answer_query(&q, me, invitation, true);
    return outcome_row(db, &q, a, contact_row, out);
}

enum error invitation_reject(struct db *db, int64_t me, const struct ref *invitation)
{
    struct query q;
    answer_query(&q, me, invitation, false);
    return outcome_run(db, &q);
}

/* The sent ones from the front, the received ones behind them. */
static void invitations_read(const PGresult *res, struct arena *a, int64_t me, struct contact_book *out)
{
    struct invitation found;
    int n = PQntuples(res);
    out->sent = arena_alloc(a, (size_t)n * sizeof found);
    out->received = arena_alloc(a, (size_t)n * sizeof found);
    for (int i = 0; i < n; i++) {
        struct row r = row_at(res, i, a);
        invitation_read(&r, &found);
        if (found.from.id == me)
            out->sent[out->sent_count++] = found;
        else
            out->received[out->received_count++] = found;
    }
}

enum error contact_book(struct db *db, struct arena *a, int64_t me, struct contact_book *out)
{
    struct query q;
    PGresult *res;
    *out = (struct contact_book){0};
    query_init(&q, SQL_INVITATION_LIST);
    query_int(&q, me);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    invitations_read(res, a, me, out);
    PQclear(res);

    query_init(&q, SQL_CONTACT_LIST);
    query_int(&q, me);
    return db_list(db, &q, a, contact_row, sizeof *out->contacts, &out->contacts, &out->contact_count);
}

enum error contact_remove(struct db *db, int64_t me, const struct ref *contact)
{
    struct query q;
    query_init(&q, SQL_CONTACT_REMOVE);
    query_int(&q, me);
    query_ref(&q, contact);
    return outcome_run(db, &q);
}

enum error contact_check(struct db *db, struct arena *a, int64_t me, const char *username, const char **name,
                         bool *are_contacts)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_CONTACT_CHECK);
    query_int(&q, me);
    query_text(&q, username);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    if (PQntuples(res)) {
        struct row r = row_at(res, 0, a);
        *name = row_text(&r);
        *are_contacts = row_bool(&r);
    } else {
        e = ERR_USER_NOT_FOUND;
    }
    PQclear(res);
    return e;
}
