/* The list of socket dialects, and what reading a frame is in all of them. */
#include "shared/log.h"
#include "shared/store.h"
#include "shared/validate.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/pgpipe.h"

#include <string.h>

static const struct dialect_ops *const dialects[] = {
    &dialect_dm, &dialect_conv, &dialect_p2p, &dialect_rooms, &dialect_groups,
};
enum { COUNT = sizeof dialects / sizeof *dialects };

/* Questions that may wait for the database before frames, which may ask more, are refused. */
enum { QUERIES_MOST = 10000 };

/* Socket paths and who speaks there. ops NULL: the dialect of the API that issued the token. */
static const struct {
    const char *path;
    enum dialect dialect;
    bool by_token;
} paths[] = {
    {"/ws", 0, true},
    {"/ws/chat", DIALECT_DM, false},
    {"/api/v1/ws", DIALECT_CONV, false},
    {"/v1/messages/ws", DIALECT_ROOMS, false},
};

const struct dialect_ops *dialect_ops_of(enum dialect d)
{
    for (int i = 0; i < COUNT; i++)
        if (dialects[i]->dialect == d)
            return dialects[i];
    return NULL;
}

const struct dialect_ops *dialect_ops_by_subprotocol(const char *name)
{
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(dialects[i]->subprotocol, name))
            return dialects[i];
    return NULL;
}

bool dialect_of_path(const char *path, const struct dialect_ops **out)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (!strcmp(path, paths[i].path)) {
            *out = paths[i].by_token ? NULL : dialect_ops_of(paths[i].dialect);
            return paths[i].by_token || *out;
        }
    return false;
}

static const struct operation_entry *find(const struct conn *c, struct input *in, enum error *e)
{
    const struct operation_entry *o = c->ops->operations;
    struct text type = {0};
    if (c->ops->find_type)
        *e = c->ops->find_type(in, &type);
    else if (c->ops->type_member)
        *e = input_text(in, c->ops->type_member, &type);
    for (; *e == OK && o->run; o++)
        if (!o->type || (type.s && !strcmp(o->type, type.s)))
            return o;
    if (*e == OK)
        *e = input_fail(in, ERR_INVALID_FIELD, "unknown %s", c->ops->type_member);
    return NULL;
}

void dialects_print(FILE *out)
{
    for (int i = 0; i < COUNT; i++)
        for (const struct operation_entry *o = dialects[i]->operations; o->run; o++)
            fprintf(out, "%s %s\n", dialect_name(dialects[i]->dialect), o->type ? o->type : "-");
}

void dialect_frame(struct conn *c, const char *text, size_t len)
{
    struct input in;
    if (pgpipe_backlog(c->daemon->queries) >= QUERIES_MOST) { /* the database is not keeping up */
        conn_error(c, ERR_UNAVAILABLE, error_sentence(ERR_UNAVAILABLE));
        return;
    }
    if (c->ops->text && c->state != CONN_GREETING && c->ops->text(c, text, len))
        return;
    enum error e = input_parse(&in, text, len);
    const struct operation_entry *o = e == OK ? find(c, &in, &e) : NULL;
    if (o && c->state == CONN_GREETING && !o->greeting)
        e = ERR_UNAUTHORIZED;
    else if (o)
        e = o->run(c, &in);
    if (e != OK) {
        log_event(LOG_DEBUG, "frame_refused", log_int("user", c->me.user_id),
                  log_text("dialect", dialect_name(c->ops->dialect)), log_text("code", error_code(e)));
        conn_error(c, e, input_sentence(&in, e));
    }
    input_release(&in);
}

enum error dialect_ping(struct conn *c, struct input *in)
{
    (void)in;
    struct frame *f = frame_new("{\"type\":\"pong\"}", 15);
    conn_reply(c, f);
    frame_unref(f);
    return OK;
}

enum error dialect_read_message(struct conn *c, struct input *in, const char *content_name, struct new_message *out)
{
    bool media = out->media_url.s;
    out->sender = &c->me;
    enum error e = (media ? input_text_optional : input_text)(in, content_name, &out->content);
    if (media && !out->content.len)
        out->content.s = NULL; /* media alone */
    if (e == OK)
        e = input_text_optional(in, "client_msg_id", &out->client_key);
    if (e == OK && out->client_key.s)
        e = validate_client_key(out->client_key);
    if (e == OK)
        e = validate_message(out->content, out->media_url, c->daemon->config.message_max);
    return e;
}
