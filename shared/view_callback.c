/* Callbacks as their owner sees them, and what is posted to them. */
#include "shared/callback_store.h"
#include "shared/view.h"

#include <json-c/json.h>

static void add(struct json_object *o, const char *name, struct json_object *value)
{
    json_object_object_add(o, name, value);
}

struct json_object *view_callback(const struct callback *c)
{
    struct json_object *o = json_object_new_object();
    add(o, "id", view_uuid(c->id, c->created_at));
    add(o, "url", view_text(c->url));
    add(o, "enabled", json_object_new_boolean(c->enabled));
    add(o, "disabled_reason", view_text(c->disabled_reason));
    add(o, "failing_since", view_time(c->failing_since));
    add(o, "pending", json_object_new_int64(c->pending));
    add(o, "dead", json_object_new_int64(c->dead));
    add(o, "created_at", view_time(c->created_at));
    return o;
}

struct json_object *view_callback_delivery(const struct callback_delivery *d)
{
    struct json_object *o = json_object_new_object();
    add(o, "id", view_uuid(d->id, d->created_at));
    add(o, "type", view_text(d->kind)); /* kinds that are posted have their own names for types */
    add(o, "state", view_text(d->state));
    add(o, "attempts", json_object_new_int64(d->attempts));
    add(o, "status", d->last_status ? json_object_new_int64(d->last_status) : NULL);
    add(o, "error", view_text(d->error));
    add(o, "created_at", view_time(d->created_at));
    add(o, "next_attempt_at", view_time(d->next_attempt_at));
    add(o, "finished_at", view_time(d->finished_at));
    return o;
}

struct json_object *view_callback_body(const struct callback_post *p)
{
    struct json_object *o = view_conv_event(&p->change);
    add(o, "id", view_uuid(p->id, p->created_at));
    add(o, "created_at", view_time(p->change.event.at));
    return o;
}
