/* parleyctl: what the administrator does from a shell. Reads the command line by the table in
 * commands.c, fetches what the command needs, and runs it. */
#include "ctl/command.h"
#include "schema_version.h"
#include "shared/log.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/parley/parley.env"

enum { DAY_MS = 86400000, PATIENCE_MS = 3000 };

/* The command whose words stand at the beginning of words; *used: how many. NULL: none. */
static const struct command *find(char **words, int count, int *used)
{
    for (const struct command *k = commands; k->name; k++) {
        size_t first = strcspn(k->name, " ");
        *used = k->name[first] ? 2 : 1;
        if (count >= *used && strlen(words[0]) == first && !strncmp(words[0], k->name, first) &&
            (*used == 1 || !strcmp(words[1], k->name + first + 1)))
            return k;
    }
    return NULL;
}

/* What stands on the command line besides words. */
struct line {
    char *words[ARGUMENTS_MOST + 3];
    int count;
    bool json, help, version;
};

/* Where an option's value goes; common options are dealt with here. NULL: there is no such option. */
static const struct option *option_named(const struct option *list, const char *name, size_t len)
{
    for (; list && list->name; list++)
        if (strlen(list->name) == len && !strncmp(list->name, name, len))
            return list;
    return NULL;
}

static bool take_common(struct ctl *c, struct line *l, const struct option *o, const char *value)
{
    switch (o->name[0]) {
    case 'c': c->config_file = value; break;
    case 'j': l->json = true; break;
    case 'h': l->help = true; break;
    default: l->version = true;
    }
    return true;
}

/* --name, --name=VALUE or --name VALUE; *at moves over a value of its own. */
static bool take_option(struct ctl *c, struct line *l, char **argv, int argc, int *at)
{
    const char *name = argv[*at] + 2;
    size_t len = strcspn(name, "=");
    const struct option *own = c->command ? c->command->options : NULL;
    const struct option *o = option_named(common_options, name, len);
    bool common = o != NULL;
    if (!o && !(o = option_named(own, name, len)))
        return fail(c, EX_USAGE, "there is no option %s%s%s; see parleyctl --help", argv[*at], c->command ? " of " : "",
                    c->command ? c->command->name : ""),
               false;
    const char *value = name[len] ? name + len + 1 : NULL;
    if (!o->value && value)
        return fail(c, EX_USAGE, "--%s takes no value", o->name), false;
    if (o->value && !value && ++*at < argc)
        value = argv[*at];
    if (o->value && !value)
        return fail(c, EX_USAGE, "--%s needs a value: %s", o->name, o->value), false;
    if (common)
        return take_common(c, l, o, value);
    c->values[o - own] = o->value ? value : "";
    return true;
}

/* Errors of the command line itself are told as was asked for, too, wherever it stands. */
static bool asks_for_json(int argc, char **argv)
{
    bool found = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
        found |= !strcmp(argv[i], "--json");
    return found;
}

/* The words first, as they name the command whose options the rest is read by. */
static bool read_words(struct ctl *c, struct line *l, int argc, char **argv)
{
    char *words[2];
    int count = 0, used;
    c->out.json = asks_for_json(argc, argv);
    for (int i = 1; i < argc && count < 2; i++)
        if (strncmp(argv[i], "--", 2))
            words[count++] = argv[i];
        else if (!strcmp(argv[i], "--config"))
            i++; /* the one common option with a value */
    c->command = count ? find(words, count, &used) : NULL;
    bool options = true;
    for (int i = 1; i < argc; i++) {
        if (options && !strcmp(argv[i], "--"))
            options = false;
        else if (options && !strncmp(argv[i], "--", 2)) {
            if (!take_option(c, l, argv, argc, &i))
                return false;
        } else if (l->count < (int)(sizeof l->words / sizeof *l->words)) {
            l->words[l->count++] = argv[i];
        }
    }
    int skip = c->command ? (strchr(c->command->name, ' ') ? 2 : 1) : 0;
    for (int i = skip; i < l->count && i - skip < ARGUMENTS_MOST; i++)
        c->arguments[i - skip] = l->words[i];
    l->count -= skip;
    c->out.json = l->json;
    return true;
}

