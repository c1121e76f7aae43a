/* libpq, synchronously. A dead connection is noticed before a request uses it, so a PostgreSQL
 * restart between two requests costs none of them. */
#include "shared/db.h"

#include "schema_version.h"
#include "shared/log.h"
#include "shared/timefmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RETRY_LEAST_US = 50000, RETRY_MOST_US = 1000000 };

void db_init(struct db *db, const struct config *config)
{
    *db = (struct db){.config = config};
}

void db_release(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
}

char *db_session_settings(const struct config *config)
{
    char *sql = NULL;
    /* Every statement has its indexes and a plan that suits all parameters: planning anew would cost
     * more than running. Whatever reads a whole table (sequential scans, and the joins that hash, sort
     * or keep one side of it) is only ever chosen for lack of statistics, and then stays for hours. */
    if (asprintf(&sql,
                 "SET statement_timeout = %d; SET lock_timeout = %d;"
                 "SET idle_in_transaction_session_timeout = 10000; SET timezone = 'UTC';"
                 "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;"
                 "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;"
                 "SET synchronous_commit = on",
                 config->statement_timeout, config->lock_timeout) < 0)
        abort();
    return sql;
}

static void ignore_notice(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* Drops the connection and puts the next attempt off: 50 ms, doubling to 1 s. */
static void lost(struct db *db, const char *event)
{
    int shift = db->failures < 5 ? db->failures : 5;
    int64_t wait = (int64_t)RETRY_LEAST_US << shift;
    log_event(LOG_WARN, event, log_text("reason", PQerrorMessage(db->conn)));
    PQfinish(db->conn);
    db->conn = NULL;
    db->retry_at = time_now() + (wait < RETRY_MOST_US ? wait : RETRY_MOST_US);
    db->failures++;
}

static enum error connect_now(struct db *db)
{
    if (time_now() < db->retry_at)
        return ERR_UNAVAILABLE;
    const char *const keys[] = {"dbname", "connect_timeout", "application_name", "client_encoding", NULL};
    const char *const values[] = {db->config->database_url, "3", "parley", "UTF8", NULL};
    memset(db->prepared, 0, sizeof db->prepared);
    db->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        lost(db, "database_unreachable");
        return ERR_UNAVAILABLE;
    }
    PQsetNoticeReceiver(db->conn, ignore_notice, NULL);
    char *settings = db_session_settings(db->config);
    PQclear(PQexec(db->conn, settings));
    free(settings);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        lost(db, "database_lost");
        return ERR_UNAVAILABLE;
    }
    db->failures = 0;
    return OK;
}

/* A connection that is alive as far as one look at its socket tells. */
static enum error ready(struct db *db)
{
    if (db->conn && (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK)) {
        log_event(LOG_NOTICE, "database_lost", log_text("reason", PQerrorMessage(db->conn)));
        db_release(db);
    }
    return db->conn ? OK : connect_now(db);
}

enum error db_sqlstate_error(const char *sqlstate)
{
    /* resources, lock timeout, cancelled or shutting down, deadlock, read-only, connection */
    static const char *const trouble[] = {"53", "55", "57", "40", "25006", "08"};
    for (size_t i = 0; sqlstate && i < sizeof trouble / sizeof *trouble; i++)
        if (!strncmp(sqlstate, trouble[i], strlen(trouble[i])))
            return ERR_UNAVAILABLE;
    return sqlstate ? ERR_INTERNAL : ERR_UNAVAILABLE;
}

/* What a failed statement means to the caller; SQLSTATE classes of PostgreSQL's appendix A. */
static enum error failure(struct db *db, const PGresult *res, const char *statement)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        lost(db, "database_lost");
        return ERR_UNAVAILABLE;
    }
    if (state && !strcmp(state, "23505")) {
        snprintf(db->constraint, sizeof db->constraint, "%s", constraint ? constraint : "");
        return ERR_INTERNAL;
    }
    log_event(LOG_ERROR, "statement_failed", log_text("statement", statement),
              log_text("sqlstate", state),
              log_text("reason", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)));
    return db_sqlstate_error(state);
}

static enum error prepare(struct db *db, enum sql sql)
{
    const struct sql_statement *s = sql_statement(sql);
    if (db->prepared[sql])
        return OK;
    PGresult *res = PQprepare(db->conn, s->name, s->text, 0, NULL);
    enum error e = PQresultStatus(res) == PGRES_COMMAND_OK ? OK : failure(db, res, s->name);
    PQclear(res);
    db->prepared[sql] = e == OK;
    return e;
}

enum error db_run(struct db *db, const struct query *q, PGresult **out)
{
    const struct sql_statement *s = sql_statement(q->sql);
    db->constraint[0] = 0;
    enum error e = ready(db);
    if (e == OK)
        e = prepare(db, q->sql);
    if (e != OK)
        return e;
    PGresult *res = PQexecPrepared(db->conn, s->name, q->count, q->values, q->lengths, q->formats, 1);
    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK) {
        e = failure(db, res, s->name);
        PQclear(res);
        return e;
    }
    *out = res;
    return OK;
}

enum error db_execute(struct db *db, const struct query *q)
{
    PGresult *res;
    enum error e = db_run(db, q, &res);
    if (e == OK)
        PQclear(res);
    return e;
}

bool db_schema_matches(struct db *db, bool wait)
{
    struct query q;
    PGresult *res = NULL;
    query_init(&q, SQL_SCHEMA_VERSION);
    enum error e;
    while ((e = db_run(db, &q, &res)) == ERR_UNAVAILABLE && wait)
        usleep(RETRY_LEAST_US);
    if (e != OK) {
        log_event(LOG_ERROR, "schema_unknown",
                  log_text("hint", "is the database reachable, and was db/migrate.sh run?"));
        return false;
    }
    struct row r = row_at(res, 0, NULL);
    int64_t version = row_int(&r);
    PQclear(res);
    if (version == SCHEMA_VERSION)
        return true;
    log_event(LOG_ERROR, version > SCHEMA_VERSION ? "schema_newer" : "schema_older",
              log_int("database", version), log_int("program", SCHEMA_VERSION),
              log_text("hint", version > SCHEMA_VERSION
                                   ? "the database is newer than this program: upgrade the program"
                                   : "run db/migrate.sh"));
    return false;
}

bool db_check_sql(struct db *db)
{
    bool good = ready(db) == OK;
    for (int i = 0; good && i < SQL_COUNT; i++)
        if (prepare(db, (enum sql)i) != OK) {
            fprintf(stderr, "statement %s does not prepare\n", sql_statement((enum sql)i)->name);
            good = false;
        }
    return good;
}
