/* libpq, waited for, but never for ever. A dead connection is noticed before a request uses it, so a
 * PostgreSQL restart between two requests costs none of them; one that is silent (stopped, unplugged, at
 * the other end of a broken network) costs a request a known time at most. */
#include "shared/db.h"

#include "schema_version.h"
#include "shared/hosts.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Microseconds; docs/capacity.md says why each is as it is. */
enum {
    RETRY_LEAST_US = 50000,
    RETRY_MOST_US = 1000000,
    CONNECT_US = 3000000,      /* what an attempt to connect may take */
    CONNECT_WAIT_US = 1000000, /* what the request that began it waits; later ones go on where that */
    CONNECT_LOOK_US = 50000,   /* left it, and look for so long */
    SILENCE_US = 1000000,      /* how long after its own timeout a statement's answer may still come */
};

void db_init(struct db *db, const struct config *config)
{
    *db = (struct db){.config = config};
}

void db_release(struct db *db)
{
    db->turn += db->conn && !db->connected; /* a host that is silent, perhaps */
    PQfinish(db->conn);
    db->conn = NULL;
    db->connected = false;
}

char *db_session_settings(const struct config *config)
{
    char *sql = NULL;
    /* Every statement has its indexes and a plan that suits all parameters: planning anew would cost
     * more than running. Whatever reads a whole table (sequential scans, and the joins that hash, sort
     * or keep one side of it) is only ever chosen for lack of statistics, and then stays for hours.
     * A statement of ours takes milliseconds, so one that takes seconds is stuck and keeps a worker or
     * the daemon's only writing connection from others: it ends, by statement_timeout. lock_timeout is
     * shorter, so that who waits for a lock hears of that and not of its own slowness. No transaction
     * of ours waits for us in its middle; one that does belongs to a process that hangs. */
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

PGconn *db_connect_start(const char *url, const char *application, unsigned turn)
{
    struct hosts hosts;
    hosts_init(&hosts, url, turn);
    /* A host that is gone without a word is given up after 20 s: when there is nothing to send, by
     * keepalives (10 + 2 * 5 s), else by tcp_user_timeout. What url says has no say in it. */
    static const char *const keys[] = {"dbname",
                                       "application_name",
                                       "client_encoding",
                                       "keepalives_idle",
                                       "keepalives_count",
                                       "keepalives_interval",
                                       "tcp_user_timeout",
                                       "host",
                                       "hostaddr",
                                       "port",
                                       NULL};
    const char *const values[] = {url,     application, "UTF8",         "10",       "2", "5",
                                  "20000", hosts.host,  hosts.hostaddr, hosts.port, NULL}; /* NULL: as in url */
    PGconn *conn = PQconnectStartParams(keys, values, 1);
    hosts_release(&hosts);
    return conn;
}

bool db_read_only(const PGconn *conn)
{
    static const char *const tell[] = {"default_transaction_read_only", "in_hot_standby"};
    bool is = false;
    for (size_t i = 0; i < sizeof tell / sizeof *tell; i++) {
        const char *value = PQparameterStatus(conn, tell[i]);
        is |= value && !strcmp(value, "on");
    }
    return is;
}

/* ---- waiting ---- */

/* Until the socket is ready for one of events; false when the deadline comes first. */
static bool wait_for(const PGconn *conn, short events, int64_t deadline)
{
    struct pollfd fd = {.fd = PQsocket(conn), .events = events};
    int64_t left = deadline - time_steady();
    return left > 0 && poll(&fd, 1, (int)(left / 1000) + 1) > 0;
}

/* Drops the connection and puts the next attempt off: 50 ms, doubling to 1 s. */
static void lost(struct db *db, const char *event, const char *reason)
{
    unsigned shift = db->failures < 5 ? db->failures : 5;
    int64_t wait = (int64_t)RETRY_LEAST_US << shift;
    metric_add(METRIC_DB_LOSSES, 0, db->connected);
    log_event(LOG_WARN, event, log_text("reason", reason ? reason : PQerrorMessage(db->conn)));
    db_release(db);
    db->retry_at = time_steady() + (wait < RETRY_MOST_US ? wait : RETRY_MOST_US);
    db->failures++;
}

/* The last result of what was sent, for the caller to clear. NULL: the connection is lost. */
static PGresult *await(struct db *db)
{
    int64_t deadline = time_steady() + db->config->statement_timeout * INT64_C(1000) + SILENCE_US;
    PGresult *last = NULL, *res;
    for (;;) {
        int unsent = PQflush(db->conn);
        while (!PQisBusy(db->conn)) {
            if (!(res = PQgetResult(db->conn)))
                return last;
            PQclear(last);
            last = res;
        }
        if (!wait_for(db->conn, unsent > 0 ? POLLIN | POLLOUT : POLLIN, deadline)) {
            lost(db, "database_silent", "no answer in time");
            break;
        }
        if (!PQconsumeInput(db->conn)) {
            lost(db, "database_lost", NULL);
            break;
        }
    }
    PQclear(last);
    return NULL;
}

/* ---- connecting ---- */

/* What the server says unasked. It ends an idle session with an error that no statement gets. */
static void on_notice(void *arg, const PGresult *res)
{
    struct db *db = arg;
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    db->ended |= severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"));
}

static enum error set_up_session(struct db *db)
{
    char *settings = db_session_settings(db->config);
    memset(db->prepared, 0, sizeof db->prepared);
    db->ended = false;
    PQsetNoticeReceiver(db->conn, on_notice, db);
    PQsetnonblocking(db->conn, 1);
    PGresult *res = PQsendQuery(db->conn, settings) ? await(db) : NULL;
    free(settings);
    bool good = PQresultStatus(res) == PGRES_COMMAND_OK;
    PQclear(res);
    if (!good && db->conn)
        lost(db, "database_lost", NULL);
    if (!good)
        return ERR_UNAVAILABLE;
    db->connected = true;
    db->connected_at = time_steady();
    metric_add(METRIC_DB_CONNECTS, 0, 1);
    db->failures = 0;
    return OK;
}

/* Begins to connect, or goes on with it, for as long as a request may wait for that. */
static enum error connect_on(struct db *db)
{
    int64_t patience = time_steady() + CONNECT_LOOK_US;
    if (!db->conn) {
        if (time_steady() < db->retry_at)
            return ERR_UNAVAILABLE;
        db->conn = db_connect_start(db->config->database_url, "parley", db->turn);
        patience = time_steady() + CONNECT_WAIT_US;
        db->give_up_at = time_steady() + CONNECT_US;
        db->polling = PQstatus(db->conn) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    }
    while (db->polling == PGRES_POLLING_READING || db->polling == PGRES_POLLING_WRITING) {
        int64_t until = patience < db->give_up_at ? patience : db->give_up_at;
        if (wait_for(db->conn, db->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT, until)) {
            db->polling = PQconnectPoll(db->conn);
        } else {
            if (time_steady() >= db->give_up_at)
                lost(db, "database_unreachable", "timed out while connecting");
            return ERR_UNAVAILABLE;
        }
    }
    if (db->polling == PGRES_POLLING_OK)
        return set_up_session(db);
    lost(db, "database_unreachable", NULL);
    return ERR_UNAVAILABLE;
}

/* A connection that is alive as far as one look at its socket tells. */
static enum error ready(struct db *db)
{
    if (db->connected) {
        bool alive = PQconsumeInput(db->conn) && PQstatus(db->conn) == CONNECTION_OK;
        PQfreemem(PQnotifies(db->conn)); /* has libpq look at what came: see on_notice() */
        if (!alive || db->ended) {
            log_event(LOG_NOTICE, "database_lost",
                      log_text("reason", db->ended ? "the server ended the session" : PQerrorMessage(db->conn)));
            metric_add(METRIC_DB_LOSSES, 0, 1);
            db_release(db);
        }
    }
    return db->connected ? OK : connect_on(db);
}

/* ---- statements ---- */

enum error db_sqlstate_error(const char *sqlstate)
{
    /* resources (the disk is full), lock timeout, cancelled or shutting down, its files, deadlock, read-only,
     * connection */
    static const char *const trouble[] = {"53", "55", "57", "58", "40", "25006", "08"};
    for (size_t i = 0; sqlstate && i < sizeof trouble / sizeof *trouble; i++)
        if (!strncmp(sqlstate, trouble[i], strlen(trouble[i])))
            return ERR_UNAVAILABLE;
    return sqlstate ? ERR_INTERNAL : ERR_UNAVAILABLE;
}

bool db_sqlstate_read_only(const char *sqlstate)
{
    return sqlstate && !strcmp(sqlstate, "25006");
}

/* What a failed statement means to the caller; SQLSTATE classes of PostgreSQL's appendix A. */
static enum error failure(struct db *db, const PGresult *res, const char *statement)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    const char *constraint = PQresultErrorField(res, PG_DIAG_CONSTRAINT_NAME);
    if (db->conn && PQstatus(db->conn) != CONNECTION_OK)
        lost(db, "database_lost", NULL);
    if (!db->conn)
        return ERR_UNAVAILABLE;
    if (state && !strcmp(state, "23505")) {
        snprintf(db->constraint, sizeof db->constraint, "%s", constraint ? constraint : "");
        return ERR_INTERNAL;
    }
    log_event(LOG_ERROR, "statement_failed", log_text("statement", statement), log_text("sqlstate", state),
              log_text("reason", PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY)));
    if (db_sqlstate_read_only(state) && time_steady() - db->connected_at >= RETRY_MOST_US)
        db_release(db); /* the next statement tries another, which may write */
    return db_sqlstate_error(state);
}

