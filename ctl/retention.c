/* parleyctl conversation retention: how long a conversation's messages are kept. */
#include "ctl/ask.h"
#include "ctl/commands.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { DAYS_MOST = 36500 };

/* -1: as all others. False when it is no such thing. */
static bool read_days(const char *s, int64_t *days)
{
    char *end;
    errno = 0;
    *days = strtoll(s, &end, 10);
    if (!strcmp(s, "default"))
        *days = -1;
    else if (!strcmp(s, "forever"))
        *days = 0;
    else
        return !errno && end != s && !*end && *days >= 1 && *days <= DAYS_MOST;
    return true;
}

static int set(struct ctl *c, const struct ref *ref, int64_t days)
{
    struct query q;
    struct json_object *rows;
    query_init(&q, SQL_RETENTION_SET);
    query_ref(&q, ref);
    days < 0 ? query_null(&q) : query_int(&q, days);
    int status = ask_rows(c, &q, &rows); /* whether it is there, the look at it tells */
    if (status == EX_OK)
        json_object_put(rows);
    return status;
}

int cmd_conversation_retention(struct ctl *c)
{
    struct query q;
    struct ref ref;
    struct json_object *o;
    const char *rule = c->arguments[1];
    int64_t days = 0;
    int status;
    if (rule && !read_days(rule, &days))
        return fail(c, EX_USAGE, "%s is not a number of days from 1 to %d, and neither `forever` nor `default`", rule,
                    DAYS_MOST);
    if ((status = ask_ref(c, "conversation", c->arguments[0], &ref)) != EX_OK ||
        (rule && (status = set(c, &ref, days)) != EX_OK))
        return status;
    query_init(&q, SQL_RETENTION_GET);
    query_ref(&q, &ref);
    if ((status = ask_conversation(c, &q, c->arguments[0], &o)) != EX_OK)
        return status;
    /* Its own rule, or that of all; 0 is what the setting means by for ever. */
    json_object_object_add(o, "default_days", json_object_new_int(c->config.messages_keep));
    output_print(&c->out, o);
    return EX_OK;
}
