/* Text is built on a memory stream: pages are bounded, see EVENT_PAGE_BYTES. */
#include "shared/event_output.h"

#include "shared/view.h"

#include <json-c/json.h>
#include <stdlib.h>

enum { STYLE = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE };

static const char *cursor_of(const struct event_page *p, struct arena *a, int i)
{
    struct position at = event_position(p, i);
    return position_text(a, &at);
}

static void write_json(FILE *out, struct json_object *take)
{
    size_t len;
    const char *text = json_object_to_json_string_length(take, STYLE, &len);
    fwrite(text, 1, len, out);
    json_object_put(take);
}

static void write_page(FILE *out, const struct event_page *p, struct arena *a)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    for (int i = 0; i < p->count; i++)
        json_object_array_add(list, view_event(&p->list[i], cursor_of(p, a, i)));
    json_object_object_add(o, "events", list);
    json_object_object_add(o, "cursor", json_object_new_string(position_text(a, &p->next)));
    json_object_object_add(o, "has_more", json_object_new_boolean(p->more));
    write_json(out, o);
}

/* The HTML standard's event stream. JSON has no newlines of its own, so one data line will do. */
static void write_event(FILE *out, const struct change *c, const char *cursor)
{
    fprintf(out, "id: %s\ndata: ", cursor);
    write_json(out, view_event(c, cursor));
    fputs("\n\n", out);
}

/* An id without data is remembered by the client, and shown to nobody. */
static void write_opening(FILE *out, const struct event_page *p, struct arena *a)
{
    fprintf(out, "retry: %d\n", EVENT_RETRY_MS);
    if (!p->count) /* else the first event has one */
        fprintf(out, "id: %s\n", position_text(a, &p->next));
    fputc('\n', out);
}

char *event_page_text(const struct event_page *p, struct arena *a, enum accept accept, bool opening, size_t *len)
{
    char *text;
    FILE *out = open_memstream(&text, len);
    if (!out)
        abort();
    if (accept == ACCEPT_JSON)
        write_page(out, p, a);
    else if (accept == ACCEPT_STREAM && opening)
        write_opening(out, p, a);
    for (int i = 0; accept != ACCEPT_JSON && i < p->count; i++)
        if (accept == ACCEPT_TEXT)
            view_event_line(out, &p->list[i], cursor_of(p, a, i));
        else
            write_event(out, &p->list[i], cursor_of(p, a, i));
    if (fclose(out))
        abort();
    return text;
}

const char *event_page_type(enum accept accept)
{
    return accept == ACCEPT_JSON ? "application/json" : accept == ACCEPT_TEXT ? VIEW_LINES_TYPE : "text/event-stream";
}
