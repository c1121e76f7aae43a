/* Conversations of both kinds and who is in them: the conv dialect (Workflow Diagrams), which is the
 * native surface's too. Their messages are in messages.c. */
#include "fcgi-app/handlers.h"
#include "shared/conversation_store.h"
#include "shared/validate.h"
#include "shared/view.h"

#include <string.h>

enum { PEOPLE_MOST = 1000 };

/* People named in a body. */
struct people {
    struct ref *list;
    int count;
};

static void show(struct reply *out, int status, const struct conversation *c)
{
    reply_member(out, status, "conversation", view_conv_conversation(c));
}

/* The error of a change, naming the one who does not exist where that was it; missing -1: nobody. In the
 * client's own words: a UUID that is not of our making keeps nothing of itself in a ref. */
static enum error naming(struct request *req, enum error e, int missing)
{
    struct text *named;
    int count = 1;
    if (e != ERR_USER_NOT_FOUND || missing < 0)
        return e;
    named = arena_alloc(&req->arena, PEOPLE_MOST * sizeof *named);
    if ((input_has(&req->body, "user_id") ? input_text(&req->body, "user_id", named)
                                          : input_texts(&req->body, "participant_ids", named, PEOPLE_MOST, &count)) ||
        missing >= count)
        return e;
    return input_fail(&req->body, e, "participant %s not found", named[missing].s);
}

/* ---- making and reading ---- */

static enum error read_people(struct request *req, struct people *out)
{
    out->list = arena_alloc(&req->arena, PEOPLE_MOST * sizeof *out->list);
    if (!input_has(&req->body, "participant_ids"))
        return input_fail(&req->body, ERR_MISSING_FIELD, "participant_ids is required");
    return input_refs(&req->body, "participant_ids", false, out->list, PEOPLE_MOST, &out->count);
}

/* The one other person of a direct conversation, as an index; the caller may be listed as well. */
static enum error other_person(struct request *req, const struct people *p, int *out)
{
    int others = 0;
    for (int i = 0; i < p->count; i++) {
        bool again = others && p->list[i].id == p->list[*out].id;
        if (id_matches(&p->list[i], req->me.user_created) && p->list[i].id == req->me.user_id)
            continue;
        if (!again)
            *out = i;
        others += !again;
    }
    if (p->count && !others)
        return ERR_SELF_MESSAGE;
    return others == 1 ? OK
                       : input_fail(&req->body, ERR_INVALID_FIELD,
                                    "participant_ids of a direct conversation has to name one other user");
}

static enum error create_direct(struct request *req, struct reply *out, const struct people *p)
{
    struct conversation c;
    int other = 0;
    bool created;
    enum error e = other_person(req, p, &other);
    if (e == OK)
        e = direct_start(req->db, &req->arena, req->me.user_id, &p->list[other], &c, &created);
    if (e != OK)
        return naming(req, e, other);
    show(out, created ? 201 : 200, &c);
    out->wake = created;
    return OK;
}

static enum error create_group(struct request *req, struct reply *out, const struct people *p)
{
    struct text name;
    struct conversation c;
    int missing = -1;
    enum error e = input_text_optional(&req->body, "name", &name);
    if (e == OK && name.s)
        e = validate_name(name);
    if (e == OK)
        e = group_create(req->db, &req->arena, req->me.user_id, name.s, p->list, p->count, &c, &missing);
    if (e != OK)
        return naming(req, e, missing);
    show(out, 201, &c);
    out->wake = true;
    return OK;
}

enum error conv_create(struct request *req, struct reply *out)
{
    struct text type;
    struct people p;
    enum error e;
    if ((e = input_text(&req->body, "type", &type)) || (e = read_people(req, &p)))
        return e;
    if (!strcmp(type.s, "direct"))
        return create_direct(req, out, &p);
    if (!strcmp(type.s, "group"))
        return create_group(req, out, &p);
    return input_fail(&req->body, ERR_INVALID_FIELD, "type has to be direct or group");
}

static struct json_object *item(const void *list, int i)
{
    return view_conv_conversation((const struct conversation *)list + i);
}

enum error conv_list(struct request *req, struct reply *out)
{
    struct conversation *list;
    int count;
    enum error e = conversation_list(req->db, &req->arena, req->me.user_id, KIND_ANY, true, &list, &count);
    if (e == OK)
        reply_json(out, 200, view_list("conversations", count, item, list));
    return e;
}

enum error conv_get(struct request *req, struct reply *out)
{
    struct conversation c;
    enum error e = conversation_get(req->db, &req->arena, req->me.user_id, &req->refs[0], KIND_ANY, &c);
    if (e == OK)
        show(out, 200, &c);
    return e;
}

/* ---- groups ---- */

enum error conv_rename(struct request *req, struct reply *out)
{
    struct text name;
    struct conversation c;
    enum error e;
    if ((e = input_text(&req->body, "name", &name)) || (e = validate_name(name)) ||
        (e = group_rename(req->db, &req->arena, req->me.user_id, &req->refs[0], name.s, &c)))
        return e;
    show(out, 200, &c);
    out->wake = true;
    return OK;
}

enum error conv_delete(struct request *req, struct reply *out)
{
    return reply_changed(out, group_delete(req->db, req->me.user_id, &req->refs[0]));
}

/* user_id names one, participant_ids several. */
enum error conv_add(struct request *req, struct reply *out)
{
    struct people p = {.list = &(struct ref){0}, .count = 1};
    struct conversation c;
    bool one;
    int missing = -1;
    enum error e = input_ref_optional(&req->body, "user_id", false, p.list, &one);
    if (e == OK && one == input_has(&req->body, "participant_ids"))
        return input_fail(&req->body, one ? ERR_INVALID_FIELD : ERR_MISSING_FIELD, "%s",
                          one ? "user_id and participant_ids exclude each other"
                              : "user_id or participant_ids is required");
    if (e == OK && !one)
        e = read_people(req, &p);
    if (e == OK)
        e = members_add(req->db, &req->arena, req->me.user_id, &req->refs[0], p.list, p.count, &c, &missing);
    if (e != OK)
        return naming(req, e, missing);
    show(out, 200, &c);
    out->wake = true;
    return OK;
}

static enum error take_out(struct request *req, struct reply *out, const struct ref *who)
{
    return reply_changed(out, member_remove(req->db, req->me.user_id, &req->refs[0], who));
}

enum error conv_remove(struct request *req, struct reply *out)
{
    return take_out(req, out, &req->refs[1]);
}

enum error conv_leave(struct request *req, struct reply *out)
{
    return take_out(req, out, &(struct ref){.id = req->me.user_id, .ms = -1});
}
