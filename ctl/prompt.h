/* A password: from the terminal with echo off, asked twice, or the first line of standard input. Never
 * from the command line, which everybody on the machine can read. */
#ifndef PARLEY_PROMPT_H
#define PARLEY_PROMPT_H

#include "ctl/command.h"

enum { PASSWORD_TEXT = 128 };

/* False after saying what was wrong with it; *status is then the exit status. The caller wipes out. */
bool prompt_password(struct ctl *c, char out[PASSWORD_TEXT], int *status);

/* True when the person at the terminal answers y; without a terminal false, after saying that --yes
 * is needed. */
bool prompt_sure(struct ctl *c, const char *question);

#endif
