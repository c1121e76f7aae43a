/* rooms (Authentication API): /v1/messages/ws. The first frame authenticates; then a socket gets the
 * messages of the rooms it subscribed to. */
#include "shared/store.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { ROOMS_MOST = 500 };

/* A room a socket subscribed to, and the question whether it may, while that is under way. The question
 * is answered by what is committed, while removals come through the feed, later: one from before the
 * user joined anew must not end a subscription that was granted since. */
struct subscription {
    int64_t room_id;
    struct asking *asked;
    int64_t joined_at;  /* since when the user is in the room, as far as the last answer knew */
    int64_t removed_at; /* the last removal heard of while the question was under way, 0: none */
};

/* All of a socket's: its dialect_state. */
struct subscriptions {
    int count, size;
    struct subscription list[];
};

/* Whether the user is in the room. The subscription stands meanwhile, so that what the socket does
 * next, and what happens to the room, finds it; nothing reaches an outsider by it, as messages go to
 * a room's members only. So a message that comes first answers the question. */
struct asking {
    struct conn *conn;
    int64_t room_id;
    bool answered;
};

static struct json_object *tagged(const char *type, const char *member, const char *text)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string(type));
    json_object_object_add(o, member, json_object_new_string(text));
    return o;
}

static struct json_object *error_frame(enum error e, const char *sentence)
{
    struct json_object *o = tagged("error", "error", sentence);
    json_object_object_add(o, "code", json_object_new_string(error_code(e)));
    return o;
}

static struct json_object *message_frame(const struct message *m, bool own)
{
    struct json_object *o = json_object_new_object();
    (void)own;
    json_object_object_add(o, "type", json_object_new_string("message"));
    json_object_object_add(o, "message", view_rooms_message(m));
    return o;
}

static void succeed(struct conn *c, const char *sentence, int64_t room_id)
{
    struct json_object *o = tagged("success", "message", sentence);
    if (room_id)
        json_object_object_add(o, "room_id", json_object_new_int64(room_id));
    struct frame *f = frame_json(o);
    conn_reply(c, f);
    frame_unref(f);
}

/* ---- subscriptions ---- */

static struct subscription *find(const struct conn *c, int64_t room_id)
{
    struct subscriptions *s = c->dialect_state;
    for (int i = 0; s && i < s->count; i++)
        if (s->list[i].room_id == room_id)
            return &s->list[i];
    return NULL;
}

static void unsubscribe(struct conn *c, int64_t room_id)
{
    struct subscriptions *s = c->dialect_state;
    struct subscription *found = find(c, room_id);
    if (found)
        *found = s->list[--s->count];
}

/* NULL: one too many. */
static struct subscription *subscribe(struct conn *c, int64_t room_id)
{
    struct subscriptions *s = c->dialect_state;
    struct subscription *found = find(c, room_id);
    int count = s ? s->count : 0;
    if (found || count == ROOMS_MOST)
        return found;
    if (!s || count == s->size) {
        int size = s ? 2 * s->size : 8;
        if (!(s = realloc(s, sizeof *s + (size_t)size * sizeof *s->list)))
            abort();
        s->count = count;
        s->size = size;
        c->dialect_state = s;
    }
    s->list[s->count] = (struct subscription){.room_id = room_id};
    return &s->list[s->count++];
}

static void subscribed(struct conn *c, int64_t room_id)
{
    succeed(c, "Subscribed to room", room_id);
}

/* The answer to `subscribe` comes before the room's messages. */
static bool wants(struct conn *c, const struct message *m)
{
    struct subscription *s = find(c, m->conversation_id);
    if (s && s->asked && !s->asked->answered) {
        s->asked->answered = true;
        subscribed(c, s->room_id);
    }
    return s != NULL;
}

/* Leaving, removal and deletion end the subscription. */
static void changed(struct conn *c, const struct change *change)
{
    const struct event *e = &change->event;
    struct subscription *s = find(c, e->conversation_id);
    if (!strcmp(e->kind, "conversation_deleted"))
        unsubscribe(c, e->conversation_id);
    else if (s && !strcmp(e->kind, "member_removed")) {
        if (s->asked)
            s->removed_at = e->at;
        else if (e->at >= s->joined_at)
            unsubscribe(c, e->conversation_id);
    }
}

