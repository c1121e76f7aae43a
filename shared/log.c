/* Renders a line into one bounded buffer and writes it with one write(2), so that lines of several
 * processes sharing stderr never mix. A line longer than the buffer is cut. */
#include "shared/log.h"

#include "shared/timefmt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"debug", "info", "notice", "warn", "error"};

/* The one thing every part of a process shares and none passes along: where its lines go. */
static struct {
    const char *program;
    enum log_level least;
    bool json;
} sink = {"parley", LOG_INFO, false};

struct line {
    char text[2048];
    size_t len;
};

void log_setup(const char *program, enum log_level least, bool json)
{
    sink.program = program;
    sink.least = least;
    sink.json = json;
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

/* Leaves room for the closing quote, brace and newline. */
static void put(struct line *l, const char *s, size_t n)
{
    size_t room = sizeof l->text - 8 - l->len;
    n = n < room ? n : room;
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void put_string(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* In quotes, with \u escapes for control characters: valid in JSON and readable in key=value. */
static void put_quoted(struct line *l, const char *s)
{
    char escape[8];
    put(l, "\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            put(l, (char[]){'\\', *s}, 2);
        } else if ((unsigned char)*s < 0x20 || *s == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*s);
            put(l, escape, 6);
        } else {
            put(l, s, 1);
        }
    }
    memcpy(l->text + l->len++, "\"", 1);
}

static bool plain(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || strchr("\"\\=\x7f", *s))
            return false;
    return true;
}

static void put_pair(struct line *l, const char *key, const char *text, int64_t number)
{
    char digits[24];
    if (sink.json) {
        put_string(l, l->len ? "," : "{");
        put_quoted(l, key);
        put(l, ":", 1);
    } else {
        put_string(l, l->len ? " " : "");
        put_string(l, key);
        put(l, "=", 1);
    }
    if (!text) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        put_string(l, digits);
    } else if (!sink.json && plain(text)) {
        put_string(l, text);
    } else {
        put_quoted(l, text);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l;
    char now[TIME_TEXT];
    if (level < sink.least)
        return;
    l.len = 0;
    time_format(time_now(), now);
    put_pair(&l, "time", now, 0);
    put_pair(&l, "level", names[level], 0);
    put_pair(&l, "program", sink.program, 0);
    put_pair(&l, "pid", NULL, getpid());
    put_pair(&l, "event", event, 0);
    for (; fields->key; fields++)
        put_pair(&l, fields->key, fields->text, fields->number);
    if (sink.json)
        l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    if (write(STDERR_FILENO, l.text, l.len) < 0)
        return; /* nowhere to say it */
}
