/* json-c in strict mode, and a form decoder that makes the same kind of object. */
#include "shared/input.h"

#include "shared/validate.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* VALUES: json-c takes up to 800 bytes for one, so a body of a MiB would take 280 MB and a second. The longest
 * list anybody reads has 1,000. */
enum { DEPTH = 32, VALUES = 4096, FORM_FIELDS = 100 };

void input_say(struct input *in, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(in->detail, sizeof in->detail, format, ap);
    va_end(ap);
}

const char *input_sentence(const struct input *in, enum error e)
{
    return *in->detail ? in->detail : error_sentence(e);
}

void input_empty(struct input *in)
{
    in->root = json_object_new_object();
    in->detail[0] = 0;
}

void input_release(struct input *in)
{
    json_object_put(in->root);
    in->root = NULL;
}

/* The code unit of a \uXXXX at s[*i], 1 for other escapes; *i moves on to its last character. */
static unsigned long escape(const char *s, size_t len, size_t *i)
{
    char digits[5] = {0};
    if (++*i + 4 >= len || s[*i] != 'u')
        return 1;
    memcpy(digits, s + *i + 1, 4);
    *i += 4;
    return strtoul(digits, NULL, 16);
}

static bool digits(const char *s, size_t len, size_t *i)
{
    size_t start = *i;
    while (*i < len && s[*i] >= '0' && s[*i] <= '9')
        ++*i;
    return *i > start;
}

/* A number without leading zeros and bare points; *i moves on to its last character. */
static bool number(const char *s, size_t len, size_t *i)
{
    size_t at = *i + (s[*i] == '-');
    bool zero = at < len && s[at] == '0';
    size_t first = at;
    if (!digits(s, len, &at) || (zero && at > first + 1))
        return false;
    if (at < len && s[at] == '.' && (at++, !digits(s, len, &at)))
        return false;
    if (at < len && (s[at] == 'e' || s[at] == 'E')) {
        at++;
        at += at < len && (s[at] == '+' || s[at] == '-');
        if (!digits(s, len, &at))
            return false;
    }
    *i = at - 1;
    return true;
}

/* What json-c's strict mode lets pass though RFC 8259 does not: single quotes, NaN, 01 and 1., control
 * characters in strings. It also ends a member's name at \u0000, and puts U+FFFD in the place of a
 * \uD800-\uDFFF that is not half of a pair, where we never alter what people wrote. *values is about
 * how many there are. */
static bool strict(const char *s, size_t len, size_t *values)
{
    bool string = false, high = false, nul = false;
    for (size_t i = 0; i < len; i++) {
        if (!string) {
            if (!s[i] || !strchr("\" \t\r\n{}[]:,-0123456789trufalsen", s[i]) || (s[i] == ':' && nul))
                return false;
            if (strchr("-0123456789", s[i]) && !number(s, len, &i))
                return false;
            *values += s[i] == ',' || s[i] == '[' || s[i] == '{';
            string = s[i] == '"';
            nul = nul && !string;
            continue;
        }
        if ((unsigned char)s[i] < 0x20)
            return false;
        string = s[i] != '"';
        unsigned long u = s[i] == '\\' ? escape(s, len, &i) : 1;
        bool low = u >= 0xdc00 && u <= 0xdfff;
        if (high != low)
            return false;
        high = u >= 0xd800 && u <= 0xdbff;
        nul |= !u;
    }
    return true;
}

enum error input_parse(struct input *in, const char *bytes, size_t len)
{
    size_t values = 0;
    in->root = NULL;
    in->detail[0] = 0;
    if (!utf8_valid(bytes, len) || !strict(bytes, len, &values))
        return ERR_BAD_JSON;
    if (values > VALUES)
        return input_fail(in, ERR_BAD_JSON, "the body may hold at most %d values", VALUES);
    struct json_tokener *tok = json_tokener_new_ex(DEPTH);
    if (!tok)
        return ERR_INTERNAL;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT);
    struct json_object *root = json_tokener_parse_ex(tok, bytes, (int)len);
    size_t end = json_tokener_get_parse_end(tok);
    if (json_tokener_get_error(tok) == json_tokener_continue)
        root = json_tokener_parse_ex(tok, " ", 1); /* a bare number or word ends where something follows */
    bool whole = json_tokener_get_error(tok) == json_tokener_success;
    json_tokener_free(tok);
    while (whole && end < len && strchr(" \t\r\n", bytes[end]) && bytes[end])
        end++;
    if (!whole || end != len) {
        json_object_put(root);
        return ERR_BAD_JSON;
    }
    if (!json_object_is_type(root, json_type_object)) {
        json_object_put(root);
        return ERR_INVALID_BODY;
    }
    in->root = root;
    return OK;
}

