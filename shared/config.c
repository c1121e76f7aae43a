/* Reads settings by the table in config.h. Settings of other programs in the same file are known
 * here too, so that one file serves all. */
#include "shared/config.h"

#include "schema_version.h"
#include "shared/log.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct setting {
    const char *key;
    const char *text; /* default; NULL: an integer setting */
    int number, least, most;
    const char *help;
    size_t offset;
};

static const struct setting settings[] = {
#define TEXT(field, key, def, help) {#key, def, 0, 0, 0, help, offsetof(struct config, field)},
#define INT(field, key, def, least, most, help)                                                    \
    {#key, NULL, def, least, most, help, offsetof(struct config, field)},
    CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static void defaults(struct config *c)
{
    for (int i = 0; i < SETTINGS; i++) {
        void *at = (char *)c + settings[i].offset;
        if (settings[i].text)
            *(const char **)at = settings[i].text;
        else
            *(int *)at = settings[i].number;
    }
}

static bool set_integer(const struct setting *s, const char *value, FILE *errors, int *out)
{
    char *end;
    errno = 0;
    long n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < s->least || n > s->most) {
        fprintf(errors, "%s has to be a whole number from %d to %d, not \"%s\"\n", s->key, s->least,
                s->most, value);
        return false;
    }
    *out = (int)n;
    return true;
}

static bool set(const struct setting *s, const char *value, FILE *errors, struct config *c)
{
    void *at = (char *)c + s->offset;
    enum log_level level;
    if (!s->text)
        return set_integer(s, value, errors, at);
    if (!strcmp(s->key, "LOG_FORMAT") && strcmp(value, "kv") && strcmp(value, "json")) {
        fprintf(errors, "LOG_FORMAT has to be kv or json, not \"%s\"\n", value);
        return false;
    }
    if (!strcmp(s->key, "LOG_LEVEL") && !log_level_parse(value, &level)) {
        fprintf(errors, "LOG_LEVEL has to be debug, info, notice, warn or error, not \"%s\"\n", value);
        return false;
    }
    /* Settings live as long as the process; one that is set twice gives the first value back. */
    static char *values[SETTINGS];
    char **own = &values[s - settings];
    free(*own);
    *own = strdup(value);
    if (!*own)
        abort();
    *(const char **)at = *own;
    return true;
}

/* One line of the file: a comment, nothing, or KEY=value as systemd's EnvironmentFile reads it. */
static bool read_line(char *line, const char *name, int number, FILE *errors, struct config *c)
{
    line[strcspn(line, "\r\n")] = 0;
    while (isspace((unsigned char)*line))
        line++;
    if (!*line || *line == '#' || *line == ';')
        return true;
    char *value = strchr(line, '=');
    if (!value) {
        fprintf(errors, "%s:%d: expected KEY=value\n", name, number);
        return false;
    }
    *value++ = 0;
    size_t len = strlen(value);
    if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
        value[len - 1] = 0;
        value++;
    }
    for (int i = 0; i < SETTINGS; i++)
        if (!strcmp(settings[i].key, line))
            return set(&settings[i], value, errors, c);
    fprintf(errors, "%s:%d: unknown setting %s\n", name, number, line);
    return false;
}

bool config_read_file(FILE *in, const char *name, FILE *errors, struct config *out)
{
    char line[4096];
    defaults(out);
    for (int number = 1; fgets(line, sizeof line, in); number++)
        if (!read_line(line, name, number, errors, out))
            return false;
    return true;
}

static bool read_path(const char *path, struct config *out)
{
    FILE *in = fopen(path, "re");
    if (!in) {
        fprintf(stderr, "cannot read the configuration file %s: %s\n", path, strerror(errno));
        return false;
    }
    bool ok = config_read_file(in, path, stderr, out);
    fclose(in);
    return ok;
}

void config_help(FILE *out, const char *program)
{
    fprintf(out,
            "usage: %s [--config FILE] [--check-sql] [--help] [--version]\n\n"
            "Settings, from the environment or the KEY=value file:\n",
            program);
    for (int i = 0; i < SETTINGS; i++) {
        const struct setting *s = &settings[i];
        if (s->text)
            fprintf(out, "  %s | text | %s | %s\n", s->key, s->text, s->help);
        else
            fprintf(out, "  %s | integer %d-%d | %d | %s\n", s->key, s->least, s->most, s->number,
                    s->help);
    }
}

enum config_result config_load(const char *program, int argc, char **argv, struct config *out,
                               bool *check_sql)
{
    enum log_level level = LOG_INFO;
    defaults(out);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--config") && i + 1 < argc) {
            if (!read_path(argv[++i], out))
                return CONFIG_BAD;
        } else if (!strcmp(argv[i], "--check-sql")) {
            *check_sql = true;
        } else if (!strcmp(argv[i], "--version")) {
            printf("%s %s (schema %d)\n", program, VERSION, SCHEMA_VERSION);
            return CONFIG_EXIT;
        } else if (!strcmp(argv[i], "--help")) {
            config_help(stdout, program);
            return CONFIG_EXIT;
        } else {
            fprintf(stderr, "unknown argument %s; see %s --help\n", argv[i], program);
            return CONFIG_BAD;
        }
    }
    for (int i = 0; i < SETTINGS; i++) {
        const char *value = getenv(settings[i].key);
        if (value && !set(&settings[i], value, stderr, out))
            return CONFIG_BAD;
    }
    log_level_parse(out->log_level, &level);
    log_setup(program, level, !strcmp(out->log_format, "json"));
    return CONFIG_OK;
}
