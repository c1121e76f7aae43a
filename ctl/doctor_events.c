/* The doctor's look at an event stream (GET /api/v1/events with Accept: text/event-stream): is it held by a daemon,
 * and does what happens come out of it at once? A proxy that collects answers before it passes them on shows
 * nothing else wrong, and streams that are silent. */
#include "ctl/doctor.h"

#include "shared/timefmt.h"

#include <json-c/json.h>
#include <string.h>

enum { PATIENCE_S = 8 };
static const double HEAD_S = 2, HEARD_S = 3;

#define EVENTS "/api/v1/events"
#define STREAM "text/event-stream"

/* Where to go on from; NULL after a verdict. */
static const char *cursor_now(struct doctor *d, const struct guest *g)
{
    struct answer a;
    web_ask(d->web, &(struct request_spec){.path = EVENTS, .token = g->token}, PATIENCE_S, &a);
    struct json_object *o = json_tokener_parse(a.body.s);
    const char *cursor = json_object_get_string(json_object_object_get(o, "cursor"));
    cursor = a.status == 200 && cursor ? arena_strdup(d->arena, cursor) : NULL;
    json_object_put(o);
    if (!cursor)
        verdict(&d->verdicts, VERDICT_BAD, "events", "location ~ ^/api/v1/events$ { fastcgi_pass parley_api; … }",
                EVENTS " is answered with %d%s%s.", a.status, a.status ? "" : ": ", a.status ? "" : a.error);
    return cursor;
}

/* What came instead of the event. A worker answers with what there is, and that is all. */
static void say_why_not(struct doctor *d, const struct answer *a, bool ended)
{
    if (ended)
        verdict(&d->verdicts, VERDICT_BAD, "events",
                "location ~ ^/api/v1/events$ { … if ($parley_waits) { proxy_pass http://parley_ws; … } } and that map",
                EVENTS " with Accept: " STREAM " is answered with %d and at an end: it does not arrive at a daemon.",
                a->status);
    else
        verdict(
            &d->verdicts, VERDICT_BAD, "events",
            "proxy_buffering off; in location ~ ^/api/v1/events$, and no proxy_ignore_headers X-Accel-Buffering "
            "(in Apache: flushpackets=on)",
            "An event is stored, but not out of a stream within %.0f s: a proxy in between collects answers before it "
            "passes them on.",
            HEARD_S);
}

void doctor_events(struct doctor *d)
{
    struct answer a;
    struct guest *g = d->tokens_known ? doctor_guest(d, false) : NULL;
    const char *cursor = g ? cursor_now(d, g) : NULL;
    if (!cursor)
        return;
    const char *words = arena_printf(d->arena, "for %s", g->uuid);
    struct stream *s = web_stream_open(
        d->web,
        &(struct request_spec){
            .path = arena_printf(d->arena, EVENTS "?after=%s", cursor), .token = g->token, .header = "Accept: " STREAM},
        HEAD_S);
    int64_t start = time_steady();
    int status = doctor_say(d, g, words);
    bool heard = status == 201 && web_stream_await(s, words, HEARD_S);
    double ms = (double)(time_steady() - start) / 1000;
    bool ended = web_stream_close(s, &a);
    if (status != 201)
        verdict(&d->verdicts, VERDICT_BAD, "events", NULL, "A message is answered with %d instead of 201.", status);
    else if (heard)
        verdict(&d->verdicts, VERDICT_OK, "events", NULL, "An event is stored and out of a stream within %.0f ms.", ms);
    else
        say_why_not(d, &a, ended);
}
