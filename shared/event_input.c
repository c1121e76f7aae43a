/* The query of GET /api/v1/events. */
#include "shared/event_input.h"

#include "shared/validate.h"
#include "shared/view.h"

#include <string.h>
#include <strings.h>

enum accept accept_of(const char *header)
{
    static const struct {
        const char *type;
        enum accept accept;
    } known[] = {{"application/json", ACCEPT_JSON}, {"text/plain", ACCEPT_TEXT}, {"text/event-stream", ACCEPT_STREAM}};
    for (const char *at = header ? header : ""; *at; at += strspn(at, ", \t")) {
        size_t len = strcspn(at, ",; \t");
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (len == strlen(known[i].type) && !strncasecmp(at, known[i].type, len))
                return known[i].accept;
        at += strcspn(at, ",");
    }
    return ACCEPT_JSON;
}

static enum error read_conversation(struct input *in, struct text value, struct event_request *out)
{
    if (!value.s)
        return OK;
    if (!id_parse_uuid(value.s, &out->conversation))
        return input_fail(in, ERR_INVALID_PARAMETER, "conversation has to be a UUID");
    out->filter.conversation = &out->conversation;
    return OK;
}

/* Types between commas. */
static enum error read_types(struct arena *a, struct input *in, struct text value, struct event_request *out)
{
    const char *kinds = "";
    if (!value.s) {
        view_event_kinds(a, NULL, &kinds);
    } else {
        char *rest = arena_strndup(a, value.s, value.len), *type;
        while ((type = strsep(&rest, ",")))
            if (!view_event_kinds(a, type, &kinds))
                return input_fail(in, ERR_INVALID_PARAMETER, "type: there are no events called \"%.*s\"",
                                  (int)utf8_cut(type, 40), type);
    }
    out->filter.kinds = arena_printf(a, "{%s}", kinds);
    return OK;
}

/* Where to begin. */
static enum error read_place(const struct target *t, struct arena *a, struct input *in, const char *last_event_id,
                             struct event_request *out)
{
    struct text after = target_parameter(t, "after"), consumer = target_parameter(t, "consumer");
    if (after.s && consumer.s)
        return input_fail(in, ERR_INVALID_PARAMETER, "after and consumer exclude each other");
    if (consumer.s) {
        enum error e = validate_consumer(consumer);
        if (e != OK)
            return e;
        out->consumer = arena_strndup(a, consumer.s, consumer.len);
    }
    const char *cursor = last_event_id ? last_event_id : after.s;
    if (cursor && !position_parse(a, cursor, &out->from))
        return ERR_CURSOR;
    return OK;
}

enum error event_request_read(const struct target *t, struct arena *a, struct input *in, const char *last_event_id,
                              struct event_request *out)
{
    enum error e;
    *out = (struct event_request){0};
    if ((e = target_limit(t, in, &out->limit)) || (e = target_number(t, in, "wait", 0, &out->wait)) ||
        (e = read_conversation(in, target_parameter(t, "conversation"), out)) ||
        (e = read_types(a, in, target_parameter(t, "type"), out)) || (e = read_place(t, a, in, last_event_id, out)))
        return e;
    if (out->wait > WAIT_MOST_S)
        out->wait = WAIT_MOST_S;
    return OK;
}

enum error event_request_narrow(struct event_request *r, const struct identity *me)
{
    if (!me->conversation_id)
        return OK;
    if (r->consumer || (r->filter.conversation && r->conversation.id != me->conversation_id))
        return ERR_INSUFFICIENT_SCOPE;
    if (!r->filter.conversation)
        r->conversation = (struct ref){.id = me->conversation_id, .ms = -1};
    r->filter.conversation = &r->conversation;
    return OK;
}
