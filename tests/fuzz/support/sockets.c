#include "tests/fuzz/support/sockets.h"

#include "shared/log.h"
#include "tests/fuzz/support/database.h"
#include "tests/fuzz/support/fuzz.h"
#include "ws-daemon/dispatch.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/onlookers.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/posts.h"
#include "ws-daemon/presence.h"
#include "ws-daemon/receipts.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/sender.h"
#include "ws-daemon/server.h"
#include "ws-daemon/typing.h"

#include <libwebsockets.h>
#include <string.h>

#define INSTEAD_OF(name) __typeof__(name) __wrap_##name
INSTEAD_OF(lws_callback_on_writable);
INSTEAD_OF(lws_set_timeout);
INSTEAD_OF(lws_rx_flow_control);

int __wrap_lws_callback_on_writable(struct lws *wsi)
{
    CHECK(wsi);
    return 1;
}

void __wrap_lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int seconds)
{
    CHECK(wsi && reason && seconds);
}

int __wrap_lws_rx_flow_control(struct lws *wsi, int enable)
{
    CHECK(wsi && (enable == 0 || enable == 1));
    return 0;
}

static const struct identity alice = {
    .user_id = 1,
    .user_created = 1767225600123000,
    .session_id = 7,
    .dialect = DIALECT_CONV,
    .scopes = SCOPES_ALL,
    .username = "alice",
};

/* The one daemon, made at the first call. */
static struct daemon *the_daemon(void)
{
    static struct daemon *d;
    if (d)
        return d;
    d = calloc(1, sizeof *d);
    FILE *nothing = fopen("/dev/null", "re");
    CHECK(d && nothing && config_read_file(nothing, "defaults", stderr, &d->config));
    fclose(nothing);
    log_setup("fuzz", LOG_ERROR, false);
    d->config.message_max = 256; /* within the fuzzer's reach */
    d->config.outbox_max = 65536;
    d->keyring = (struct keyring){.count = 1, .keys = {{"k", "0123456789abcdef0123456789abcdef", 32}}};
    d->loop = ev_loop_new(EVFLAG_AUTO);
    d->hub = hub_new();
    d->revoked = revoked_new(&d->config);
    d->sender = sender_new(d);
    d->queries = pgpipe_new(d->loop, &d->config, "", "queries", (struct pgpipe_owner){0});
    d->presence = presence_new(d);
    d->onlookers = onlookers_new(d);
    d->receipts = receipts_new(d);
    d->posts = posts_new(d);
    d->feed = feed_new(d->loop, &d->config, dispatch_owner(d));
    return d;
}

/* A good token of user 1, for as long as the process lives. */
static const char *good_token(void)
{
    static char *token;
    if (!token)
        token = token_issue(&the_daemon()->keyring, the_daemon()->config.issuer, &alice, 1000000);
    CHECK(token);
    return token;
}

struct conn *sockets_open(const struct dialect_ops *ops)
{
    static char wsi; /* nobody looks inside */
    return conn_new(the_daemon(), (struct lws *)&wsi, ops);
}

void sockets_admit(struct conn *c)
{
    c->me = alice;
    server_admit(c);
}

/* As server.c's on_closed(). */
void sockets_close(struct conn *c)
{
    struct daemon *d = c->daemon;
    hub_leave(d->hub, c);
    typing_closed(c);
    presence_socket_down(c);
    conn_set_state(c, CONN_GONE);
    conn_unref(c);
    for (int i = 0; i < 1000 && sender_backlog(d->sender); i++) { /* what it sent ends with it */
        ev_run(d->loop, EVRUN_NOWAIT);
        database_answer(ANSWER_AWAY);
    }
    CHECK(!sender_backlog(d->sender));
    database_answer(ANSWER_AWAY);
    CHECK(!d->conns && !d->conn_count);
}

void sockets_turn(struct conn *c)
{
    struct frame *f;
    struct input in;
    ev_run(c->daemon->loop, EVRUN_NOWAIT);
    while ((f = outbox_take(&c->outbox))) {
        CHECK(input_parse(&in, (char *)frame_text(f), f->len) == OK);
        input_release(&in);
        frame_unref(f);
    }
}

/* The frame with a token in the place of @@; *len is changed accordingly. Exactly as long. */
static char *fill_in(const char *frame, size_t *len)
{
    const char *token = good_token();
    size_t token_len = strlen(token);
    const char *at = memmem(frame, *len, "@@", 2);
    if (!at)
        return fuzz_bytes(frame, *len);
    size_t before = (size_t)(at - frame), after = *len - before - 2;
    char *filled = malloc(*len + token_len - 2);
    CHECK(filled);
    memcpy(filled, frame, before);
    memcpy(filled + before, token, token_len);
    memcpy(filled + before + token_len, at + 2, after);
    *len += token_len - 2;
    return filled;
}

int sockets_fuzz(const struct dialect_ops *ops, const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct conn *c = sockets_open(ops);
    enum answer how = data[0] & 3;
    database_up = !(data[0] & 4);
    if (!(data[0] & 8) || ops->bad_token != BAD_TOKEN_FRAME)
        sockets_admit(c);
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    while (at <= end && c->state < CONN_CLOSING) {
        const char *next = memchr(at, 0x1e, (size_t)(end - at));
        size_t len = (size_t)((next ? next : end) - at);
        char *frame = fill_in(at, &len);
        dialect_frame(c, frame, len);
        free(frame);
        if (c->state == CONN_GREETING)
            conn_close(c, ERR_UNAUTHORIZED); /* as server.c's on_frame() */
        sockets_turn(c);
        database_answer(how);
        sockets_turn(c);
        at = next ? next + 1 : end + 1;
    }
    sockets_close(c);
    return 0;
}
