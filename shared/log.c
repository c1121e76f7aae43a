/* Renders a line into one bounded buffer and writes it with one write(2), so that lines of several
 * processes sharing stderr never mix. A value that does not fit is cut. Nobody waits for the log: while its
 * reader stands still or its disk is full, lines are counted instead, and the next one tells how many. */
#include "shared/log.h"

#include "shared/timefmt.h"
#include "shared/validate.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"debug", "info", "notice", "warn", "error"};

/* The one thing every part of a process shares and none passes along: where its lines go. */
static struct {
    const char *program;
    enum log_level least;
    bool json;
    char *kept; /* NULL: lines are written */
    size_t room;
    int64_t dropped; /* lines since the last that was written */
} sink = {.program = "parley", .least = LOG_INFO};

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

void log_keep(char *out, size_t size)
{
    sink.kept = out;
    sink.room = size;
}

const char *log_level_name(enum log_level level)
{
    return names[level];
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

/* All of it or nothing: room stays for the closing quote, brace and newline. */
static bool put(struct line *l, const char *s, size_t n)
{
    if (l->len + n + 8 > sizeof l->text)
        return false;
    memcpy(l->text + l->len, s, n);
    l->len += n;
    return true;
}

static bool put_string(struct line *l, const char *s)
{
    return put(l, s, strlen(s));
}

/* The bytes of the character at s, 0 when it is not well-formed UTF-8. */
static size_t character(const char *s)
{
    for (size_t n = 1; n <= 4 && s[n - 1]; n++)
        if (utf8_valid(s, n))
            return n;
    return 0;
}

/* In quotes, with \u escapes for control characters and stray bytes: valid in JSON and readable in
 * key=value. What does not fit is cut between two characters. */
static bool put_quoted(struct line *l, const char *s)
{
    char escape[8];
    if (!put(l, "\"", 1))
        return false;
    for (size_t n, room = 1; *s && room; s += n) {
        n = character(s);
        if (*s == '"' || *s == '\\') {
            room = put(l, (char[]){'\\', *s}, 2);
        } else if (!n || (unsigned char)*s < 0x20 || *s == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*s);
            room = put(l, escape, 6);
            n = 1;
        } else {
            room = put(l, s, n);
        }
    }
    l->text[l->len++] = '"';
    return true;
}

static bool plain(const char *s)
{
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p <= ' ' || strchr("\"\\=\x7f", *p))
            return false;
    return *s && utf8_valid(s, strlen(s));
}

static bool put_key(struct line *l, const char *key)
{
    if (sink.json)
        return put_string(l, l->len ? "," : "{") && put_quoted(l, key) && put(l, ":", 1);
    return put_string(l, l->len ? " " : "") && put_string(l, key) && put(l, "=", 1);
}

static bool put_value(struct line *l, const char *text, int64_t number)
{
    char digits[24];
    if (!text) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        return put_string(l, digits);
    }
    return (!sink.json && plain(text) && put_string(l, text)) || put_quoted(l, text);
}

/* A pair that does not fit is left out. */
static void put_pair(struct line *l, const char *key, const char *text, int64_t number)
{
    size_t start = l->len;
    if (!put_key(l, key) || !put_value(l, text, number))
        l->len = start;
}

static void keep(const char *event, const struct log_field *fields)
{
    const char *why = event;
    for (; fields->key; fields++)
        if (fields->text && (!strcmp(fields->key, "reason") || !strcmp(fields->key, "hint")))
            why = fields->text;
    snprintf(sink.kept, sink.room, "%.*s", (int)strcspn(why, "\n"), why);
}

/* A socket or pipe whose reader stands still (journald, say) has no room; a line fits into what poll() calls
 * room. Part of a line, on a full disk, is as good as none. */
static bool write_line(const struct line *l)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && write(STDERR_FILENO, l->text, l->len) == (ssize_t)l->len;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l;
    char now[TIME_TEXT];
    if (level < sink.least)
        return;
    if (sink.kept) {
        keep(event, fields);
        return;
    }
    l.len = 0;
    time_format(time_now(), now);
    put_pair(&l, "time", now, 0);
    put_pair(&l, "level", names[level], 0);
    put_pair(&l, "program", sink.program, 0);
    put_pair(&l, "pid", NULL, getpid());
    put_pair(&l, "event", event, 0);
    if (sink.dropped)
        put_pair(&l, "lines_dropped", NULL, sink.dropped);
    for (; fields->key; fields++)
        put_pair(&l, fields->key, fields->text, fields->number);
    if (sink.json)
        l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    sink.dropped = write_line(&l) ? 0 : sink.dropped + 1;
}
