/* A batch is dispatched at once or not at all: when it holds messages of groups whose members are not
 * known here, they are asked for first, on the feed's own connection. */
#include "ws-daemon/dispatch.h"

#include "shared/log.h"
#include "shared/query.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/replay.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change's frames, rendered when the first socket of a dialect needs one. */
struct rendering {
    const struct change *change;
    struct frame *frames[DIALECTS];
};

static struct frame *render(struct rendering *r, const struct dialect_ops *ops)
{
    struct frame **f = &r->frames[ops->dialect];
    if (!*f && !strcmp(r->change->event.kind, "message"))
        *f = frame_json(ops->message(&r->change->message));
    else if (!*f && ops->event) {
        struct json_object *o = ops->event(r->change);
        *f = o ? frame_json(o) : NULL;
    }
    return *f;
}

static void rendering_release(struct rendering *r)
{
    for (int i = 0; i < DIALECTS; i++)
        frame_unref(r->frames[i]);
}

static void to_user(struct daemon *d, struct rendering *r, int64_t user_id)
{
    const struct message *m = &r->change->message;
    bool is_message = !strcmp(r->change->event.kind, "message");
    for (struct conn *c = hub_user(d->hub, user_id), *next; c; c = next) {
        next = c->user_next;
        if ((m->is_group && !c->ops->groups) || (is_message && c->ops->wants && !c->ops->wants(c, m)))
            continue;
        struct frame *f = render(r, c->ops);
        if (f)
            conn_push(c, f);
        if (is_message && c->ops->shown)
            c->ops->shown(c, m);
    }
}

/* To everybody in the conversation of the change's message. */
static void to_participants(struct daemon *d, const struct change *change)
{
    struct rendering r = {.change = change};
    const struct message *m = &change->message;
    int count;
    if (!m->is_group) {
        to_user(d, &r, m->sender.id);
        to_user(d, &r, m->recipient.id);
    } else {
        const int64_t *members = hub_members(d->hub, m->conversation_id, &count);
        for (int i = 0; i < count; i++)
            to_user(d, &r, members[i]);
    }
    rendering_release(&r);
}

/* ---- events ---- */

static void close_user(struct daemon *d, int64_t user_id, int64_t session_id, enum error reason)
{
    for (struct conn *c = hub_user(d->hub, user_id), *next; c; c = next) {
        next = c->user_next;
        if (!session_id || c->me.session_id == session_id)
            conn_close(c, reason);
    }
}

static void on_session_revoked(struct daemon *d, const struct change *c)
{
    revoked_add_session(d->revoked, c->event.session_id);
    close_user(d, c->event.user_id, c->event.session_id, ERR_UNAUTHORIZED);
}

static void on_user_disabled(struct daemon *d, const struct change *c)
{
    revoked_add_user(d->revoked, c->event.user_id);
    close_user(d, c->event.user_id, 0, ERR_DISABLED);
}

static void on_user_enabled(struct daemon *d, const struct change *c)
{
    revoked_remove_user(d->revoked, c->event.user_id);
}

/* What an event of a kind does here. */
static const struct {
    const char *kind;
    void (*run)(struct daemon *d, const struct change *c);
} kinds[] = {
    {"message", to_participants},
    {"session_revoked", on_session_revoked},
    {"user_disabled", on_user_disabled},
    {"user_enabled", on_user_enabled},
};

static void dispatch(struct daemon *d, const struct change *changes, int count)
{
    for (int i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
            if (!strcmp(changes[i].event.kind, kinds[k].kind))
                kinds[k].run(d, &changes[i]);
    feed_done(d->feed);
    if (feed_is_settled(d->feed))
        replay_start_waiting(d);
}

/* ---- groups whose members are not known ---- */

struct waiting {
    struct daemon *daemon;
    const struct change *changes; /* the feed's, until feed_done() */
    int count;
    int64_t *asked;
    int asked_count;
};

static void learn(struct daemon *d, const struct waiting *w, const PGresult *res)
{
    int rows = PQntuples(res), start = 0;
    int64_t *users = calloc((size_t)rows + 1, sizeof *users);
    if (!users)
        abort();
    for (int i = 0; i < w->asked_count; i++) /* one without members is known to be empty */
        hub_learn(d->hub, w->asked[i], NULL, 0);
    for (int i = 0; i < rows; i = start) {
        struct row first = row_at(res, i, NULL);
        int64_t conversation = row_int(&first), id = conversation;
        int n = 0;
        for (; start < rows && id == conversation; n += id == conversation) {
            struct row r = row_at(res, start, NULL);
            id = row_int(&r);
            if (id == conversation) {
                users[n] = row_int(&r);
                start++;
            }
        }
        hub_learn(d->hub, conversation, users, n);
    }
    free(users);
}

static void on_members(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct waiting *w = arg;
    struct daemon *d = w->daemon;
    (void)count;
    (void)constraint;
    if (e != OK) {
        feed_again(d->feed);
    } else {
        learn(d, w, results[0]);
        dispatch(d, w->changes, w->count);
    }
    free(w->asked);
    free(w);
}

static bool needs_members(const struct daemon *d, const struct change *c)
{
    return c->message.id && c->message.is_group && !hub_knows(d->hub, c->message.conversation_id);
}

static void ask_members(struct daemon *d, struct waiting *w)
{
    struct query q;
    struct arena a;
    char *list;
    arena_init(&a);
    list = arena_alloc(&a, (size_t)w->asked_count * 21 + 3);
    char *p = list;
    *p++ = '{';
    for (int i = 0; i < w->asked_count; i++)
        p += sprintf(p, i ? ",%lld" : "%lld", (long long)w->asked[i]);
    *p++ = '}';
    query_init(&q, SQL_MEMBERS);
    query_text(&q, list);
    if (pgpipe_submit(feed_pipe(d->feed), &q, 1, on_members, w) != OK) {
        feed_again(d->feed);
        free(w->asked);
        free(w);
    }
    arena_release(&a);
}

static void on_changes(void *arg, const struct change *changes, int count)
{
    struct daemon *d = arg;
    int64_t *asked = NULL;
    int n = 0;
    for (int i = 0; i < count; i++) {
        bool again = false;
        if (!needs_members(d, &changes[i]))
            continue;
        for (int k = 0; k < n && !again; k++)
            again = asked[k] == changes[i].message.conversation_id;
        if (again)
            continue;
        if (!asked && !(asked = calloc((size_t)count, sizeof *asked)))
            abort();
        asked[n++] = changes[i].message.conversation_id;
    }
    if (!n) {
        dispatch(d, changes, count);
        return;
    }
    struct waiting *w = malloc(sizeof *w);
    if (!w)
        abort();
    *w = (struct waiting){d, changes, count, asked, n};
    ask_members(d, w);
}

/* ---- the rest of the feed's owner ---- */

static void on_said(void *arg, const char *payload)
{
    (void)arg;
    (void)payload;
}

static void on_ready(void *arg)
{
    revoked_load(arg, server_listen);
}

struct feed_owner dispatch_owner(struct daemon *d)
{
    return (struct feed_owner){on_changes, on_said, on_ready, d};
}
