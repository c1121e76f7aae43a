/* What can be wrong with the settings themselves, looked at from this machine. */
#ifndef PARLEY_SETTINGS_H
#define PARLEY_SETTINGS_H

#include "ctl/command.h"
#include "ctl/verdict.h"

/* The key file: there, readable, closed to others. True when its keys are in *keys. */
struct keyring;
bool settings_check_keys(struct ctl *c, struct verdicts *v, struct keyring *keys);
/* The database: reachable, of this program's schema, on time. True when it can be worked with. */
bool settings_check_database(struct ctl *c, struct verdicts *v);

#endif
