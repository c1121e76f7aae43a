#include "tests/fuzz/support/database.h"

#include "shared/db.h"
#include "shared/secret.h"
#include "shared/store.h"
#include "shared/validate.h"
#include "tests/fuzz/support/fuzz.h"
#include "ws-daemon/pgpipe.h"

#include <string.h>

/* Declared by what they stand for, so that the compiler compares. */
#define INSTEAD_OF(name) __typeof__(name) __wrap_##name
INSTEAD_OF(db_run);
INSTEAD_OF(session_user);
INSTEAD_OF(password_hash);
INSTEAD_OF(password_matches);

/* PostgreSQL takes no invalid UTF-8: whatever gets this far would be a 500 that a client can cause. */
static void look_at(const struct query *q)
{
    CHECK(q->sql < SQL_COUNT && q->count <= QUERY_PARAMS);
    for (int i = 0; i < q->count; i++)
        if (q->values[i] && !q->formats[i])
            CHECK(utf8_valid(q->values[i], strlen(q->values[i])));
}

/* ---- the daemon's pipes, in the place of all of pgpipe.c ---- */

struct pgpipe {
    struct pgpipe_owner owner;
};

struct unit {
    pgpipe_done *done;
    void *arg;
    enum sql sql;
};

enum { UNITS_MOST = 10000 };
static struct unit units[UNITS_MOST];
static int unit_count;
static struct pgpipe_owner listener;
bool database_up = true;

struct pgpipe *pgpipe_new(struct ev_loop *loop, const struct config *config, const char *url, const char *name,
                          struct pgpipe_owner owner)
{
    struct pgpipe *p = calloc(1, sizeof *p);
    CHECK(p && loop && config && url && name);
    p->owner = owner;
    if (owner.notified)
        listener = owner;
    return p;
}

void pgpipe_free(struct pgpipe *p)
{
    free(p);
}

bool pgpipe_is_up(const struct pgpipe *p)
{
    CHECK(p);
    return database_up;
}

int pgpipe_backlog(const struct pgpipe *p)
{
    CHECK(p);
    return unit_count;
}

enum error pgpipe_submit(struct pgpipe *p, const struct query *queries, int count, pgpipe_done *done, void *arg)
{
    CHECK(p && count > 0 && count <= PGPIPE_UNIT);
    if (!database_up || unit_count == UNITS_MOST)
        return ERR_UNAVAILABLE;
    for (int i = 0; i < count; i++)
        look_at(&queries[i]);
    units[unit_count++] = (struct unit){done, arg, queries[0].sql};
    return OK;
}

void pgpipe_hurry(struct pgpipe *p)
{
    CHECK(p);
}

void pgpipe_reset(struct pgpipe *p, const char *reason)
{
    CHECK(p && reason);
}

/* The columns of the statements that are answered with a row: i bigint or timestamptz, b boolean,
 * t text. */
static const char *columns_of(enum sql sql)
{
    switch (sql) {
    case SQL_MEMBERSHIP: return "bi";
    case SQL_TYPING: return "biibt";
    default: return NULL;
    }
}

static PGresult *row_of(const char *columns)
{
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc descriptions[8] = {0};
    static char name[] = "column", number[8] = {0, 0, 0, 0, 0, 0, 0, 42}, yes[1] = {1}, list[3] = "2,3";
    int count = (int)strlen(columns);
    for (int i = 0; i < count; i++)
        descriptions[i].name = name;
    CHECK(res && PQsetResultAttrs(res, count, descriptions));
    for (int i = 0; i < count; i++) {
        char *value = columns[i] == 'i' ? number : columns[i] == 'b' ? yes : list;
        CHECK(PQsetvalue(res, 0, i, value, columns[i] == 'i' ? sizeof number : columns[i] == 'b' ? 1 : sizeof list));
    }
    return res;
}

void database_answer(enum answer how)
{
    static struct unit answered[UNITS_MOST];
    int count = unit_count;
    memcpy(answered, units, sizeof *units * (size_t)count);
    unit_count = 0;
    for (int i = 0; i < count; i++) {
        struct unit *u = &answered[i];
        if (!u->done)
            continue;
        const char *columns = how == ANSWER_ROW ? columns_of(u->sql) : NULL;
        PGresult *res = columns ? row_of(columns) : NULL;
        if (res)
            u->done(u->arg, OK, &res, 1, "");
        else if (how == ANSWER_FAILED || how == ANSWER_KEY)
            u->done(u->arg, ERR_INTERNAL, NULL, 0, how == ANSWER_KEY ? "messages_client_key" : "");
        else
            u->done(u->arg, ERR_UNAVAILABLE, NULL, 0, "");
        PQclear(res);
    }
}

void database_notify(const char *payload)
{
    CHECK(listener.notified);
    listener.notified(listener.arg, payload);
}

/* ---- the workers' connection ---- */

enum error __wrap_db_run(struct db *db, const struct query *q, PGresult **out)
{
    (void)db;
    (void)out;
    look_at(q);
    return ERR_UNAVAILABLE;
}

/* Every token's session stands. */
enum error __wrap_session_user(struct db *db, struct arena *a, int64_t session_id, int64_t user_id, struct user *out)
{
    (void)db;
    (void)a;
    CHECK(session_id > 0 && user_id > 0);
    *out = (struct user){.id = user_id, .username = "alice", .display_name = "Alice", .is_active = true};
    return OK;
}

/* bcrypt would take all the time. */
bool __wrap_password_hash(const char *password, int cost, char out[PASSWORD_HASH])
{
    CHECK(strlen(password) <= 72 && cost);
    memcpy(out, "$2b$", 5);
    return true;
}

bool __wrap_password_matches(const char *password, const char *hash, int cost)
{
    CHECK(strlen(password) <= 72 && cost);
    return hash != NULL;
}
