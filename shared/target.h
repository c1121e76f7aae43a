/* What a request is aimed at: its path, segment by segment, and the parameters behind the `?`. */
#ifndef PARLEY_TARGET_H
#define PARLEY_TARGET_H

#include "shared/arena.h"
#include "shared/error.h"
#include "shared/input.h"
#include "shared/model.h"

enum { TARGET_SEGMENTS = 12, TARGET_PARAMETERS = 32 };

struct parameter {
    const char *name;
    struct text value;
};

struct target {
    const char *path;                      /* as it was sent, without the query, which may hold a secret: for the log */
    const char *query;                     /* as it was sent; NULL: none */
    const char *segments[TARGET_SEGMENTS]; /* decoded; an empty one where two slashes meet or at the end */
    int segment_count;
    struct parameter parameters[TARGET_PARAMETERS];
    int parameter_count;
};

/* Splits an address (RFC 3986, path-absolute and query) and decodes each segment by itself, so that
 * %2F is no slash. ERR_NOT_FOUND for what names nothing here: a bad escape, NUL, invalid UTF-8, `.`
 * or `..`, no leading slash. path and query are set in any case. */
MUSTCHECK enum error target_parse(struct target *t, struct arena *a, const char *address);

/* Adds a parameter, borrowed. ERR_INVALID_PARAMETER, with a sentence in `in`, when there is one of this name
 * already, of which nobody could say which counts, or when there are too many. */
MUSTCHECK enum error target_add(struct target *t, struct input *in, const char *name, struct text value);

/* Decodes the query. ERR_INVALID_PARAMETER for a bad escape, NUL, invalid UTF-8, and as target_add(). */
MUSTCHECK enum error target_parse_query(struct target *t, struct arena *a, struct input *in);

/* The value of a parameter. s NULL when there is none. */
struct text target_parameter(const struct target *t, const char *name);

/* A parameter that is a number, at least `least` (0 or 1); without it *out stays as it is.
 * ERR_INVALID_PARAMETER, with a sentence in `in`. */
MUSTCHECK enum error target_number(const struct target *t, struct input *in, const char *name, int64_t least,
                                   int64_t *out);
/* limit: 1 to 100, more counts as 100; 50 when absent. */
MUSTCHECK enum error target_limit(const struct target *t, struct input *in, int64_t *out);

#endif
