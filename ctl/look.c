/* parleyctl stats and conversation: looking, without changing anything. */
#include "ctl/ask.h"
#include "ctl/commands.h"

#include <json-c/json.h>
#include <sysexits.h>

int cmd_stats(struct ctl *c)
{
    struct query q;
    struct json_object *rows;
    query_init(&q, SQL_ADMIN_STATS);
    int status = ask_rows(c, &q, &rows);
    if (status != EX_OK)
        return status;
    output_print(&c->out, json_object_get(json_object_array_get_idx(rows, 0)));
    json_object_put(rows);
    return EX_OK;
}

int cmd_conversation_list(struct ctl *c)
{
    struct query q;
    struct user u;
    const char *user = option(c, "user");
    int64_t after, limit;
    int status;
    if (!option_int(c, "after", 0, INT64_MAX, 0, &after) || !option_int(c, "limit", 1, INT64_MAX, INT64_MAX, &limit))
        return EX_USAGE;
    if (user && (status = ask_user(c, user, &u)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_CONVERSATIONS);
    user ? query_int(&q, u.id) : query_null(&q);
    query_int(&q, after);
    query_int(&q, limit);
    return ask_and_print(c, &q);
}

/* Adds the rows of a statement to an object. */
static int add_rows(struct ctl *c, struct json_object *to, const char *name, const struct query *q)
{
    struct json_object *rows;
    int status = ask_rows(c, q, &rows);
    if (status == EX_OK)
        json_object_object_add(to, name, rows);
    return status;
}

int cmd_conversation_show(struct ctl *c)
{
    struct query q;
    struct ref ref;
    struct json_object *o;
    int64_t messages;
    int status;
    if (!option_int(c, "messages", 0, 100000, 0, &messages))
        return EX_USAGE;
    if ((status = ask_ref(c, "conversation", c->arguments[0], &ref)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_CONVERSATION);
    query_ref(&q, &ref);
    if ((status = ask_conversation(c, &q, c->arguments[0], &o)) != EX_OK)
        return status;
    query_init(&q, SQL_ADMIN_MEMBERS);
    query_int(&q, ref.id);
    status = add_rows(c, o, "members", &q);
    query_init(&q, SQL_ADMIN_MESSAGES);
    query_int(&q, ref.id);
    query_int(&q, messages);
    if (status == EX_OK && messages)
        status = add_rows(c, o, "last_messages", &q);
    if (status == EX_OK)
        output_print(&c->out, o);
    else
        json_object_put(o);
    return status;
}
