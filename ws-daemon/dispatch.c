/* A batch is dispatched at once or not at all: when it holds messages of groups whose members are not
 * known here, they are asked for first, on the feed's own connection. */
#include "ws-daemon/dispatch.h"

#include "shared/metrics.h"
#include "shared/query.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/events.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/onlookers.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/posts.h"
#include "ws-daemon/presence.h"
#include "ws-daemon/replay.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"
#include "ws-daemon/tokens.h"
#include "ws-daemon/typing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A change's frames, rendered when the first socket of a dialect needs one. */
struct rendering {
    const struct change *change;
    bool is_message;
    struct frame *frames[DIALECTS][2]; /* [1]: as its sender sees it */
};

static struct frame *render(struct rendering *r, const struct dialect_ops *ops, bool own)
{
    own = own && ops->own_differs;
    struct frame **f = &r->frames[ops->dialect][own];
    if (!*f && r->is_message) {
        *f = frame_json(ops->message(&r->change->message, own));
        if (ops->receipts && !own)
            frame_of_message(*f, &r->change->message);
    } else if (!*f && ops->event) {
        struct json_object *o = ops->event(r->change);
        *f = o ? frame_json(o) : NULL;
    }
    return *f;
}

static void rendering_init(struct rendering *r, const struct change *change)
{
    *r = (struct rendering){.change = change, .is_message = !strcmp(change->event.kind, "message")};
}

static void rendering_release(struct rendering *r)
{
    for (int i = 0; i < DIALECTS; i++) {
        frame_unref(r->frames[i][0]);
        frame_unref(r->frames[i][1]);
    }
}

static void to_user(struct daemon *d, struct rendering *r, int64_t user_id)
{
    const struct message *m = &r->change->message;
    events_poke(d, user_id);
    for (struct conn *c = hub_user(d->hub, user_id), *next; c; c = next) {
        next = c->user_next;
        if (m->id && m->is_group && !c->ops->groups)
            continue;
        if (r->is_message && (c->since_id == m->id || (c->ops->wants && !c->ops->wants(c, m))))
            continue;
        struct frame *f = render(r, c->ops, m->id && m->sender.id == user_id);
        if (f)
            conn_push(c, f);
    }
}

static void to_members(struct daemon *d, struct rendering *r, int64_t conversation_id)
{
    int count;
    const int64_t *members = hub_members(d->hub, conversation_id, &count);
    for (int i = 0; i < count; i++)
        to_user(d, r, members[i]);
}

/* To everybody in the conversation of the change's message. */
static void on_message(struct daemon *d, const struct change *change)
{
    struct rendering r;
    const struct message *m = &change->message;
    rendering_init(&r, change);
    if (!m->id || (r.is_message && !m->content.s && !m->media_url))
        return; /* deleted by now, or its conversation is gone */
    if (r.is_message)
        metric_observe(METRIC_DELIVERY, 0, time_now() - m->created_at);
    if (m->is_group) {
        to_members(d, &r, m->conversation_id);
    } else {
        to_user(d, &r, m->sender.id);
        to_user(d, &r, m->recipient.id);
    }
    rendering_release(&r);
}

/* To the one person it is about. */
static void on_personal(struct daemon *d, const struct change *change)
{
    struct rendering r;
    rendering_init(&r, change);
    to_user(d, &r, change->event.user_id);
    rendering_release(&r);
}

/* A receipt goes to the sender of the message. */
static void on_receipt(struct daemon *d, const struct change *change)
{
    struct rendering r;
    rendering_init(&r, change);
    if (change->message.id && change->message.sender.id != change->event.user_id)
        to_user(d, &r, change->message.sender.id);
    rendering_release(&r);
}

/* To everybody in the conversation the event is about. */
static void on_conversation(struct daemon *d, const struct change *change)
{
    struct rendering r;
    rendering_init(&r, change);
    to_members(d, &r, change->event.conversation_id);
    rendering_release(&r);
}

/* The sockets of whom it is about hear of it in their own way: subscriptions end. */
static void tell_sockets(struct daemon *d, const struct change *change)
{
    for (struct conn *c = hub_user(d->hub, change->event.user_id); c; c = c->user_next)
        if (c->ops->changed)
            c->ops->changed(c, change);
}

static void on_member_added(struct daemon *d, const struct change *change)
{
    hub_member_added(d->hub, change->event.conversation_id, change->event.user_id);
    on_conversation(d, change);
}

static void on_member_removed(struct daemon *d, const struct change *change)
{
    hub_member_removed(d->hub, change->event.conversation_id, change->event.user_id);
    on_conversation(d, change);
    on_personal(d, change);
    tell_sockets(d, change);
}

static void on_conversation_deleted(struct daemon *d, const struct change *change)
{
    hub_forget(d->hub, change->event.conversation_id);
    on_personal(d, change);
    tell_sockets(d, change);
}

/* ---- events ---- */

