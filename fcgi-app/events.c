/* Events without a socket, and the consumers that remember how far a script has come. A worker answers
 * at once with what there is; nginx takes those who would wait, or want a stream, to the daemon. Where
 * there is none (plain CGI) events are had by asking again. */
#include "fcgi-app/handlers.h"
#include "shared/event_output.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <string.h>

enum error events_list(struct request *req, struct reply *out)
{
    struct event_request ask;
    struct event_page page;
    struct consumer c;
    size_t len;
    enum accept accept = accept_of(request_variable(req, "HTTP_ACCEPT"));
    enum error e = event_request_read(&req->target, &req->arena, &req->body,
                                      request_variable(req, "HTTP_LAST_EVENT_ID"), &ask);
    if (e == OK)
        e = event_request_narrow(&ask, &req->me);
    if (e == OK && ask.consumer && !ask.from.seen) {
        e = consumer_open(req->db, &req->arena, req->me.user_id, ask.consumer, &c);
        ask.from = c.position;
    }
    if (e == OK)
        e = events(req->db, &req->arena, req->me.user_id, &ask.from, &ask.filter, ask.limit, &page);
    if (e != OK)
        return e;
    if (!page.member)
        return ERR_NOT_MEMBER;
    reply_text(out, event_page_type(accept), event_page_text(&page, &req->arena, accept, true, &len));
    out->next_cursor = position_text(&req->arena, &page.next);
    return OK;
}

/* ---- consumers ---- */

static struct json_object *show(struct request *req, const struct consumer *c)
{
    return view_consumer(c->name, position_text(&req->arena, &c->position), c->created_at, c->acknowledged_at);
}

enum error consumers_list(struct request *req, struct reply *out)
{
    struct consumer *list;
    int count;
    enum error e = consumer_list(req->db, &req->arena, req->me.user_id, &list, &count);
    if (e != OK)
        return e;
    struct json_object *o = json_object_new_object(), *array = json_object_new_array();
    for (int i = 0; i < count; i++)
        json_object_array_add(array, show(req, &list[i]));
    json_object_object_add(o, "consumers", array);
    reply_json(out, 200, o);
    return OK;
}

enum error consumers_ack(struct request *req, struct reply *out)
{
    struct text cursor;
    struct position position;
    struct consumer c;
    enum error e;
    if ((e = validate_consumer((struct text){req->name, strlen(req->name)})) ||
        (e = input_text(&req->body, "cursor", &cursor)))
        return e;
    if (!position_parse(&req->arena, cursor.s, &position))
        return ERR_CURSOR;
    if ((e = consumer_ack(req->db, &req->arena, req->me.user_id, req->name, &position, &c)))
        return e;
    reply_member(out, 200, "consumer", show(req, &c));
    return OK;
}

enum error consumers_delete(struct request *req, struct reply *out)
{
    enum error e = consumer_delete(req->db, req->me.user_id, req->name);
    if (e == OK)
        reply_empty(out);
    return e;
}
