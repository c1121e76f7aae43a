/* Every SQL statement of the C code, by name. The texts, with their parameters and columns, are in
 * sql.c; --check-sql and a test prepare them all against the migrated schema. */
#ifndef PARLEY_SQL_H
#define PARLEY_SQL_H

enum sql {
    SQL_SCHEMA_VERSION,
    SQL_WAKE,
    SQL_SAY,
    SQL_LISTEN,
    SQL_REVOKED,
    SQL_ACCOUNT_CREATE,
    SQL_ACCOUNT_BY_LOGIN,
    SQL_USER_BY_ID,
    SQL_SESSION_CREATE,
    SQL_SESSION_USER,
    SQL_SESSION_REFRESH,
    SQL_SESSION_REVOKE,
    SQL_MESSAGE_SEND,
    SQL_DIRECT_HISTORY,
    SQL_DIRECT_LIST,
    SQL_FEED_START,
    SQL_FEED,
    SQL_REPLAY,
    SQL_MEMBERS,
    SQL_MEMBERSHIP,
    SQL_TYPING,
    SQL_COUNT
};

struct sql_statement {
    const char *name; /* of the prepared statement */
    const char *text;
};

/* The statement's name and text. */
const struct sql_statement *sql_statement(enum sql which);

#endif
