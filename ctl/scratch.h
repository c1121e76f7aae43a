/* A database that is there only as long as a command runs, made beside that of the settings by
 * PostgreSQL's own programs. */
#ifndef PARLEY_CTL_SCRATCH_H
#define PARLEY_CTL_SCRATCH_H

#include "ctl/command.h"

/* Makes an empty one, to which c's settings and connection point from then on. From here to scratch_drop()
 * SIGINT, SIGTERM and SIGHUP end the program that runs, and scratch_stopped() tells. */
int scratch_make(struct ctl *c);
/* Reads a backup into it: what pg_dump wrote, in any of its formats, told by how it begins. */
int scratch_restore(struct ctl *c, const char *file);
bool scratch_stopped(void);
/* Drops it, also when it was not made. */
void scratch_drop(struct ctl *c);

#endif