/* ---- application/x-www-form-urlencoded ---- */

enum error input_parse_form(struct input *in, const char *bytes, size_t len)
{
    int fields = 0;
    char *buffer = malloc(len + 1);
    input_empty(in);
    if (!buffer)
        return ERR_INTERNAL;
    enum error e = OK;
    input_say(in, "the form is not well-formed UTF-8");
    for (size_t start = 0; start < len && e == OK;) {
        const char *amp = memchr(bytes + start, '&', len - start);
        size_t end = amp ? (size_t)(amp - bytes) : len;
        const char *eq = memchr(bytes + start, '=', end - start);
        size_t name_end = eq ? (size_t)(eq - bytes) : end;
        size_t name_len, value_len = 0;
        if (!url_decode(bytes + start, name_end - start, true, buffer, &name_len)) {
            e = ERR_INVALID_BODY;
            break;
        }
        char *value = buffer + name_len + 1;
        if (eq && !url_decode(eq + 1, end - name_end - 1, true, value, &value_len))
            e = ERR_INVALID_BODY;
        else if (memchr(buffer, 0, name_len) || !utf8_valid(buffer, name_len) || !utf8_valid(value, value_len) ||
                 ++fields > FORM_FIELDS)
            e = ERR_INVALID_BODY;
        else if (json_object_object_get_ex(in->root, buffer, NULL))
            e = input_fail(in, ERR_INVALID_BODY, "%s is given twice", name_len < 100 ? buffer : "a field");
        else if (name_len)
            json_object_object_add(in->root, buffer, json_object_new_string_len(value, (int)value_len));
        start = end + 1;
    }
    free(buffer);
    if (e == OK)
        in->detail[0] = 0;
    return e;
}

/* ---- members ---- */

static struct json_object *member(const struct input *in, const char *name)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(in->root, name, &value);
    return value;
}

bool input_has(const struct input *in, const char *name)
{
    return member(in, name) != NULL;
}

static enum error as_text(struct input *in, const char *name, struct json_object *value, struct text *out)
{
    if (!json_object_is_type(value, json_type_string))
        return input_fail(in, ERR_INVALID_FIELD, "%s has to be a string", name);
    const char *s = json_object_get_string(value);
    size_t len = (size_t)json_object_get_string_len(value);
    if (strlen(s) != len)
        return input_fail(in, ERR_INVALID_FIELD, "%s must not contain NUL", name);
    *out = (struct text){s, len};
    return OK;
}

enum error input_text_optional(struct input *in, const char *name, struct text *out)
{
    struct json_object *value = member(in, name);
    *out = (struct text){0};
    return value ? as_text(in, name, value, out) : OK;
}

enum error input_text(struct input *in, const char *name, struct text *out)
{
    if (!member(in, name))
        return input_fail(in, ERR_MISSING_FIELD, "%s is required", name);
    return input_text_optional(in, name, out);
}

enum error input_bool(struct input *in, const char *name, bool *out)
{
    struct json_object *value = member(in, name);
    const char *s = value ? json_object_get_string(value) : NULL;
    bool kind = value &&
                (json_object_is_type(value, json_type_boolean) || json_object_is_type(value, json_type_string));
    if (!value)
        return input_fail(in, ERR_MISSING_FIELD, "%s is required", name);
    if (!kind || (strcmp(s, "true") && strcmp(s, "false")))
        return input_fail(in, ERR_INVALID_FIELD, "%s has to be true or false", name);
    *out = *s == 't';
    return OK;
}

