/* The parts of the statement table; sql_statement() looks in all. */
#ifndef PARLEY_SQL_TABLES_H
#define PARLEY_SQL_TABLES_H

#include "shared/sql.h"

/* With gaps where another has the statement. */
extern const struct sql_statement sql_people[SQL_COUNT];
extern const struct sql_statement sql_mail[SQL_COUNT];
extern const struct sql_statement sql_door[SQL_COUNT];
extern const struct sql_statement sql_admin[SQL_COUNT];
extern const struct sql_statement sql_events[SQL_COUNT];
extern const struct sql_statement sql_keep[SQL_COUNT];
extern const struct sql_statement sql_tokens[SQL_COUNT];
extern const struct sql_statement sql_callbacks[SQL_COUNT];
extern const struct sql_statement sql_webhooks[SQL_COUNT];

#endif
