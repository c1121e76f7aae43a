/* One line per event to stderr: key=value, or JSON by setting. Values are escaped, so a line stays a
 * line. Never hand a token, password or secret to it. */
#ifndef PARLEY_LOG_H
#define PARLEY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR };

/* A pair of an event's line; text NULL: the number. */
struct log_field {
    const char *key;
    const char *text;
    int64_t number;
};

/* Once, before the first line. program names the source ("ws-daemon"), borrowed for ever. */
void log_setup(const char *program, enum log_level least, bool json);

/* For a program that talks to a person: lines are not written, but why the last one was (its reason or hint, up to
 * the first line's end) is put into out, which the caller empties. Borrowed until it is called with NULL. */
void log_keep(char *out, size_t size);

/* Writes one line when level is high enough. fields end with a NULL key. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

static inline const char *log_or_empty(const char *s)
{
    return s ? s : "";
}

#define log_text(k, v)                                                                                                 \
    {                                                                                                                  \
        .key = (k), .text = log_or_empty(v)                                                                            \
    }
#define log_int(k, v)                                                                                                  \
    {                                                                                                                  \
        .key = (k), .number = (int64_t)(v)                                                                             \
    }
/* log_event(LOG_INFO, "socket_closed", log_int("user", id), log_text("reason", why)); */
#ifndef __cppcheck__ /* which does not know __VA_OPT__ */
#define log_event(level, event, ...) log_write(level, event, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#else
#define log_event(level, event, ...) log_write(level, event, NULL)
#endif

/* "warn" → LOG_WARN; false when the name is unknown. */
bool log_level_parse(const char *name, enum log_level *out);
const char *log_level_name(enum log_level level);

#endif