static enum error as_ref(struct input *in, const char *name, struct json_object *value, bool integers, struct ref *out)
{
    const char *form = integers ? "a positive integer" : "a UUID";
    if (integers && json_object_is_type(value, json_type_int)) {
        int64_t n = json_object_get_int64(value);
        if (n > 0 && n < INT64_MAX) {
            *out = (struct ref){n, -1};
            return OK;
        }
    } else if (json_object_is_type(value, json_type_string)) {
        const char *s = json_object_get_string(value);
        bool whole = strlen(s) == (size_t)json_object_get_string_len(value); /* no NUL inside */
        if (whole && (integers ? id_parse_integer(s, out) : id_parse_uuid(s, out)))
            return OK;
    }
    return input_fail(in, ERR_INVALID_FIELD, "%s has to be %s", name, form);
}

enum error input_ref_optional(struct input *in, const char *name, bool integers, struct ref *out, bool *present)
{
    struct json_object *value = member(in, name);
    *present = value != NULL;
    return value ? as_ref(in, name, value, integers, out) : OK;
}

enum error input_ref(struct input *in, const char *name, bool integers, struct ref *out)
{
    bool present;
    if (!member(in, name))
        return input_fail(in, ERR_MISSING_FIELD, "%s is required", name);
    return input_ref_optional(in, name, integers, out, &present);
}

/* The array member `name`, NULL with *count 0 when there is none. */
static enum error array_of(struct input *in, const char *name, int most, struct json_object **out, int *count)
{
    struct json_object *value = member(in, name);
    *count = 0;
    *out = value;
    if (!value)
        return OK;
    if (!json_object_is_type(value, json_type_array))
        return input_fail(in, ERR_INVALID_FIELD, "%s has to be an array", name);
    if (json_object_array_length(value) > (size_t)most)
        return input_fail(in, ERR_INVALID_FIELD, "%s may have at most %d elements", name, most);
    *count = (int)json_object_array_length(value);
    return OK;
}

enum error input_refs(struct input *in, const char *name, bool integers, struct ref *out, int most, int *count)
{
    struct json_object *array;
    enum error e = array_of(in, name, most, &array, count);
    for (int i = 0; e == OK && i < *count; i++)
        e = as_ref(in, name, json_object_array_get_idx(array, (size_t)i), integers, &out[i]);
    return e;
}

enum error input_texts(struct input *in, const char *name, struct text *out, int most, int *count)
{
    struct json_object *array;
    enum error e = array_of(in, name, most, &array, count);
    for (int i = 0; e == OK && i < *count; i++)
        e = as_text(in, name, json_object_array_get_idx(array, (size_t)i), &out[i]);
    return e;
}

static enum error split(struct input *in, const char *name, struct text list, struct text *out, int most, int *count)
{
    *count = 0;
    for (const char *at = list.s + strspn(list.s, " ,"); *at; at += strspn(at, " ,")) {
        size_t len = strcspn(at, " ,");
        if (*count == most)
            return input_fail(in, ERR_INVALID_FIELD, "%s may have at most %d elements", name, most);
        out[(*count)++] = (struct text){at, len};
        at += len;
    }
    return OK;
}

enum error input_words(struct input *in, const char *name, struct text *out, int most, int *count)
{
    struct json_object *value = member(in, name);
    struct text list;
    if (!json_object_is_type(value, json_type_string))
        return input_texts(in, name, out, most, count);
    enum error e = as_text(in, name, value, &list);
    return e == OK ? split(in, name, list, out, most, count) : e;
}

enum error input_number_optional(struct input *in, const char *name, int64_t least, int64_t most, int64_t *out)
{
    struct json_object *value = member(in, name);
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
    char *end = "";
    errno = 0;
    int64_t number = json_object_is_type(value, json_type_int) ? json_object_get_int64(value)
                     : *text >= '0' && *text <= '9'            ? strtoll(text, &end, 10)
                                                               : least - 1;
    if (!value)
        return OK;
    if (number < least || number > most || *end || errno)
        return input_fail(in, ERR_INVALID_FIELD, "%s has to be a whole number from %lld to %lld", name,
                          (long long)least, (long long)most);
    *out = number;
    return OK;
}