static void close_user(struct daemon *d, int64_t user_id, int64_t session_id, enum error reason)
{
    events_end_user(d, user_id, session_id, reason);
    for (struct conn *c = hub_user(d->hub, user_id), *next; c; c = next) {
        next = c->user_next;
        if (!session_id || c->me.session_id == session_id)
            conn_close(c, reason);
    }
}

static void on_session_revoked(struct daemon *d, const struct change *c)
{
    revoked_add_session(d->revoked, c->event.session_id);
    tokens_ended(d->tokens, c->event.session_id);
    close_user(d, c->event.user_id, c->event.session_id, ERR_UNAUTHORIZED);
}

static void on_token_created(struct daemon *d, const struct change *c)
{
    tokens_made(d, c->event.session_id);
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
    {"message", on_message},
    {"message_edited", on_message},
    {"message_deleted", on_message},
    {"delivered", on_receipt},
    {"read", on_receipt},
    {"member_added", on_member_added},
    {"member_removed", on_member_removed},
    {"conversation_created", on_personal},
    {"conversation_renamed", on_conversation},
    {"owner_changed", on_conversation},
    {"conversation_deleted", on_conversation_deleted},
    {"contact_added", on_personal},
    {"contact_removed", on_personal},
    {"invitation_received", on_personal},
    {"session_revoked", on_session_revoked},
    {"token_created", on_token_created},
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

static bool is_among(const int64_t *asked, int count, int64_t conversation_id)
{
    for (int i = 0; i < count; i++)
        if (asked[i] == conversation_id)
            return true;
    return false;
}

/* The answer is of a later moment than the batch. Its changes, undone from the last to the first, lead back to who was
 * a member before it; dispatch() does them again. */
static void unlearn(struct daemon *d, const struct waiting *w)
{
    for (int i = w->count - 1; i >= 0; i--) {
        const struct event *e = &w->changes[i].event;
        if (!is_among(w->asked, w->asked_count, e->conversation_id))
            continue;
        if (!strcmp(e->kind, "member_added"))
            hub_member_removed(d->hub, e->conversation_id, e->user_id);
        else if (!strcmp(e->kind, "member_removed"))
            hub_member_added(d->hub, e->conversation_id, e->user_id);
    }
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
        unlearn(d, w);
        dispatch(d, w->changes, w->count);
    }
    free(w->asked);
    free(w);
}

/* The conversation whose members this change goes to and that are not known; 0: none. */
static int64_t unknown_group(const struct daemon *d, const struct change *c)
{
    static const char *const to_all[] = {"member_added", "member_removed", "conversation_renamed", "owner_changed"};
    int64_t id = c->message.id && c->message.is_group ? c->message.conversation_id : 0;
    for (size_t i = 0; !id && i < sizeof to_all / sizeof *to_all; i++)
        if (!strcmp(c->event.kind, to_all[i]))
            id = c->event.conversation_id;
    return hub_knows(d->hub, id) ? 0 : id;
}

/* The seq of the first new message that goes to a conversation, which is the least: a batch is in the order of ids. */
static int64_t first_message(const struct waiting *w, int64_t conversation_id)
{
    for (int i = 0; i < w->count; i++)
        if (!strcmp(w->changes[i].event.kind, "message") && w->changes[i].message.conversation_id == conversation_id)
            return w->changes[i].message.seq;
    return INT64_MAX;
}

static void ask_members(struct daemon *d, struct waiting *w)
{
    struct query q;
    struct arena a;
    arena_init(&a);
    int64_t *firsts = arena_alloc(&a, (size_t)w->asked_count * sizeof *firsts);
    for (int i = 0; i < w->asked_count; i++)
        firsts[i] = first_message(w, w->asked[i]);
    query_init(&q, SQL_MEMBERS);
    query_ints(&q, &a, w->asked, w->asked_count);
    query_ints(&q, &a, firsts, w->asked_count);
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
    hub_trim(d->hub);
    for (int i = 0; i < count; i++) {
        int64_t id = unknown_group(d, &changes[i]);
        if (!id || is_among(asked, n, id))
            continue;
        if (!asked && !(asked = calloc((size_t)count, sizeof *asked)))
            abort();
        asked[n++] = id;
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
    if (!strncmp(payload, "presence ", 9))
        onlookers_said(arg, payload);
    else if (!strcmp(payload, POSTS_SAID))
        posts_look(arg);
    else
        typing_said(arg, payload);
}

static void on_revoked_known(struct daemon *d)
{
    server_ready(d, PART_FEED);
}

static void on_ready(void *arg)
{
    struct daemon *d = arg;
    pgpipe_hurry(d->queries);
    sender_hurry(d->sender);
    presence_hurry(d);
    onlookers_listening(d);
    revoked_load(d, on_revoked_known);
}

struct feed_owner dispatch_owner(struct daemon *d)
{
    return (struct feed_owner){on_changes, on_said, on_ready, d};
}
