/* Senders put what they have to say into many members; whatever is text is kept, in the order Slack shows
 * it, a line each. What says the same twice (a fallback beside its text) is taken once. */
#include "shared/hook_input.h"

#include "shared/validate.h"

#include <json-c/json.h>
#include <json-c/json_visit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS_MOST = 100 }; /* attachments and blocks of a payload, commits of a push */

/* The text as it grows. */
struct writer {
    FILE *out;
    bool begun;
};

static struct json_object *member(struct json_object *o, const char *name)
{
    struct json_object *value = NULL;
    if (json_object_is_type(o, json_type_object))
        json_object_object_get_ex(o, name, &value);
    return value;
}

/* A member's text; "" where there is none. */
static const char *text_of(struct json_object *o, const char *name)
{
    struct json_object *value = member(o, name);
    return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static int length_of(struct json_object *array)
{
    size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    return n < PARTS_MOST ? (int)n : PARTS_MOST;
}

/* A line, unless it is empty. */
static void line(struct writer *w, const char *text)
{
    if (!*text)
        return;
    if (w->begun)
        fputc('\n', w->out);
    fputs(text, w->out);
    w->begun = true;
}

/* A line of two. */
static void pair(struct writer *w, const char *first, const char *between, const char *second)
{
    line(w, *first ? first : second);
    if (*first && *second)
        fprintf(w->out, "%s%s", between, second);
}

/* ---- Slack ---- */

static void write_block(struct writer *w, struct json_object *block)
{
    struct json_object *fields = member(block, "fields"), *elements = member(block, "elements");
    line(w, text_of(member(block, "text"), "text"));
    for (int i = 0; i < length_of(fields); i++)
        line(w, text_of(json_object_array_get_idx(fields, (size_t)i), "text"));
    for (int i = 0; i < length_of(elements); i++)
        if (!strcmp(text_of(block, "type"), "context"))
            line(w, text_of(json_object_array_get_idx(elements, (size_t)i), "text"));
}

static void write_blocks(struct writer *w, struct json_object *blocks)
{
    for (int i = 0; i < length_of(blocks); i++)
        write_block(w, json_object_array_get_idx(blocks, (size_t)i));
}

static void write_attachment(struct writer *w, struct json_object *a)
{
    struct json_object *fields = member(a, "fields");
    const char *text = text_of(a, "text");
    bool rich = *text || *text_of(a, "title") || *text_of(a, "pretext") || length_of(fields) ||
                length_of(member(a, "blocks"));
    line(w, text_of(a, "pretext"));
    pair(w, text_of(a, "title"), " ", text_of(a, "title_link"));
    line(w, rich ? text : text_of(a, "fallback"));
    for (int i = 0; i < length_of(fields); i++) {
        struct json_object *f = json_object_array_get_idx(fields, (size_t)i);
        pair(w, text_of(f, "title"), ": ", text_of(f, "value"));
    }
    write_blocks(w, member(a, "blocks"));
}

static void write_slack(struct writer *w, struct json_object *o)
{
    struct json_object *attachments = member(o, "attachments");
    line(w, text_of(o, "text"));
    if (!*text_of(o, "text"))
        write_blocks(w, member(o, "blocks")); /* beside a text they say the same */
    for (int i = 0; i < length_of(attachments); i++)
        write_attachment(w, json_object_array_get_idx(attachments, (size_t)i));
    if (w->begun)
        return;
    line(w, text_of(o, "title")); /* Grafana's own webhooks, and whoever took after them */
    line(w, text_of(o, "message"));
}

/* ---- GitHub, Gitea, Forgejo: what happened, in a line ---- */

/* What an event is about: its title and its address. */
static struct json_object *subject_of(struct json_object *o)
{
    static const char *const subjects[] = {"comment",           "review",     "pull_request", "issue",
                                           "release",           "discussion", "workflow_run", "check_suite",
                                           "deployment_status", "forkee"};
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        if (member(o, subjects[i]))
            return member(o, subjects[i]);
    return NULL;
}

static const char *title_of(struct json_object *o)
{
    static const char *const holders[] = {"pull_request", "issue", "discussion", "release", "workflow_run"};
    for (size_t i = 0; i < sizeof holders / sizeof *holders; i++) {
        struct json_object *h = member(o, holders[i]);
        if (h)
            return *text_of(h, "title") ? text_of(h, "title") : text_of(h, "name");
    }
    return "";
}

static void write_commits(struct writer *w, struct json_object *commits)
{
    for (int i = 0; i < length_of(commits); i++) {
        struct json_object *c = json_object_array_get_idx(commits, (size_t)i);
        const char *id = text_of(c, "id"), *message = text_of(c, "message");
        fprintf(w->out, "\n%.*s %.*s", (int)utf8_cut(id, 7), id, (int)strcspn(message, "\r\n"), message);
    }
}

static void write_github(struct writer *w, struct json_object *o, const char *event)
{
    struct json_object *subject = subject_of(o);
    const char *sender = text_of(member(o, "sender"), "login");
    const char *url = *text_of(subject, "html_url") ? text_of(subject, "html_url") : text_of(o, "compare");
    const char *rest[] = {event, text_of(o, "action"), text_of(o, "ref"), title_of(o), url};
    fprintf(w->out, "[%s]%s%s:", text_of(member(o, "repository"), "full_name"), *sender ? " " : "", sender);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        if (*rest[i])
            fprintf(w->out, " %s", rest[i]);
    write_commits(w, member(o, "commits"));
    w->begun = true;
}

/* ---- the body ---- */

static const char no_nul[] = "the text has to be UTF-8, without NUL";

/* Stops at a string with an escaped NUL, which would cut it short unnoticed. */
static int stop_at_nul(struct json_object *o, int flags, struct json_object *parent, const char *name, size_t *i,
                       void *found)
{
    (void)flags, (void)parent, (void)name, (void)i;
    *(bool *)found = json_object_is_type(o, json_type_string) &&
                     strlen(json_object_get_string(o)) != (size_t)json_object_get_string_len(o);
    return *(bool *)found ? JSON_C_VISIT_RETURN_STOP : JSON_C_VISIT_RETURN_CONTINUE;
}

static const char *from_json(struct json_object *o, struct arena *a, const char *github_event)
{
    char *text = NULL;
    size_t len = 0;
    struct writer w = {.out = open_memstream(&text, &len)};
    if (!w.out)
        abort();
    write_slack(&w, o);
    if (!w.begun && github_event && member(o, "repository"))
        write_github(&w, o, github_event);
    fclose(w.out);
    const char *kept = arena_strndup(a, text, len);
    free(text);
    return kept;
}

static enum error parse(struct input *in, struct arena *a, struct text json, const char *event, const char **out)
{
    bool nul = false;
    input_release(in);
    enum error e = input_parse(in, json.s, json.len);
    if (e != OK)
        return e;
    json_c_visit(in->root, 0, stop_at_nul, &nul);
    if (nul)
        return input_fail(in, ERR_INVALID_FIELD, no_nul);
    *out = from_json(in->root, a, event);
    return OK;
}

/* A form with a payload, or a text; what is neither is text that somebody sent with `curl -d`. */
static enum error from_form(struct input *in, struct arena *a, struct text body, const char *event, const char **out)
{
    struct text value = {0};
    enum error e = OK;
    if (!strncmp(body.s, "payload=", 8) || !strncmp(body.s, "text=", 5) || strstr(body.s, "&payload=") ||
        strstr(body.s, "&text=")) {
        input_release(in);
        e = input_parse_form(in, body.s, body.len);
    }
    if (e == OK && input_has(in, "payload")) {
        if ((e = input_text(in, "payload", &value)))
            return e;
        value.s = arena_strndup(a, value.s, value.len);
        return parse(in, a, value, event, out);
    }
    if (e == OK && input_has(in, "text"))
        e = input_text(in, "text", &value);
    else
        value = body;
    *out = e == OK ? arena_strndup(a, value.s, value.len) : NULL;
    return e;
}

/* Cuts what is too long between two characters, and the line ends a shell leaves behind. */
static const char *trim(struct arena *a, const char *text, size_t max)
{
    static const char more[] = "…";
    size_t len = strlen(text);
    if (len > max) {
        len = utf8_cut(text, max > sizeof more - 1 ? max - (sizeof more - 1) : 0);
        return arena_printf(a, "%.*s%s", (int)len, text, more);
    }
    while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    return arena_strndup(a, text, len);
}

enum error hook_text(struct input *in, struct arena *a, enum hook_form form, struct text body, const char *github_event,
                     size_t max, const char **out)
{
    const char *text = body.s ? body.s : "";
    bool braces = text[strspn(text, " \t\r\n")] == '{';
    enum error e = OK;
    if (!utf8_valid(text, body.len) || memchr(text, 0, body.len))
        return input_fail(in, ERR_INVALID_FIELD, no_nul);
    if (body.len && (form == HOOK_JSON || (form == HOOK_FORM && braces)))
        e = parse(in, a, body, github_event, &text);
    else if (body.len && form == HOOK_FORM)
        e = from_form(in, a, body, github_event, &text);
    if (e != OK)
        return e;
    *out = trim(a, text, max);
    return **out ? OK : ERR_NO_TEXT;
}
