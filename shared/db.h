/* A worker's connection to PostgreSQL: prepared statements, reconnecting, errors as values. */
#ifndef PARLEY_DB_H
#define PARLEY_DB_H

#include "shared/config.h"
#include "shared/error.h"
#include "shared/query.h"

#include <libpq-fe.h>

struct db {
    const struct config *config;
    PGconn *conn;             /* NULL: not connected */
    bool prepared[SQL_COUNT]; /* on this connection */
    int64_t retry_at;         /* no attempt to connect before this time, microseconds */
    int failures;             /* attempts that failed in a row */
    int64_t woke_at;          /* when the daemons were last told to look, see wake() */
    char constraint[64];      /* after ERR_INTERNAL through a unique violation: which; else "" */
};

/* Borrows config. Connects at first use. */
void db_init(struct db *db, const struct config *config);
void db_release(struct db *db);

/* Runs q and waits for its result, connecting when there is no connection; *out is the caller's to
 * PQclear. ERR_UNAVAILABLE: the database is away, slow or went away meanwhile (a write may have
 * been committed); ERR_INTERNAL: the statement failed, db->constraint tells a unique violation. */
MUSTCHECK enum error db_run(struct db *db, const struct query *q, PGresult **out);

/* The same for statements whose result does not matter. */
enum error db_execute(struct db *db, const struct query *q);

/* What a failed statement's SQLSTATE means: ERR_UNAVAILABLE for a server in trouble, else
 * ERR_INTERNAL. NULL: the connection broke. */
enum error db_sqlstate_error(const char *sqlstate);

/* The settings of every session of ours, as one SQL string; the caller frees it. */
char *db_session_settings(const struct config *config);

/* Is the schema the one this program was built for? Logs what to do when not. Also false when the
 * database is away and wait is false; with wait it is asked until it answers. */
bool db_schema_matches(struct db *db, bool wait);

/* Prepares every statement of the table; prints those that fail. */
bool db_check_sql(struct db *db);

#endif
