/* Contacts and the invitations that lead to them, on the native surface. */
#include "fcgi-app/handlers.h"
#include "shared/contact_store.h"
#include "shared/view.h"

#include <json-c/json.h>

/* Whom the body names, by username or user_id. */
static enum error read_invitee(struct request *req, const char **username)
{
    struct text name;
    struct ref id;
    struct user u;
    bool by_id;
    enum error e;
    if ((e = input_text_optional(&req->body, "username", &name)) ||
        (e = input_ref_optional(&req->body, "user_id", false, &id, &by_id)))
        return e;
    if (by_id == !!name.s)
        return input_fail(&req->body, by_id ? ERR_INVALID_FIELD : ERR_MISSING_FIELD, "%s",
                          by_id ? "username and user_id exclude each other" : "username or user_id is required");
    if (by_id && (e = user_by_ref(req->db, &req->arena, &id, &u)))
        return e;
    *username = by_id ? u.username : name.s;
    return OK;
}

/* A crossing invitation has been accepted by this one; then the contact stands beside it. */
enum error contacts_invite(struct request *req, struct reply *out)
{
    const char *username = NULL;
    struct invitation invitation;
    struct contact contact;
    bool accepted;
    enum error e;
    if ((e = read_invitee(req, &username)) ||
        (e = contact_invite(req->db, &req->arena, req->me.user_id, username, &invitation, &accepted, &contact)))
        return e;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "invitation", view_conv_invitation(&invitation));
    json_object_object_add(o, "contact", accepted ? view_conv_contact(&contact) : NULL);
    reply_json(out, accepted ? 200 : 201, o);
    out->wake = true;
    return OK;
}

static struct json_object *invitation_item(const void *list, int i)
{
    return view_conv_invitation((const struct invitation *)list + i);
}

static struct json_object *contact_item(const void *list, int i)
{
    return view_conv_contact((const struct contact *)list + i);
}

enum error contacts_list(struct request *req, struct reply *out)
{
    struct contact_book b;
    enum error e = contact_book(req->db, &req->arena, req->me.user_id, &b);
    if (e != OK)
        return e;
    struct json_object *o = view_list("contacts", b.contact_count, contact_item, b.contacts);
    json_object_object_add(o, "sent_invitations", view_list(NULL, b.sent_count, invitation_item, b.sent));
    json_object_object_add(o, "received_invitations", view_list(NULL, b.received_count, invitation_item, b.received));
    reply_json(out, 200, o);
    return OK;
}

enum error contacts_accept(struct request *req, struct reply *out)
{
    struct contact contact;
    enum error e = invitation_accept(req->db, &req->arena, req->me.user_id, &req->refs[0], &contact);
    if (e != OK)
        return e;
    reply_member(out, 200, "contact", view_conv_contact(&contact));
    out->wake = true;
    return OK;
}

enum error contacts_reject(struct request *req, struct reply *out)
{
    enum error e = invitation_reject(req->db, req->me.user_id, &req->refs[0]);
    if (e == OK)
        reply_empty(out);
    return e;
}

enum error contacts_remove(struct request *req, struct reply *out)
{
    return reply_changed(out, contact_remove(req->db, req->me.user_id, &req->refs[0]));
}
