/* Tokens for scripts: made, listed and revoked by somebody who is logged in. The secret is in the answer
 * that makes it, and nowhere else after that. */
#include "fcgi-app/handlers.h"
#include "shared/token_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <string.h>

enum { LIFETIME_LEAST = 60, LIFETIME_MOST = 315360000 /* ten years */, SCOPES_NAMED = 8 };

static enum error read_scopes(struct request *req, unsigned *out)
{
    struct text words[SCOPES_NAMED];
    int count;
    enum error e = input_words(&req->body, "scopes", words, SCOPES_NAMED, &count);
    if (e != OK)
        return e;
    *out = 0;
    for (int i = 0; i < count; i++) {
        unsigned scope = scope_parse(words[i].s, words[i].len);
        if (!scope)
            return ERR_SCOPE_INVALID;
        *out |= scope;
    }
    return *out ? OK : ERR_SCOPE_INVALID;
}

static enum error read_token(struct request *req, struct new_token *out, struct ref *room)
{
    bool limited;
    enum error e;
    if (input_has(&req->body,
                  "expires_at")) /* as the answer has it: passed over, it would make one that never expires */
        return input_fail(&req->body, ERR_INVALID_FIELD, "expires_at is not taken; expires_in is, in seconds");
    if ((e = input_text(&req->body, "label", &out->label)) || (e = validate_label(out->label)) ||
        (e = read_scopes(req, &out->scopes)) ||
        (e = input_ref_optional(&req->body, "conversation_id", false, room, &limited)) ||
        (e = input_number_optional(&req->body, "expires_in", LIFETIME_LEAST, LIFETIME_MOST, &out->lifetime)))
        return e;
    out->conversation = limited ? room : NULL;
    return OK;
}

enum error tokens_create(struct request *req, struct reply *out)
{
    char secret[SCRIPT_TOKEN_TEXT];
    struct caller from = request_caller(req);
    struct new_token t = {.user_agent = request_user_agent(req), .from = &from};
    struct token_info made;
    struct ref room;
    enum error e = read_token(req, &t, &room);
    if (e != OK)
        return e;
    script_token_make(secret);
    e = token_create(req->db, &req->arena, &req->me, secret, &t, &made);
    if (e != OK)
        return e;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "secret", json_object_new_string(secret));
    json_object_object_add(o, "token", view_token(&made));
    reply_json(out, 201, o);
    wake(req->db); /* before the answer: the daemons are to know it when it is first shown to them */
    return OK;
}

static struct json_object *item(const void *list, int i)
{
    return view_token((const struct token_info *)list + i);
}

enum error tokens_list(struct request *req, struct reply *out)
{
    struct token_info *list;
    int64_t limit, offset;
    int count;
    enum error e;
    if ((e = request_page(req, &limit, &offset)) ||
        (e = token_list(req->db, &req->arena, &req->me, limit, offset, &list, &count)))
        return e;
    reply_json(out, 200, view_list("tokens", count, item, list));
    return OK;
}

enum error tokens_revoke(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    int64_t ended;
    return reply_changed(out, token_revoke(req->db, &req->me, &req->refs[0], &from, &ended)); /* its sockets close */
}

enum error tokens_revoke_all(struct request *req, struct reply *out)
{
    struct caller from = request_caller(req);
    int64_t ended;
    enum error e = token_revoke(req->db, &req->me, NULL, &from, &ended);
    if (e != OK)
        return e;
    reply_member(out, 200, "ended", json_object_new_int64(ended));
    out->wake = true;
    return OK;
}
