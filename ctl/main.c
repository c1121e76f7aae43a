/* parleyctl: what the administrator does from a shell. Reads the command line by the table in
 * commands.c, fetches what the command needs, and runs it. */
#include "ctl/command.h"
#include "shared/log.h"

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
    bool help, version;
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
    case 'j': c->out.json = true; break;
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
        return fail(c, EX_USAGE, "there is no option %s%s%s; see parleyctl --help", argv[*at],
                    c->command ? " of " : "", c->command ? c->command->name : ""), false;
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

/* The words first, as they name the command whose options the rest is read by. */
static bool read_words(struct ctl *c, struct line *l, int argc, char **argv)
{
    char *words[2];
    int count = 0, used;
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
    return true;
}

/* Settings as the programs read them; --version is answered by the same function. */
static enum config_result load(struct ctl *c, bool version)
{
    bool unused;
    char *argv[] = {"parleyctl", version ? "--version" : "--config", (char *)c->config_file};
    int argc = version ? 2 : c->config_file ? 3 : 1;
    enum config_result result = config_load("parleyctl", argc, argv, &c->config, &unused);
    log_setup("parleyctl", LOG_WARN, false);
    return result;
}

static int run(struct ctl *c)
{
    if (c->command->needs > NEEDS_NOTHING && load(c, false) != CONFIG_OK)
        return EX_CONFIG;
    c->unhurried = c->config;
    c->unhurried.statement_timeout = DAY_MS; /* an administrator's statement takes as long as it takes */
    db_init(&c->db, &c->unhurried);
    enum error e = c->command->needs == NEEDS_DATABASE ? db_check(&c->db, 1, PATIENCE_MS) : OK;
    if (e != OK)
        return e == ERR_INTERNAL ? EX_CONFIG : fail_error(c, e, NULL);
    return c->command->run(c);
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
        status = load(&c, true) == CONFIG_EXIT ? EXIT_SUCCESS : EX_CONFIG;
    } else if (l.help) {
        c.command ? help_command(c.command, stdout) : help_all(stdout);
        status = EXIT_SUCCESS;
    } else if (!c.command) {
        l.count ? fail(&c, EX_USAGE, "there is no command %s; see parleyctl --help", l.words[0])
                : (help_all(stderr), EX_USAGE);
    } else if (l.count < c.command->least || l.count > c.command->most) {
        help_command(c.command, stderr);
    } else {
        status = run(&c);
        db_release(&c.db);
    }
    arena_release(&c.arena);
    if (fflush(stdout) || ferror(stdout))
        status = status ? status : EX_IOERR;
    return status;
}