static enum error prepare(struct db *db, enum sql sql)
{
    const struct sql_statement *s = sql_statement(sql);
    if (db->prepared[sql])
        return OK;
    PGresult *res = PQsendPrepare(db->conn, s->name, s->text, 0, NULL) ? await(db) : NULL;
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
    PGresult *res = NULL;
    if (PQsendQueryPrepared(db->conn, s->name, q->count, q->values, q->lengths, q->formats, 1))
        res = await(db);
    if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK) {
        e = failure(db, res, s->name);
        PQclear(res);
        return e;
    }
    *out = res;
    return OK;
}

/* ---- at the start ---- */

int64_t db_patience_us(const struct db *db, int patience_ms)
{
    return (int64_t)hosts_count(db->config->database_url) * patience_ms * 1000;
}

/* db_run(), again and again while the database is away. */
static enum error run_patiently(struct db *db, enum sql sql, int patience_ms, PGresult **out)
{
    struct query q;
    enum error e;
    int64_t deadline = time_steady() + db_patience_us(db, patience_ms);
    query_init(&q, sql);
    while ((e = db_run(db, &q, out)) == ERR_UNAVAILABLE && time_steady() < deadline)
        usleep(RETRY_LEAST_US);
    return e;
}

static bool schema_matches(int64_t version)
{
    if (version == SCHEMA_VERSION)
        return true;
    log_event(LOG_ERROR, version > SCHEMA_VERSION ? "schema_newer" : "schema_older", log_int("database", version),
              log_int("program", SCHEMA_VERSION),
              log_text("hint", version > SCHEMA_VERSION ? "the database is newer than this program: upgrade the program"
                                                        : "run parleyctl migrate"));
    return false;
}

