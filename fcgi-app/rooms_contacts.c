/* The rooms dialect (Authentication API): contacts and the invitations that lead to them. Rejecting
 * and removing answer nothing, and so are those of contacts.c. */
#include "fcgi-app/handlers.h"
#include "shared/contact_store.h"
#include "shared/view.h"

#include <json-c/json.h>

/* An invitation either way, as the document says: when the other had asked first, theirs, which this
 * one has accepted. Its client sees by from_user that it was not its own. */
enum error rooms_invite(struct request *req, struct reply *out)
{
    struct text username;
    struct invitation invitation;
    struct contact contact;
    bool accepted;
    enum error e;
    if ((e = input_text(&req->body, "username", &username)) ||
        (e = contact_invite(req->db, &req->arena, req->me.user_id, username.s, &invitation, &accepted, &contact)))
        return e;
    reply_json(out, 200, view_rooms_invitation(&invitation));
    out->wake = true;
    return OK;
}

enum error rooms_accept(struct request *req, struct reply *out)
{
    struct contact contact;
    enum error e = invitation_accept(req->db, &req->arena, req->me.user_id, &req->refs[0], &contact);
    if (e != OK)
        return e;
    reply_json(out, 200, view_rooms_contact(&contact));
    out->wake = true;
    return OK;
}

static struct json_object *invitation_item(const void *list, int i)
{
    return view_rooms_invitation((const struct invitation *)list + i);
}

static struct json_object *contact_item(const void *list, int i)
{
    return view_rooms_contact((const struct contact *)list + i);
}

enum error rooms_contacts(struct request *req, struct reply *out)
{
    struct contact_book b;
    enum error e = contact_book(req->db, &req->arena, req->me.user_id, &b);
    if (e != OK)
        return e;
    struct json_object *o = view_list("sent_invitations", b.sent_count, invitation_item, b.sent);
    json_object_object_add(o, "received_invitations", view_list(NULL, b.received_count, invitation_item, b.received));
    json_object_object_add(o, "contacts", view_list(NULL, b.contact_count, contact_item, b.contacts));
    reply_json(out, 200, o);
    return OK;
}

enum error rooms_check_contact(struct request *req, struct reply *out)
{
    const char *username = NULL;
    bool contacts = false;
    enum error e = contact_check(req->db, &req->arena, req->me.user_id, req->name, &username, &contacts);
    if (e != OK)
        return e;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "username", view_text(username));
    json_object_object_add(o, "is_mutual_contact", json_object_new_boolean(contacts));
    reply_json(out, 200, o);
    return OK;
}
