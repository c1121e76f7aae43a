/* What a command prints: an object or a list of objects, as JSON or laid out for people. */
#ifndef PARLEY_OUTPUT_H
#define PARLEY_OUTPUT_H

#include <libpq-fe.h>
#include <stdbool.h>

struct json_object;
struct arena;

struct output {
    bool json;
};

/* Prints and frees it. An object: a line per member; a list: a table with the members' names above. */
void output_print(const struct output *out, struct json_object *take);
/* Prints a sentence, or with --json the object. Frees it. */
void output_done(const struct output *out, struct json_object *take, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The rows of a result as objects, named and typed as its columns. The caller owns it. */
struct json_object *output_rows(const PGresult *res, struct arena *a);

#endif
