/* parleyctl's commands: one table, from which parsing, --help, completion and the tests' comparison
 * with the man page come. */
#ifndef PARLEY_COMMAND_H
#define PARLEY_COMMAND_H

#include "ctl/output.h"
#include "shared/arena.h"
#include "shared/config.h"
#include "shared/db.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { ARGUMENTS_MOST = 4, OPTIONS_MOST = 12 };

/* An option of a command, --name or --name VALUE. */
struct option {
    const char *name;  /* without the dashes; NULL ends a list */
    const char *value; /* what the synopsis calls its value; NULL: it has none */
    const char *help;
};

/* What a command needs before it runs. */
enum needs {
    NEEDS_NOTHING, /* no settings: they may be what is wrong */
    NEEDS_SETTINGS,
    NEEDS_DATABASE, /* with the schema of this program */
};

/* One run of parleyctl. */
struct ctl {
    struct config config;
    struct config unhurried; /* the same with time for long statements, for db */
    const char *config_file; /* NULL: none was named or found */
    struct db db;
    struct arena arena;
    struct output out;
    char why[512]; /* what our libraries logged last; "": nothing */
    const struct command *command;
    const char *arguments[ARGUMENTS_MOST]; /* NULL: not given */
    const char *values[OPTIONS_MOST];      /* of the command's options; "" for one without a value */
};

struct command {
    const char *name;      /* one word or two */
    const char *arguments; /* as the synopsis shows them; [] when they may be left out */
    int least, most;       /* how many */
    enum needs needs;
    int (*run)(struct ctl *);     /* the exit status */
    const char *help;             /* one sentence */
    const struct option *options; /* NULL: none */
};

/* The table; ends with a NULL name. */
extern const struct command commands[];
/* --config, --json, --help, --version: good with every command. */
extern const struct option common_options[];

/* The value of one of the command's options, NULL when it was not given. The name has to be in the table. */
const char *option(const struct ctl *c, const char *name);
/* The same as a number between least and most. False after saying what is wrong. */
bool option_int(struct ctl *c, const char *name, int64_t least, int64_t most, int64_t def, int64_t *out);

/* What --help prints: of everything, or of one command. */
void help_all(FILE *to);
void help_command(const struct command *command, FILE *to);

/* ---- what commands share ---- */

/* Says what went wrong, in a sentence to stderr (with --json as an object), and gives the status back. */
int fail(struct ctl *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same for a database that db_check() will not have. */
int fail_schema(struct ctl *c);
/* The same for an error of a store; what names the thing it was about, or is NULL. */
int fail_error(struct ctl *c, enum error e, const char *what);

#endif
