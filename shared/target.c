/* Decoding is done once, here, after the splitting: nothing is ever decoded twice. */
#include "shared/target.h"

#include "shared/validate.h"

#include <string.h>

enum { PAGE_DEFAULT = 50, PAGE_MOST = 100 };

/* len bytes at s without their escapes; s NULL when that is no text. */
static struct text decode(struct arena *a, const char *s, size_t len, bool plus_is_space)
{
    size_t decoded_len;
    char *decoded = arena_alloc(a, len + 1);
    if (!url_decode(s, len, plus_is_space, decoded, &decoded_len) || memchr(decoded, 0, decoded_len) ||
        !utf8_valid(decoded, decoded_len))
        return (struct text){0};
    return (struct text){decoded, decoded_len};
}

enum error target_parse(struct target *t, struct arena *a, const char *address)
{
    size_t len = strcspn(address, "?");
    const char *end = address + len;
    *t = (struct target){
        .path = arena_strndup(a, address, len),
        .query = *end ? end + 1 : NULL,
    };
    if (*address != '/')
        return ERR_NOT_FOUND;
    for (const char *at = address; at < end;) {
        const char *start = at + 1;
        const char *slash = memchr(start, '/', (size_t)(end - start));
        at = slash ? slash : end;
        struct text segment = decode(a, start, (size_t)(at - start), false);
        if (!segment.s || !strcmp(segment.s, ".") || !strcmp(segment.s, "..") || t->segment_count == TARGET_SEGMENTS)
            return ERR_NOT_FOUND;
        t->segments[t->segment_count++] = segment.s;
    }
    return OK;
}

struct text target_parameter(const struct target *t, const char *name)
{
    for (int i = 0; i < t->parameter_count; i++)
        if (!strcmp(t->parameters[i].name, name))
            return t->parameters[i].value;
    return (struct text){0};
}

enum error target_add(struct target *t, struct input *in, const char *name, struct text value)
{
    if (target_parameter(t, name).s)
        return input_fail(in, ERR_INVALID_PARAMETER, "%s is given twice", strlen(name) < 100 ? name : "a parameter");
    if (t->parameter_count == TARGET_PARAMETERS)
        return input_fail(in, ERR_INVALID_PARAMETER, "a query may have at most %d parameters", TARGET_PARAMETERS);
    t->parameters[t->parameter_count++] = (struct parameter){name, value};
    return OK;
}

enum error target_parse_query(struct target *t, struct arena *a, struct input *in)
{
    enum error e = OK;
    const char *next;
    for (const char *at = t->query; at && *at && e == OK; at = next) {
        size_t len = strcspn(at, "&");
        const char *eq = memchr(at, '=', len);
        size_t name_len = eq ? (size_t)(eq - at) : len;
        next = at + len + (at[len] == '&');
        if (!len)
            continue;
        struct text name = decode(a, at, name_len, true);
        struct text value = eq ? decode(a, eq + 1, len - name_len - 1, true) : (struct text){"", 0};
        e = name.s && value.s ? target_add(t, in, name.s, value) : ERR_INVALID_PARAMETER;
    }
    return e;
}

/* Digits only; more than fits counts as the most that does. */
static bool whole_number(struct text t, int64_t *out)
{
    int64_t n = 0;
    if (!t.len || strspn(t.s, "0123456789") != t.len)
        return false;
    for (size_t i = 0; i < t.len; i++)
        n = n > INT64_MAX / 20 ? n : n * 10 + (t.s[i] - '0');
    *out = n;
    return true;
}

enum error target_number(const struct target *t, struct input *in, const char *name, int64_t least, int64_t *out)
{
    int64_t n;
    struct text value = target_parameter(t, name);
    if (!value.s)
        return OK;
    if (!whole_number(value, &n) || n < least)
        return input_fail(in, ERR_INVALID_PARAMETER, "%s has to be a %s", name,
                          least > 0 ? "positive integer" : "whole number");
    *out = n;
    return OK;
}

enum error target_limit(const struct target *t, struct input *in, int64_t *out)
{
    int64_t n = PAGE_DEFAULT;
    enum error e = target_number(t, in, "limit", 1, &n);
    if (e == OK)
        *out = n < PAGE_MOST ? n : PAGE_MOST;
    return e;
}
