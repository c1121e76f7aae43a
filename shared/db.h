/* A worker's connection to PostgreSQL: prepared statements, reconnecting, errors as values. */
#ifndef PARLEY_DB_H
#define PARLEY_DB_H

#include "shared/config.h"
#include "shared/error.h"
#include "shared/query.h"

#include <libpq-fe.h>

struct db {
    const struct config *config;
    PGconn *conn;                      /* NULL: none */
    bool connected;                    /* and set up; else connecting: */
    PostgresPollingStatusType polling; /* what that waits for */
    int64_t give_up_at;                /* when that ends, in steady microseconds */
    bool ended;                        /* the server has said that it ended the session */
    bool prepared[SQL_COUNT];          /* on this connection */
    int64_t retry_at;                  /* no attempt to connect before this steady time, microseconds */
    unsigned failures;                 /* attempts that failed in a row */
    unsigned turn;                     /* which host the next attempt begins with, where the URL names several */
    int64_t connected_at;              /* since when it is set up */
    int64_t woke_at;                   /* when the daemons were last told to look, see wake() */
    char constraint[64];               /* after ERR_INTERNAL through a unique violation: which; else "" */
};

/* Borrows config. Connects at first use. */
void db_init(struct db *db, const struct config *config);
void db_release(struct db *db);

/* Runs q and waits for its result, connecting when there is no connection, at most for a second more
 * than STATEMENT_TIMEOUT (and one to connect, one per statement seen for the first time); *out is the
 * caller's to PQclear. ERR_UNAVAILABLE: the database is away, slow or went away meanwhile (a write may have
 * been committed); ERR_INTERNAL: the statement failed, db->constraint tells a unique violation. */
MUSTCHECK enum error db_run(struct db *db, const struct query *q, PGresult **out);

/* The same for statements whose result does not matter. */
enum error db_execute(struct db *db, const struct query *q);

/* The same for statements that answer one row: `read` takes it, unless NULL. none: what it means that there is
 * no row; *out is then untouched. */
MUSTCHECK enum error db_row(struct db *db, const struct query *q, struct arena *a, row_reader *read, void *out,
                            enum error none);
/* The same for those that answer a row with one number, or with yes or no. no: what that means. */
MUSTCHECK enum error db_int(struct db *db, const struct query *q, int64_t *out);
MUSTCHECK enum error db_bool(struct db *db, const struct query *q, enum error no);

/* The same for statements whose rows are a list; see rows_read(). */
MUSTCHECK enum error db_list(struct db *db, const struct query *q, struct arena *a, row_reader *read, size_t size,
                             void *out, int *count);

/* What a failed statement's SQLSTATE means: ERR_UNAVAILABLE for a server in trouble, else
 * ERR_INTERNAL. NULL: the connection broke. */
enum error db_sqlstate_error(const char *sqlstate);

/* The settings of every session of ours, as one SQL string; the caller frees it. */
char *db_session_settings(const struct config *config);

/* Begins to connect as every program does: url, from its turn-th host on (see hosts.h), application_name, and
 * what finds a host that is gone. The caller's to PQfinish; NULL when out of memory. */
PGconn *db_connect_start(const char *url, const char *application, unsigned turn);

/* Does the server refuse writes in this session, as far as it has told us? False for one that does not tell
 * (before PostgreSQL 14, or behind a pooler). */
bool db_read_only(const PGconn *conn);

/* Is that what this SQLSTATE says? Such a session stays as it is for as long as it lives, whatever is mended
 * meanwhile, and may be with the wrong one of several servers: it is to be replaced by a new one. */
bool db_sqlstate_read_only(const char *sqlstate);

/* Is this a database that this program can serve from: is its schema the one it was built for, and has
 * it room for so many connections? ERR_UNAVAILABLE: it was away, or slow, for so long. ERR_INTERNAL: no,
 * and the log says what to do. */
MUSTCHECK enum error db_check(struct db *db, int connections, int patience_ms);

/* What somebody waits for it who has nobody else to serve; and how long that is for all hosts of its URL, in
 * microseconds, of which all but one may be silent. */
enum { DB_PATIENCE_MS = 3000 };
int64_t db_patience_us(const struct db *db, int patience_ms);

/* Prepares every statement of the table; prints those that fail. */
bool db_check_sql(struct db *db);

#endif