static int print_version(struct ctl *c)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "version", json_object_new_string(VERSION));
    json_object_object_add(o, "schema", json_object_new_int(SCHEMA_VERSION));
    output_done(&c->out, o, "parleyctl %s (schema %d)", VERSION, SCHEMA_VERSION);
    return EX_OK;
}

/* Settings as the programs read them. What is wrong with them is said to stderr, which for that long is ours. */
static int load(struct ctl *c)
{
    bool unused;
    char *argv[] = {"parleyctl", "--config", (char *)c->config_file}, *wrong = NULL;
    size_t len;
    FILE *terminal = stderr;
    stderr = open_memstream(&wrong, &len);
    enum config_result result = config_load("parleyctl", c->config_file ? 3 : 1, argv, &c->config, &unused);
    fclose(stderr);
    stderr = terminal;
    int status = result == CONFIG_OK ? EX_OK : fail(c, EX_CONFIG, "%.*s", (int)strcspn(wrong, "\n"), wrong);
    free(wrong);
    log_setup("parleyctl", LOG_WARN, false);
    log_keep(c->why, sizeof c->why);
    return status;
}

static int run(struct ctl *c)
{
    int status = c->command->needs > NEEDS_NOTHING ? load(c) : EX_OK;
    if (status != EX_OK)
        return status;
    c->unhurried = c->config;
    c->unhurried.statement_timeout = DAY_MS; /* an administrator's statement takes as long as it takes */
    db_init(&c->db, &c->unhurried);
    enum error e = c->command->needs == NEEDS_DATABASE ? db_check(&c->db, 1, PATIENCE_MS) : OK;
    if (e != OK)
        return e == ERR_INTERNAL ? fail_schema(c) : fail_error(c, e, NULL);
    return c->command->run(c);
}

/* How the command is called: in full for people. */
static int usage(struct ctl *c)
{
    if (c->out.json)
        return fail(c, EX_USAGE, "usage: parleyctl %s %s", c->command->name, c->command->arguments);
    help_command(c->command, stderr);
    return EX_USAGE;
}

/* The second words of the commands that begin with a word; "": none do. */
static const char *second_words(struct ctl *c, const char *first)
{
    const char *words = "";
    size_t len = strlen(first);
    for (const struct command *k = commands; k->name; k++)
        if (!strncmp(k->name, first, len) && k->name[len] == ' ')
            words = arena_printf(&c->arena, "%s%s%s", words, *words ? ", " : "", k->name + len + 1);
    return words;
}

static int no_command(struct ctl *c, const struct line *l)
{
    const char *second = l->count ? second_words(c, l->words[0]) : "";
    if (*second)
        return fail(c, EX_USAGE, "after %s comes one of %s; see parleyctl --help", l->words[0], second);
    if (l->count)
        return fail(c, EX_USAGE, "there is no command %s; see parleyctl --help", l->words[0]);
    if (c->out.json)
        return fail(c, EX_USAGE, "usage: parleyctl COMMAND; see parleyctl --help");
    help_all(stderr);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    struct ctl c = {0};
    struct line l = {0};
    int status = EX_USAGE;
    if (!access(CONFIG_FILE, R_OK))
        c.config_file = CONFIG_FILE;
    arena_init(&c.arena);
    if (!read_words(&c, &l, argc, argv)) {
        status = EX_USAGE;
    } else if (l.version) {
        status = print_version(&c);
    } else if (l.help) {
        c.command ? help_command(c.command, stdout) : help_all(stdout);
        status = EX_OK;
    } else if (!c.command) {
        status = no_command(&c, &l);
    } else if (l.count < c.command->least || l.count > c.command->most) {
        status = usage(&c);
    } else {
        status = run(&c);
        db_release(&c.db);
    }
    if ((fflush(stdout) || ferror(stdout)) && status == EX_OK)
        status = fail(&c, EX_IOERR, "standard output: %s", strerror(errno));
    arena_release(&c.arena);
    return status;
}
