/* pg_snapshot's text is xmin:xmax:xip,xip,… with xip rising. In a cursor xmax comes first and each xip
 * as its distance from it; xmin is the first xip, or xmax, and left out:
 *     e<xmax>[_<distance>…][-<xmax>[_<distance>…]-<after>] */
#include "shared/position.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MOST = 18 };

/* ---- from a cursor ---- */

/* A positive number without leading zeros; *s moves behind it. 0: there is none. */
static int64_t take_number(const char **s)
{
    size_t len = strspn(*s, "0123456789");
    int64_t n = 0;
    if (!len || len > DIGITS_MOST || **s == '0')
        return 0;
    for (; len; len--)
        n = n * 10 + *(*s)++ - '0';
    return n;
}

/* A snapshot's text from what a cursor has of it; NULL when that is no snapshot. */
static const char *take_snapshot(struct arena *a, const char **s)
{
    int64_t xmax = take_number(s), before = xmax, first = xmax;
    char *list = arena_alloc(a, strlen(*s) * (DIGITS_MOST + 1) / 2 + 1), *end = list;
    if (!xmax)
        return NULL;
    while (**s == '_') {
        ++*s;
        int64_t distance = take_number(s);
        if (!distance || distance >= before) /* they get smaller, as the xids rise */
            return NULL;
        first = first == xmax ? xmax - distance : first;
        before = distance;
        end += sprintf(end, end == list ? "%lld" : ",%lld", (long long)(xmax - distance));
    }
    return arena_printf(a, "%lld:%lld:%s", (long long)first, (long long)xmax, list);
}

bool position_parse(struct arena *a, const char *text, struct position *out)
{
    struct position p = {0};
    if (*text != 'e' || strlen(text) > POSITION_MOST)
        return false;
    text++;
    p.seen = take_snapshot(a, &text);
    if (p.seen && *text == '-') {
        text++;
        p.upto = take_snapshot(a, &text);
        if (!p.upto || *text++ != '-' || !(p.after = take_number(&text)))
            return false;
    }
    if (!p.seen || *text)
        return false;
    *out = p;
    return true;
}

/* ---- to a cursor ---- */

static const char *cursor_half(struct arena *a, const char *snapshot)
{
    char *at = strchr(snapshot, ':') + 1;
    long long xmax = strtoll(at, &at, 10);
    char *text = arena_alloc(a, strlen(snapshot) + 32), *end = text;
    end += sprintf(end, "%lld", xmax);
    while (*at && at[1]) { /* at the ':' before the list, then behind each of its numbers */
        long long xip = strtoll(at + 1, &at, 10);
        end += sprintf(end, "_%lld", xmax - xip);
    }
    return text;
}

const char *position_text(struct arena *a, const struct position *p)
{
    const char *seen = cursor_half(a, p->seen);
    if (!p->upto)
        return arena_printf(a, "e%s", seen);
    return arena_printf(a, "e%s-%s-%lld", seen, cursor_half(a, p->upto), (long long)p->after);
}

struct position position_copy(struct arena *a, const struct position *p)
{
    return (struct position){arena_strdup(a, p->seen), arena_strdup(a, p->upto), p->after};
}

/* ---- for queries ---- */

const char *snapshot_xmax(struct arena *a, const char *snapshot)
{
    const char *xmax = strchr(snapshot, ':') + 1;
    return arena_strndup(a, xmax, strcspn(xmax, ":"));
}

const char *snapshot_xip(struct arena *a, const char *snapshot)
{
    return arena_printf(a, "{%s}", strrchr(snapshot, ':') + 1);
}
