/* The links that Parley mails: an address is verified, a forgotten password is set anew. */
#include "fcgi-app/handlers.h"
#include "shared/mail_store.h"
#include "shared/validate.h"

#include <json-c/json.h>
#include <string.h>

/* The token of the link that was followed: in its query, or in a body. */
static enum error link_hash(struct request *req, unsigned char out[SECRET_HASH])
{
    struct text token = target_parameter(&req->target, "token");
    enum error e = token.s ? OK : input_text(&req->body, "token", &token);
    if (e == OK)
        secret_hash(token.s, out);
    return e;
}

static void answer(struct reply *out, int status, const char *message)
{
    reply_member(out, status, "message", json_object_new_string(message));
}

enum error mail_verify(struct request *req, struct reply *out)
{
    unsigned char hash[SECRET_HASH];
    enum error e = OK;
    /* Programs that look at a mail's links before the reader does ask with HEAD: not to use it up. */
    bool look = !strcmp(req->method, "HEAD");
    /* A link that is posted as it stands needs no body. */
    if (!strcmp(req->method, "POST") && !target_parameter(&req->target, "token").s)
        e = request_body(req, true);
    else
        input_empty(&req->body);
    if (e != OK || (e = link_hash(req, hash)) || (!look && (e = email_verify(req->db, hash))))
        return e;
    answer(out, 200, "the email address is verified");
    return OK;
}

enum error mail_forgot_password(struct request *req, struct reply *out)
{
    struct text email;
    enum error e;
    if ((e = input_text(&req->body, "email", &email)) || (e = validate_email(email)) ||
        (e = mail_forgot(req->db, email.s)))
        return e;
    answer(out, 202, "if the address belongs to an account, a mail with a link is on its way");
    return OK;
}

enum error mail_reset_password(struct request *req, struct reply *out)
{
    unsigned char hash[SECRET_HASH];
    char hashed[PASSWORD_HASH];
    struct text password;
    enum error e;
    if ((e = link_hash(req, hash)) || (e = input_text(&req->body, "password", &password)) ||
        (e = validate_password(password)))
        return e;
    if (!password_hash(password.s, req->config->bcrypt_cost, hashed))
        return ERR_INTERNAL;
    struct caller from = request_caller(req);
    if ((e = password_reset(req->db, hash, hashed, &from)))
        return e;
    answer(out, 200, "the new password is set, and all sessions have ended");
    out->wake = true; /* their sockets close */
    return OK;
}
