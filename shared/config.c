/* Reads settings by the table in config.h. Settings of other programs in the same file are known
 * here too, so that one file serves all. */
#include "shared/config.h"

#include "schema_version.h"
#include "shared/log.h"
#include "shared/origin.h"
#include "shared/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
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
#define TEXT(field, key, def, help)             {#key, def, 0, 0, 0, help, offsetof(struct config, field)},
#define INT(field, key, def, least, most, help) {#key, NULL, def, least, most, help, offsetof(struct config, field)},
    CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
};
enum { SETTINGS = sizeof settings / sizeof *settings };

enum { FRAME_REST = 65536 }; /* twice what stands in a frame beside the content: names, a media_url */

/* For config_reload(): what config_load() was called with. */
static const char *file_path, *program_name;

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
        fprintf(errors, "%s has to be a whole number from %d to %d, not \"%s\"\n", s->key, s->least, s->most, value);
        return false;
    }
    *out = (int)n;
    return true;
}

/* again: the process runs and its texts are in use. */
static bool set(const struct setting *s, const char *value, FILE *errors, struct config *c, bool again)
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
    if (!strcmp(s->key, "CORS_ORIGINS") && !origin_setting_valid(value)) {
        fprintf(errors,
                "CORS_ORIGINS has to be a list of origins like https://chat.example.org, *, or localhost, not \"%s\"\n",
                value);
        return false;
    }
    if (again) {
        if (!strcmp(s->key, "LOG_LEVEL"))
            *(const char **)at = log_level_name(level);
        return true;
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
static bool read_line(char *line, const char *name, int number, FILE *errors, struct config *c, bool again)
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
            return set(&settings[i], value, errors, c, again);
    fprintf(errors, "%s:%d: unknown setting %s\n", name, number, line);
    return false;
}

static bool read_file(FILE *in, const char *name, FILE *errors, struct config *c, bool again)
{
    char line[4096];
    for (int number = 1; fgets(line, sizeof line, in); number++)
        if (!read_line(line, name, number, errors, c, again))
            return false;
    return true;
}

bool config_read_file(FILE *in, const char *name, FILE *errors, struct config *out)
{
    defaults(out);
    return read_file(in, name, errors, out, false);
}

/* The file, if there is one, then the environment. */
static bool read_sources(const char *path, FILE *errors, struct config *out, bool again)
{
    FILE *in = path ? fopen(path, "re") : NULL;
    if (path && !in) {
        fprintf(errors, "cannot read the configuration file %s: %s\n", path, strerror(errno));
        return false;
    }
    bool good = !in || read_file(in, path, errors, out, again);
    if (in)
        fclose(in);
    for (int i = 0; good && i < SETTINGS; i++) {
        const char *value = getenv(settings[i].key);
        good = !value || set(&settings[i], value, errors, out, again);
    }
    return good;
}

/* What no setting by itself can be blamed for. Every character of a message may be an escape of six
 * bytes, and a replay stops when half an outbox is full: the next message has to fit into the rest. */
static bool consistent(const struct config *c, FILE *errors)
{
    int64_t least = 12 * (int64_t)c->message_max + FRAME_REST;
    if (c->outbox_max < least)
        fprintf(errors, "OUTBOX_MAX has to be at least %lld (12 times MESSAGE_MAX and %d), not %d\n", (long long)least,
                FRAME_REST, c->outbox_max);
    else if (c->outbox_total < c->outbox_max)
        fprintf(errors, "OUTBOX_TOTAL has to be at least OUTBOX_MAX (%d), not %d\n", c->outbox_max, c->outbox_total);
    return c->outbox_max >= least && c->outbox_total >= c->outbox_max;
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
            fprintf(out, "  %s | integer %d-%d | %d | %s\n", s->key, s->least, s->most, s->number, s->help);
    }
}

static void set_up_log(const char *program, const struct config *c)
{
    enum log_level level = LOG_INFO;
    log_level_parse(c->log_level, &level);
    log_setup(program, level, !strcmp(c->log_format, "json"));
}

enum config_result config_load(const char *program, int argc, char **argv, struct config *out, bool *check_sql)
{
    secret_keep_from_dumps(); /* before the first secret is read */
    defaults(out);
    file_path = NULL;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--config") && i + 1 < argc) {
            file_path = argv[++i];
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
    if (!read_sources(file_path, stderr, out, false) || !consistent(out, stderr))
        return CONFIG_BAD;
    set_up_log(program, out);
    program_name = program;
    return CONFIG_OK;
}

void config_reload(struct config *c)
{
    char wrong[512] = "";
    struct config fresh = *c;
    FILE *errors = fmemopen(wrong, sizeof wrong - 1, "w");
    if (!errors)
        abort();
    for (int i = 0; i < SETTINGS; i++)
        if (!settings[i].text)
            *(int *)((char *)&fresh + settings[i].offset) = settings[i].number;
    fresh.log_level = "info";
    bool good = read_sources(file_path, errors, &fresh, true) && consistent(&fresh, errors);
    fclose(errors);
    wrong[strcspn(wrong, "\n")] = 0;
    if (!good) {
        log_event(LOG_ERROR, "reload_failed", log_text("reason", wrong));
        return;
    }
    fresh.fcgi_workers = c->fcgi_workers;
    *c = fresh;
    set_up_log(program_name, c);
    log_event(LOG_NOTICE, "settings_reloaded");
}