/* ---- operations ---- */

static enum error on_auth(struct conn *c, struct input *in)
{
    bool first = !c->me.user_id;
    enum error e = server_authenticate(c, in);
    if (e != OK)
        return e;
    succeed(c, "Authenticated successfully", 0);
    if (first)
        server_admit(c);
    return OK;
}

/* The database's answer; the last question about a room settles whether the subscription stays. */
static void settle(struct asking *a, enum error e, int64_t joined_at)
{
    struct subscription *s = find(a->conn, a->room_id);
    bool last = s && s->asked == a;
    if (last && e == OK && s->removed_at >= joined_at)
        e = ERR_NOT_MEMBER; /* since the database looked */
    if (last && e == OK) {
        s->asked = NULL;
        s->joined_at = joined_at;
    } else if (last) {
        unsubscribe(a->conn, a->room_id);
    }
    if (a->answered || a->conn->state >= CONN_CLOSING)
        ; /* nobody is left to tell */
    else if (e == OK)
        subscribed(a->conn, a->room_id);
    else
        conn_error(a->conn, e, error_sentence(e));
    conn_unref(a->conn);
    free(a);
}

static void on_membership(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    int64_t joined_at = 0;
    (void)count;
    (void)constraint;
    if (e == OK) {
        struct row r = row_at(results[0], 0, NULL);
        bool exists = row_bool(&r);
        joined_at = row_time(&r);
        e = joined_at != TIME_NONE ? OK : exists ? ERR_NOT_MEMBER : ERR_CONVERSATION_NOT_FOUND;
    }
    settle(arg, e, joined_at);
}

static enum error on_subscribe(struct conn *c, struct input *in)
{
    struct ref room;
    struct query q;
    struct subscription *s;
    enum error e = input_ref(in, "room_id", true, &room);
    if (e != OK)
        return e;
    if (!(s = subscribe(c, room.id)))
        return input_fail(in, ERR_FORBIDDEN, "a socket holds at most %d subscriptions", ROOMS_MOST);
    struct asking *a = malloc(sizeof *a);
    if (!a)
        abort();
    *a = (struct asking){.conn = conn_ref(c), .room_id = room.id};
    s->asked = a;
    s->removed_at = 0;
    query_init(&q, SQL_MEMBERSHIP);
    query_int(&q, c->me.user_id);
    query_int(&q, room.id);
    e = pgpipe_submit(c->daemon->queries, &q, 1, on_membership, a);
    if (e != OK)
        settle(a, e, 0);
    return OK;
}

static enum error on_unsubscribe(struct conn *c, struct input *in)
{
    struct ref room;
    enum error e = input_ref(in, "room_id", true, &room);
    if (e != OK)
        return e;
    unsubscribe(c, room.id);
    succeed(c, "Unsubscribed from room", room.id);
    return OK;
}

static enum error on_send_message(struct conn *c, struct input *in)
{
    struct new_message m = {0};
    struct ref room;
    enum error e = input_ref(in, "room_id", true, &room);
    if (e == OK)
        e = dialect_read_message(c, in, "content", &m);
    if (e != OK)
        return e;
    m.conversation = &room;
    return sender_submit(c, &m);
}

static const struct operation_entry operations[] = {
    {"auth", true, on_auth},
    {"subscribe", false, on_subscribe},
    {"unsubscribe", false, on_unsubscribe},
    {"send_message", false, on_send_message},
    {"ping", false, dialect_ping},
    {0},
};

const struct dialect_ops dialect_rooms = {
    .dialect = DIALECT_ROOMS,
    .subprotocol = "chat.rooms",
    .integers = true,
    .groups = true,
    .bad_token = BAD_TOKEN_FRAME,
    .type_member = "type",
    .operations = operations,
    .error = error_frame,
    .message = message_frame,
    .wants = wants,
    .changed = changed,
};
