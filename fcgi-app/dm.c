/* The dm dialect's messages (User Flow): one person to another. */
#include "fcgi-app/handlers.h"
#include "shared/store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>

enum error dm_send(struct request *req, struct reply *out)
{
    struct ref recipient;
    struct new_message m = {.sender = &req->me, .recipient = &recipient};
    struct message sent;
    bool replayed;
    enum error e;
    if ((e = input_ref(&req->body, "recipient_id", false, &recipient)) ||
        (e = input_text(&req->body, "content", &m.content)) ||
        (e = validate_message(m.content, m.media_url, req->config->message_max)) ||
        (e = request_client_key(req, &m.client_key)) || (e = message_send(req->db, &req->arena, &m, &sent, &replayed)))
        return e;
    reply_json(out, 201, view_dm_message(&sent));
    out->replayed = replayed;
    out->wake = !replayed;
    return OK;
}

enum error dm_history(struct request *req, struct reply *out)
{
    struct user peer;
    struct message *messages;
    int64_t limit, offset;
    int count;
    enum error e;
    if ((e = request_page(req, &limit, &offset)) || (e = user_by_ref(req->db, &req->arena, &req->refs[0], &peer)) ||
        (e = direct_history(req->db, &req->arena, req->me.user_id, peer.id, limit, offset, &messages, &count)))
        return e;
    if (request_wants_lines(req)) {
        reply_text(out, VIEW_LINES_TYPE, view_message_lines(messages, count));
        return OK;
    }
    struct json_object *array = json_object_new_array_ext(count);
    for (int i = 0; i < count; i++)
        json_object_array_add(array, view_dm_message(&messages[i]));
    reply_json(out, 200, array);
    return OK;
}

enum error dm_conversations(struct request *req, struct reply *out)
{
    struct direct *list;
    int count;
    enum error e = direct_list(req->db, &req->arena, req->me.user_id, &list, &count);
    if (e != OK)
        return e;
    struct json_object *array = json_object_new_array_ext(count);
    for (int i = 0; i < count; i++)
        json_object_array_add(array, view_dm_conversation(&list[i].peer, &list[i].last));
    reply_json(out, 200, array);
    return OK;
}
