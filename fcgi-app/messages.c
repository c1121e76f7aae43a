/* The messages of a conversation, of either kind: the conv dialect (Workflow Diagrams), and what the
 * native surface adds to it: edits, deletions, read receipts, a history that is read both ways. */
#include "fcgi-app/handlers.h"
#include "shared/history_store.h"
#include "shared/receipt_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

static void show(struct reply *out, int status, const struct message *m)
{
    reply_member(out, status, "message", view_conv_message(m));
}

/* The text: body, as the document has it, or content, as the other surfaces call it. */
static enum error read_text(struct request *req, struct text *out)
{
    const char *name = input_has(&req->body, "body") ? "body" : "content";
    return input_text_optional(&req->body, name, out);
}

static enum error no_text(struct request *req)
{
    return input_fail(&req->body, ERR_MISSING_FIELD, "body is required");
}

enum error messages_send(struct request *req, struct reply *out)
{
    struct new_message m = {.sender = &req->me, .conversation = &req->refs[0]};
    struct message sent;
    bool replayed;
    enum error e;
    if ((e = read_text(req, &m.content)) || (e = input_text_optional(&req->body, "media_url", &m.media_url)))
        return e;
    if (!m.content.s && !m.media_url.s)
        return no_text(req);
    if ((e = validate_message(m.content, m.media_url, req->config->message_max)) ||
        (e = request_client_key(req, &m.client_key)) || (e = message_send(req->db, &req->arena, &m, &sent, &replayed)))
        return e;
    show(out, 201, &sent);
    out->replayed = replayed;
    out->wake = !replayed;
    return OK;
}

/* ---- the history ---- */

/* A place by a message's UUID. Any will do: ids order a conversation, and the message may be gone. */
static enum error read_place(struct request *req, struct text value, const char *name, enum place place,
                             struct page *page)
{
    struct ref ref;
    if (!id_parse_uuid(value.s, &ref))
        return input_fail(&req->body, ERR_INVALID_PARAMETER, "%s has to be the UUID of a message", name);
    page->place = place;
    page->at = ref.id;
    return OK;
}

/* Where the page lies: at a cursor, or before, after or around a message; at the newest by default, which
 * an empty cursor stands for too: it is what a script's loop begins with. */
static enum error read_page(struct request *req, struct page *page)
{
    struct text cursor = target_parameter(&req->target, "cursor");
    struct text before = target_parameter(&req->target, "before");
    struct text after = target_parameter(&req->target, "after");
    struct text around = target_parameter(&req->target, "around");
    if (!cursor.len)
        cursor.s = NULL;
    if (!!cursor.s + !!before.s + !!after.s + !!around.s > 1)
        return input_fail(&req->body, ERR_INVALID_PARAMETER, "cursor, before, after and around exclude each other");
    if (cursor.s && cursor_parse(cursor.s, page) != OK)
        return input_fail(&req->body, ERR_INVALID_PARAMETER, "cursor has to be one that a page gave");
    return before.s   ? read_place(req, before, "before", PLACE_BEFORE_ID, page)
           : after.s  ? read_place(req, after, "after", PLACE_AFTER_ID, page)
           : around.s ? read_place(req, around, "around", PLACE_AROUND_ID, page)
                      : OK;
}

static struct json_object *cursor(const struct message *m, bool older)
{
    char text[CURSOR_TEXT];
    cursor_format(m, older, text);
    return json_object_new_string(text);
}

static const char *cursor_text(struct request *req, const struct message *oldest)
{
    char *text = arena_alloc(&req->arena, CURSOR_TEXT);
    cursor_format(oldest, true, text);
    return text;
}

static struct json_object *message_item(const void *list, int i)
{
    return view_conv_message((const struct message *)list + i);
}

/* Newest first, wherever the page lies: next_cursor goes on to older ones, prev_cursor to newer ones;
 * null where there are none. */
enum error messages_history(struct request *req, struct reply *out)
{
    struct page page = {.conversation = &req->refs[0]};
    struct messages m;
    enum error e;
    if ((e = request_page(req, &page.limit, NULL)) || (e = read_page(req, &page)) ||
        (e = history_page(req->db, &req->arena, req->me.user_id, &page, &m)))
        return e;
    const struct message *oldest = m.list + m.count - 1;
    if (request_wants_lines(req)) {
        reply_text(out, VIEW_LINES_TYPE, view_message_lines(m.list, m.count));
        out->next_cursor = m.count && m.older ? cursor_text(req, oldest) : NULL;
        return OK;
    }
    struct json_object *o = view_list("messages", m.count, message_item, m.list);
    json_object_object_add(o, "next_cursor", m.count && m.older ? cursor(oldest, true) : NULL);
    json_object_object_add(o, "prev_cursor", m.count && m.newer ? cursor(m.list, false) : NULL);
    reply_json(out, 200, o);
    return OK;
}

/* ---- one's own messages ---- */

enum error messages_edit(struct request *req, struct reply *out)
{
    struct text content;
    struct message edited;
    enum error e = read_text(req, &content);
    if (e != OK)
        return e;
    if (!content.s)
        return no_text(req);
    if ((e = validate_message(content, (struct text){0}, req->config->message_max)) ||
        (e = message_edit(req->db, &req->arena, req->me.user_id, &req->refs[0], content, &edited)))
        return e;
    show(out, 200, &edited);
    out->wake = true;
    return OK;
}

enum error messages_delete(struct request *req, struct reply *out)
{
    return reply_changed(out, message_delete(req->db, req->me.user_id, &req->refs[0]));
}

/* ---- receipts ---- */

static struct json_object *delivery_item(const void *list, int i)
{
    return view_conv_delivery((const struct delivery *)list + i);
}

enum error messages_deliveries(struct request *req, struct reply *out)
{
    struct delivery *list;
    int count;
    enum error e = delivery_list(req->db, &req->arena, req->me.user_id, &req->refs[0], &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("deliveries", count, delivery_item, list));
    return e;
}

/* Everything up to that message is read. */
enum error messages_read(struct request *req, struct reply *out)
{
    return reply_changed(out, receipt_mark(req->db, req->me.user_id, NULL, &req->refs[0], true));
}

/* The body is optional here, and so the handler's to read. */
static enum error read_up_to(struct request *req, struct ref *message, bool *named)
{
    const char *length = request_variable(req, "CONTENT_LENGTH");
    enum error e = OK;
    if (length && *length && *length != '0')
        e = request_body(req, true);
    else
        input_empty(&req->body);
    return e == OK ? input_ref_optional(&req->body, "message_id", false, message, named) : e;
}

/* The conversation is read, up to message_id or altogether; answers how it stands now. */
enum error messages_read_all(struct request *req, struct reply *out)
{
    struct ref message;
    struct conversation c;
    bool named;
    enum error e;
    if ((e = read_up_to(req, &message, &named)) ||
        (e = receipt_mark(req->db, req->me.user_id, &req->refs[0], named ? &message : NULL, true)))
        return e;
    out->wake = true;
    if ((e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_ANY, &c)))
        return e;
    reply_member(out, 200, "conversation", view_conv_conversation(&c));
    return OK;
}
