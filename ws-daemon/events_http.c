/* GET /api/v1/events over HTTP/1.1: reading the request, writing the answer in pieces as the client takes
 * them. One answer a connection: behind nginx nothing is gained by more. */
#include "shared/metrics.h"
#include "shared/origin.h"
#include "shared/timefmt.h"
#include "shared/validate.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/head.h"
#include "ws-daemon/tokens.h"
#include "ws-daemon/watcher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    HEADER_MOST = 8192, /* a line of nginx's */
    PIECE = 16384,
};

/* ---- the request ---- */

/* A header; NULL when it is absent, or longer than any that makes sense. */
static const char *header(struct lws *wsi, enum lws_token_indexes token, char buffer[HEADER_MOST])
{
    return lws_hdr_copy(wsi, buffer, HEADER_MOST, token) > 0 ? buffer : NULL;
}

static const char *other_header(struct lws *wsi, const char *name, char buffer[HEADER_MOST])
{
    int len = lws_hdr_custom_length(wsi, name, (int)strlen(name));
    return len > 0 && lws_hdr_custom_copy(wsi, buffer, HEADER_MOST, name, (int)strlen(name)) > 0 ? buffer : NULL;
}

/* Who asks: the header Authorization alone, never the address, which may end in logs and histories. */
static enum error authenticate(struct watcher *w)
{
    char text[HEADER_MOST];
    const char *value = header(w->wsi, WSI_TOKEN_HTTP_AUTHORIZATION, text);
    if (!value || strncasecmp(value, "Bearer ", 7))
        return ERR_UNAUTHORIZED;
    value += 7;
    return tokens_check(w->daemon, value + strspn(value, " "), SCOPE_READ, true, &w->me);
}

