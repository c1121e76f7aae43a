/* The life of a socket after the handshake, without knowledge of what its frames mean. */
#include "ws-daemon/conn.h"

#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/replay.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { PENDING_MOST = 64 };

struct conn *conn_new(struct daemon *d, struct lws *wsi, const struct dialect_ops *ops)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->daemon = d;
    c->wsi = wsi;
    c->ops = ops;
    c->refs = 1;
    c->state = CONN_GREETING;
    c->opened_at = c->heard_at = c->tokens_at = time_seconds();
    c->tokens = d->config.socket_burst;
    c->outbox.total = c->held.total = &d->outbox_bytes;
    DL_APPEND(d->conns, c);
    d->conn_count++;
    metric_add(METRIC_SOCKETS, (int)ops->dialect, 1);
    metric_add(METRIC_SOCKETS_OPENED, (int)ops->dialect, 1);
    return c;
}

struct conn *conn_ref(struct conn *c)
{
    c->refs++;
    return c;
}

void conn_unref(struct conn *c)
{
    if (--c->refs)
        return;
    free(c->dialect_state);
    replay_free(c);
    free(c);
}

void conn_set_state(struct conn *c, enum conn_state state)
{
    static const bool possible[CONN_GONE + 1][CONN_GONE + 1] = {
        [CONN_GREETING] = {[CONN_REPLAY] = true, [CONN_LIVE] = true, [CONN_CLOSING] = true, [CONN_GONE] = true},
        [CONN_REPLAY] = {[CONN_LIVE] = true, [CONN_CLOSING] = true, [CONN_GONE] = true},
        [CONN_LIVE] = {[CONN_CLOSING] = true, [CONN_GONE] = true},
        [CONN_CLOSING] = {[CONN_GONE] = true},
    };
    if (!possible[c->state][state]) {
        log_event(LOG_ERROR, "impossible_state", log_int("from", c->state), log_int("to", state));
        abort();
    }
    c->state = state;
    if (state == CONN_GONE) {
        DL_DELETE(c->daemon->conns, c);
        c->daemon->conn_count--;
        metric_add(METRIC_SOCKETS, (int)c->ops->dialect, -1);
        outbox_release(&c->outbox);
        outbox_release(&c->held);
        free(c->in);
        free(c->since);
        c->in = c->since = NULL;
        c->wsi = NULL;
    }
}

static size_t waiting_bytes(const struct conn *c)
{
    return c->outbox.bytes + c->held.bytes;
}

static void too_slow(struct conn *c)
{
    outbox_release(&c->outbox);
    outbox_release(&c->held);
    metric_error(ERR_TOO_SLOW);
    conn_close(c, ERR_TOO_SLOW);
}

/* All together wait for too much. Who is furthest behind pays, not who happens to be next. */
static void shed(struct daemon *d)
{
    struct conn *c, *most = d->conns;
    DL_FOREACH (d->conns, c)
        if (waiting_bytes(c) > waiting_bytes(most))
            most = c;
    too_slow(most);
}

static void put(struct conn *c, struct outbox *box, struct frame *f)
{
    struct daemon *d = c->daemon;
    size_t max = (size_t)d->config.outbox_max;
    if (waiting_bytes(c) + f->len > max || outbox_push(box, f, max) != OK) {
        too_slow(c);
        return;
    }
    if (d->outbox_bytes > (size_t)d->config.outbox_total)
        shed(d);
    if (box == &c->outbox && c->state != CONN_CLOSING)
        lws_callback_on_writable(c->wsi);
}

void conn_push(struct conn *c, struct frame *f)
{
    if (c->state == CONN_LIVE)
        put(c, &c->outbox, f);
    else if (c->state == CONN_REPLAY && c->holding)
        put(c, &c->held, f);
}

void conn_reply(struct conn *c, struct frame *f)
{
    if (c->state < CONN_CLOSING)
        put(c, &c->outbox, f);
}

void conn_error(struct conn *c, enum error e, const char *sentence)
{
    struct frame *f = frame_json(c->ops->error(e, sentence));
    conn_reply(c, f);
    frame_unref(f);
    metric_error(e);
    if (error_close(e))
        conn_close(c, e);
}

void conn_close(struct conn *c, enum error reason)
{
    if (c->state >= CONN_CLOSING)
        return;
    conn_set_state(c, CONN_CLOSING);
    c->reason = reason;
    c->closing_at = time_seconds();
    if (c->paused)
        lws_rx_flow_control(c->wsi, 1); /* what still comes is read, and thrown away */
    lws_callback_on_writable(c->wsi);
    /* A peer that does not read the close frame is cut off. */
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, 5);
}

void conn_go_live(struct conn *c)
{
    struct frame *f;
    if (c->state == CONN_REPLAY || c->state == CONN_GREETING)
        conn_set_state(c, CONN_LIVE);
    while (c->state == CONN_LIVE && (f = outbox_take(&c->held))) {
        conn_push(c, f);
        frame_unref(f);
    }
}

enum error conn_receive(struct conn *c, const char *bytes, size_t len, size_t max)
{
    if (c->in_len + len > max)
        return ERR_BODY_TOO_LARGE;
    if (!c->in || c->in_len + len > c->in_size) {
        size_t size = c->in_size ? c->in_size * 2 : 512;
        while (size < c->in_len + len)
            size *= 2;
        char *in = realloc(c->in, size);
        if (!in)
            abort();
        c->in = in;
        c->in_size = size;
    }
    if (len) /* an empty frame may come without bytes to point to */
        memcpy(c->in + c->in_len, bytes, len);
    c->in_len += len;
    return OK;
}

bool conn_allow_frame(struct conn *c, double now, int rate, int burst)
{
    c->tokens += (now - c->tokens_at) * rate;
    c->tokens_at = now;
    if (c->tokens > burst)
        c->tokens = burst;
    if (c->tokens < 1)
        return false;
    c->tokens -= 1;
    return true;
}

void conn_pending(struct conn *c, int change)
{
    c->pending += change;
    bool pause = c->pending >= (c->paused ? PENDING_MOST / 2 : PENDING_MOST);
    if (pause != c->paused && c->wsi) {
        c->paused = pause;
        lws_rx_flow_control(c->wsi, !pause);
    }
}
