/* Bringing a database to the schema of these programs. */
#ifndef PARLEY_CTL_MIGRATE_H
#define PARLEY_CTL_MIGRATE_H

#include "ctl/command.h"

struct json_object;

/* Runs migrate.sh on the settings' database; scripts: where it is, NULL: beside this program. *applied is
 * the caller's list of the files that were applied; aloud: they are also printed. The exit status. */
int migrate_database(struct ctl *c, const char *scripts, bool aloud, struct json_object **applied);

#endif