/* The parameters: libwebsockets has split and decoded them. */
static enum error read_target(struct watcher *w, struct input *in, struct target *t)
{
    enum error e = OK;
    char text[HEADER_MOST];
    int len;
    *t = (struct target){0};
    for (int i = 0;
         e == OK && (len = lws_hdr_copy_fragment(w->wsi, text, sizeof text, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0; i++) {
        if (!len)
            continue;
        size_t name_len = strcspn(text, "=");
        const char *value = text[name_len] ? text + name_len + 1 : "";
        if (strlen(text) != (size_t)len || !utf8_valid(text, (size_t)len))
            return ERR_INVALID_PARAMETER;
        e = target_add(t, in, arena_strndup(&w->arena, text, name_len),
                       (struct text){arena_strdup(&w->arena, value), strlen(value)});
    }
    return e;
}

static enum error read_request(struct watcher *w, struct input *in)
{
    struct target t;
    char text[HEADER_MOST];
    enum error e;
    w->accept = accept_of(header(w->wsi, WSI_TOKEN_HTTP_ACCEPT, text));
    if ((e = authenticate(w)) || (e = read_target(w, in, &t)))
        return e;
    e = event_request_read(&t, &w->arena, in, other_header(w->wsi, "last-event-id:", text), &w->ask);
    return e == OK ? event_request_narrow(&w->ask, &w->me) : e;
}

/* ---- the peer ---- */

/* libwebsockets does not read while a request is being answered, not even the end of the connection: it
 * would be called for that again and again. So it is told not to look, and we do; but while it does not
 * look, it does not write either. */
void watcher_want_writable(struct watcher *w)
{
    lws_rx_flow_control(w->wsi, 1);
    lws_callback_on_writable(w->wsi);
}

void watcher_drop(struct watcher *w)
{
    w->dead = true;
    ev_io_stop(w->daemon->loop, &w->peer);
    watcher_want_writable(w);
    /* For one that cannot even be written to. */
    lws_set_timeout(w->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
}

/* There is nothing more for the client to say; what it says is thrown away. */
static void on_peer(struct ev_loop *loop, ev_io *io, int revents)
{
    char bytes[4096];
    ssize_t n = recv(io->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    (void)loop;
    (void)revents;
    if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
        watcher_drop(io->data);
}

static void watch_peer(struct watcher *w)
{
    lws_rx_flow_control(w->wsi, 0);
    ev_io_init(&w->peer, on_peer, lws_get_socket_fd(w->wsi), EV_READ);
    w->peer.data = w;
    ev_io_start(w->daemon->loop, &w->peer);
}

int events_request(struct lws *wsi, struct daemon *d, struct watcher **out)
{
    struct input in = {0};
    struct watcher *w = watcher_new(d, wsi);
    char origin[HEADER_MOST];
    *out = w;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0); /* it would be that of a slow request */
    if (header(wsi, WSI_TOKEN_ORIGIN, origin) && strlen(origin) < sizeof w->origin)
        strcpy(w->origin, origin);
    watch_peer(w);
    enum error e = d->stopping ? ERR_UNAVAILABLE : read_request(w, &in);
    if (e == OK)
        watcher_start(w);
    else
        watcher_end(w, e, input_sentence(&in, e));
    return 0;
}

/* ---- the answer ---- */

/* As the workers do it, see cors_headers() in fcgi-app/reply.c. */
static void add_cors(struct head *h, const struct watcher *w)
{
    const char *list = w->daemon->config.cors_origins;
    if (!*list)
        return;
    head_add(h, "vary:", "Origin");
    if (!*w->origin || !origin_allowed(list, w->origin))
        return;
    head_add(h, "access-control-allow-origin:", w->origin);
    head_add(h, "access-control-expose-headers:", "X-Request-Id, X-Next-Cursor, Retry-After");
}

static bool write_head(struct watcher *w)
{
    unsigned char buffer[LWS_PRE + PIECE];
    struct head h;
    struct arena a;
    bool whole = w->last; /* its length is known; a stream ends with the connection */
    head_begin(&h, w->wsi, buffer + LWS_PRE, buffer + sizeof buffer, w->status, w->type,
               whole ? w->out_len : LWS_ILLEGAL_HTTP_CONTENT_LEN);
    if (whole)
        head_add(&h, "connection:", "close");
    if (whole && w->status == 200) {
        arena_init(&a);
        head_add(&h, "x-next-cursor:", position_text(&a, &w->at));
        arena_release(&a);
    }
    head_add(&h, "cache-control:", "no-store");
    head_add(&h, "x-accel-buffering:", "no"); /* to a proxy in between */
    head_add_refusal(&h, w->status, w->challenge);
    add_cors(&h, w);
    w->headed = true;
    metric_request(0, w->status, -1); /* how long it waited says nothing */
    return head_send(&h);
}

/* One piece at a time: the other connections get their turn in between. */
static bool write_piece(struct watcher *w)
{
    unsigned char buffer[LWS_PRE + PIECE];
    size_t n = w->out_len - w->out_at;
    n = n < PIECE ? n : PIECE;
    bool final = w->last && w->out_at + n == w->out_len;
    memcpy(buffer + LWS_PRE, w->out + w->out_at, n);
    w->out_at += n;
    w->wrote_at = time_seconds();
    return lws_write(w->wsi, buffer + LWS_PRE, n, final ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) >= 0;
}

int events_writable(struct watcher *w)
{
    if (w->dead)
        return -1;
    if (w->state != WATCHER_WRITING)
        return 0;
    if (!w->headed) {
        if (!write_head(w))
            return -1;
    } else if (w->out_at < w->out_len) {
        if (!write_piece(w))
            return -1;
    } else if (!watcher_written(w)) {
        return -1; /* all of it has left */
    }
    if (w->state == WATCHER_WRITING)
        lws_callback_on_writable(w->wsi);
    else
        lws_rx_flow_control(w->wsi, 0);
    return 0;
}

void events_closed(struct watcher *w)
{
    watcher_close(w);
}
