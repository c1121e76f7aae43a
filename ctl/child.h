/* What programs that we start say to standard error. With --json that is for one object, which then says it. */
#ifndef PARLEY_CHILD_H
#define PARLEY_CHILD_H

#include "ctl/command.h"

/* What takes the place of standard error in the child; -1: it may have ours. */
int child_stderr(const struct ctl *c);
/* In the child, before exec. */
void child_take_stderr(int fd);
/* Its words behind a colon, on one line, for a sentence that says what failed; "" when it had ours. Closes fd. */
const char *child_said(struct ctl *c, int fd);

#endif