/* Refuses what can never fit; what does not fit now may be another's last moments. */
static bool connections_suffice(int64_t most, int64_t taken, int needed)
{
    if (taken + needed > most)
        log_event(needed > most ? LOG_ERROR : LOG_WARN, "connections_short", log_int("needed", needed),
                  log_int("taken", taken), log_int("most", most),
                  log_text("hint", "raise max_connections (or the role's or database's limit), or run fewer "
                                   "workers"));
    return needed <= most;
}

enum error db_check(struct db *db, int connections, int patience_ms)
{
    PGresult *res = NULL;
    enum error e = run_patiently(db, SQL_SCHEMA_VERSION, patience_ms, &res);
    if (e != OK) {
        log_event(e == ERR_UNAVAILABLE ? LOG_NOTICE : LOG_ERROR, "schema_unknown",
                  log_text("hint", "is the database reachable, and was parleyctl migrate run?"));
        return e;
    }
    struct row r = row_at(res, 0, NULL);
    bool good = schema_matches(row_int(&r));
    PQclear(res);
    if (!good)
        return ERR_INTERNAL;
    e = run_patiently(db, SQL_CONNECTIONS, patience_ms, &res);
    if (e != OK)
        return e;
    r = row_at(res, 0, NULL);
    int64_t most = row_int(&r), taken = row_int(&r);
    PQclear(res);
    return connections_suffice(most, taken, connections) ? OK : ERR_INTERNAL;
}

bool db_check_sql(struct db *db)
{
    PGresult *res = NULL;
    bool good = run_patiently(db, SQL_SCHEMA_VERSION, DB_PATIENCE_MS, &res) == OK;
    PQclear(res);
    for (int i = 0; good && i < SQL_COUNT; i++)
        if (prepare(db, (enum sql)i) != OK) {
            fprintf(stderr, "statement %s does not prepare\n", sql_statement((enum sql)i)->name);
            good = false;
        }
    return good;
}
