/* One message or event a line, for people and for shells. */
#include "shared/id.h"
#include "shared/timefmt.h"
#include "shared/view.h"

#include <stdlib.h>
#include <string.h>

/* Text without its control characters and backslashes, as `printf %b` undoes it; never empty. A tab or
 * a newline of somebody's message must not look like one of ours, nor an escape sequence get to the
 * reader's terminal (C1 controls, U+0080 to U+009F, are control characters too). */
static void field(FILE *out, struct text t)
{
    static const char from[] = "\\\t\n\r", to[] = "\\tnr";
    if (!t.len) {
        fputc('-', out);
        return;
    }
    for (size_t i = 0; i < t.len; i++) {
        unsigned char c = (unsigned char)t.s[i];
        const char *special = strchr(from, c);
        bool c1 = c == 0xc2 && i + 1 < t.len && (unsigned char)t.s[i + 1] < 0xa0;
        if (special)
            fprintf(out, "\\%c", to[special - from]);
        else if (c < 0x20 || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else if (c1)
            fprintf(out, "\\xc2\\x%02x", (unsigned char)t.s[++i]);
        else
            fputc(c, out);
    }
}

static void text_field(FILE *out, const char *s)
{
    field(out, (struct text){s, s ? strlen(s) : 0});
}

static void uuid_field(FILE *out, int64_t id, int64_t created)
{
    char text[UUID_TEXT];
    if (id)
        id_uuid(id, created, text);
    text_field(out, id ? text : NULL);
}

static void time_field(FILE *out, int64_t us)
{
    char text[TIME_TEXT];
    time_format(us, text);
    fputs(text, out);
}

/* What both kinds of line end with. */
static void end_line(FILE *out, const struct message *m, const char *who, struct text text)
{
    fputc('\t', out);
    uuid_field(out, m->id, m->created_at);
    fputc('\t', out);
    text_field(out, who);
    fputc('\t', out);
    field(out, text);
    fputc('\t', out);
    text_field(out, m->media_url);
    fputc('\n', out);
}

static void message_line(FILE *out, const struct message *m)
{
    time_field(out, m->created_at);
    fputc('\t', out);
    uuid_field(out, m->conversation_id, m->conversation_created_at);
    end_line(out, m, m->sender.username, m->content);
}

char *view_message_lines(const struct message *list, int count)
{
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    for (int i = 0; i < count; i++)
        message_line(out, &list[i]);
    if (fclose(out))
        abort();
    return text;
}

/* Who, and what of it: the sender and what they wrote; who got or read it; whom it is about and who did
 * it. (A message's text stands with the message and its edits alone.) */
void view_event_line(FILE *out, const struct change *c, const char *cursor)
{
    const struct event *e = &c->event;
    const struct message *m = &c->message;
    bool shows = !strcmp(e->kind, "message") || !strcmp(e->kind, "message_edited");
    bool receipt = !strcmp(e->kind, "delivered") || !strcmp(e->kind, "read");
    const char *what = receipt ? e->kind : m->id ? NULL : e->actor_name;
    struct message line = {.id = m->id, .created_at = m->created_at, .media_url = shows ? m->media_url : NULL};
    fprintf(out, "%s\t%s\t", cursor, receipt ? "delivery_ack" : e->kind);
    time_field(out, e->at);
    fputc('\t', out);
    if (m->id)
        uuid_field(out, m->conversation_id, m->conversation_created_at);
    else
        uuid_field(out, e->conversation_id, e->conversation_created);
    end_line(out, &line, m->id && !receipt ? m->sender.username : e->user_name,
             shows ? m->content : (struct text){what, what ? strlen(what) : 0});
}
