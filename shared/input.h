/* What a client sent as a JSON object (RFC 8259), a form or a frame, read field by field. The first
 * thing that is wrong leaves a sentence in `detail`, which the surface shows. */
#ifndef PARLEY_INPUT_H
#define PARLEY_INPUT_H

#include "shared/error.h"
#include "shared/id.h"
#include "shared/model.h"

#include <stdbool.h>
#include <stddef.h>

struct json_object;

struct input {
    struct json_object *root; /* owned */
    char detail[200];         /* "": the error's own sentence says it */
};

/* Parses len bytes: one JSON object, valid UTF-8, at most 32 levels deep and of some 4,096
 * values, nothing behind it.
 * ERR_BAD_JSON, ERR_INVALID_BODY. Release in any case. */
MUSTCHECK enum error input_parse(struct input *in, const char *bytes, size_t len);

/* The same for application/x-www-form-urlencoded: a flat object of strings. Two fields with one
 * name are refused, as nobody could say which counts: ERR_INVALID_BODY. */
MUSTCHECK enum error input_parse_form(struct input *in, const char *bytes, size_t len);

/* An object without members, for requests without a body. */
void input_empty(struct input *in);
void input_release(struct input *in);

bool input_has(const struct input *in, const char *name); /* present and not null */

/* A string member, borrowed from in. ERR_MISSING_FIELD when absent or null, ERR_INVALID_FIELD when
 * it is no string or holds NUL. The _optional forms give {NULL, 0} when absent or null. */
MUSTCHECK enum error input_text(struct input *in, const char *name, struct text *out);
MUSTCHECK enum error input_text_optional(struct input *in, const char *name, struct text *out);

/* A truth value; true and false in a string, as forms have it, are taken too. */
MUSTCHECK enum error input_bool(struct input *in, const char *name, bool *out);

/* A row named in the dialect's form: UUID text, or a positive integer when integers is set (digits in
 * a string are taken too). ERR_INVALID_FIELD for the other form. */
MUSTCHECK enum error input_ref(struct input *in, const char *name, bool integers, struct ref *out);
MUSTCHECK enum error input_ref_optional(struct input *in, const char *name, bool integers, struct ref *out,
                                        bool *present);

/* Array members, at most `most` long: refs, or strings. *count is 0 for an absent or null one. */
MUSTCHECK enum error input_refs(struct input *in, const char *name, bool integers, struct ref *out, int most,
                                int *count);
MUSTCHECK enum error input_texts(struct input *in, const char *name, struct text *out, int most, int *count);

/* Words: an array of strings, or (forms) one string of words between spaces or commas. */
MUSTCHECK enum error input_words(struct input *in, const char *name, struct text *out, int most, int *count);

/* A whole number from least to most, or its digits in a string; *out stays as it is when absent or null. */
MUSTCHECK enum error input_number_optional(struct input *in, const char *name, int64_t least, int64_t most,
                                           int64_t *out);

/* Sets the sentence; its value is e (which a function could not tell the analysers). */
#define input_fail(in, e, ...) (input_say(in, __VA_ARGS__), (e))
void input_say(struct input *in, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence to show for e: detail, or the error table's. */
const char *input_sentence(const struct input *in, enum error e);

#endif
