/* What is done with the table of commands: --help, options, and how a command says that it failed. */
#include "ctl/command.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

const struct option common_options[] = {
    {"config", "FILE", "settings of the programs; default /etc/parley/parley.env, where there is one"},
    {"json", NULL, "print JSON"},
    {"help", NULL, "explain the command, or all of them"},
    {"version", NULL, "print the version"},
    {0},
};

const char *option(const struct ctl *c, const char *name)
{
    for (int i = 0; c->command->options && c->command->options[i].name; i++)
        if (!strcmp(c->command->options[i].name, name))
            return c->values[i];
    abort(); /* a fault of ours: the table does not know it */
}

bool option_int(struct ctl *c, const char *name, int64_t least, int64_t most, int64_t def, int64_t *out)
{
    const char *value = option(c, name);
    char *end = NULL;
    *out = def;
    if (!value)
        return true;
    errno = 0;
    *out = strtoll(value, &end, 10);
    if (!errno && end != value && !*end && *out >= least && *out <= most)
        return true;
    fail(c, EX_USAGE, "--%s has to be a whole number from %lld to %lld", name, (long long)least, (long long)most);
    return false;
}

static void help_options(const struct option *o, FILE *to)
{
    for (; o && o->name; o++) {
        int n = fprintf(to, "  --%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(to, "%*s%s\n", n < 24 ? 24 - n : 1, "", o->help);
    }
}

void help_command(const struct command *command, FILE *to)
{
    fprintf(to, "usage: parleyctl %s%s%s%s\n\n%s\n\nOptions:\n", command->name, command->options ? " [OPTION...]" : "",
            *command->arguments ? " " : "", command->arguments, command->help);
    help_options(command->options, to);
    help_options(common_options, to);
}

void help_all(FILE *to)
{
    fputs("usage: parleyctl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", to);
    for (const struct command *k = commands; k->name; k++) {
        int n = fprintf(to, "  %s%s%s", k->name, *k->arguments ? " " : "", k->arguments);
        fprintf(to, "%*s%s\n", n < 30 ? 32 - n : 2, "", k->help);
    }
    fputs("\nOptions of every command; `parleyctl COMMAND --help` tells its own:\n", to);
    help_options(common_options, to);
}

int fail(struct ctl *c, int status, const char *format, ...)
{
    va_list args;
    char sentence[1000];
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (c->out.json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "error", json_object_new_string(sentence));
        json_object_object_add(o, "exit", json_object_new_int(status));
        fprintf(stderr, "%s\n",
                json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
    } else {
        fprintf(stderr, "parleyctl: %s\n", sentence);
    }
    return status;
}

int fail_schema(struct ctl *c)
{
    return fail(c, EX_CONFIG, "the database is not one for this program: %s", c->why);
}

int fail_error(struct ctl *c, enum error e, const char *what)
{
    int status = e == ERR_UNAVAILABLE      ? EX_UNAVAILABLE
                 : error_status(e) >= 500  ? EX_SOFTWARE
                 : e == ERR_USER_NOT_FOUND ? EX_NOUSER
                                           : EX_DATAERR;
    const char *why = status == EX_DATAERR || status == EX_NOUSER ? "" : c->why;
    if (e == ERR_UNAVAILABLE)
        return fail(c, status, "the database does not answer%s%s", *why ? ": " : "", why);
    return fail(c, status, "%s%s%s%s%s", what ? what : "", what ? ": " : "", error_sentence(e), *why ? ": " : "", why);
}
