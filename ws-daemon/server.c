/* One callback, one switch, set-up and tear-down side by side. A handshake is decided from its headers
 * alone, in FILTER_PROTOCOL_CONNECTION: before the upgrade, without waiting for anything. */
#include "ws-daemon/server.h"

#include "shared/listen.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/origin.h"
#include "shared/timefmt.h"
#include "shared/view.h"
#include "ws-daemon/addresses.h"
#include "ws-daemon/conn.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/dialect.h"
#include "ws-daemon/events.h"
#include "ws-daemon/head.h"
#include "ws-daemon/hub.h"
#include "ws-daemon/listener.h"
#include "ws-daemon/presence.h"
#include "ws-daemon/receipts.h"
#include "ws-daemon/replay.h"
#include "ws-daemon/tokens.h"
#include "ws-daemon/typing.h"

#include <json-c/json.h>
#include <libwebsockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TOKEN_MOST = 8192,    /* as a line of nginx's: the arguments before it are copied to the same place */
    HEADERS_MOST = 40960, /* nginx lets 32 kB through, and libwebsockets just hangs up on more than this */
    WRITES_PER_TURN = 32, /* frames one socket may write before the others get their turn */
    AUTH_WITHIN_S = 10,
    PING_AFTER_S = 25,
    DROP_AFTER_S = 60,
    RETURN_LEAST_MS = 1000,
    RETURN_MOST_MS = 30000,
};

static const double LINGER_QUIET_S = 0.1, LINGER_MOST_S = 3;

/* libwebsockets' per-socket memory: all of ours is behind it. */
struct session {
    struct conn *conn;
    struct watcher *watcher; /* or this, on HTTP */
};

static struct daemon *daemon_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* ---- the handshake ---- */

struct handshake {
    const struct dialect_ops *ops; /* who will speak */
    struct identity me;
    enum error token; /* OK, or what is wrong with it */
    bool has_token;
    char text[TOKEN_MOST];
};

/* The token, from `Authorization: Bearer` or `?token=`. */
static bool find_token(struct lws *wsi, struct handshake *h)
{
    int len = lws_hdr_copy(wsi, h->text, sizeof h->text, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (len > 7 && !strncasecmp(h->text, "Bearer ", 7)) {
        const char *token = h->text + 7 + strspn(h->text + 7, " ");
        memmove(h->text, token, strlen(token) + 1);
        return true;
    }
    const char *value = lws_get_urlarg_by_name(wsi, "token=", h->text, sizeof h->text);
    if (!value)
        return false;
    memmove(h->text, value, strlen(value) + 1);
    return true;
}

/* Who speaks: the subprotocol's dialect, or the path's, or that of the API that issued the token. */
static bool choose_dialect(struct lws *wsi, struct handshake *h)
{
    char path[64];
    const struct dialect_ops *by_path;
    int len = lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI);
    if (len <= 0 || !dialect_of_path(path, &by_path))
        return false;
    h->ops = dialect_ops_by_subprotocol(lws_get_protocol(wsi)->name);
    if (!h->ops)
        h->ops = by_path ? by_path : h->token == OK ? dialect_ops_of(h->me.dialect) : NULL;
    return true;
}

/* A page's origin has to be our own or a listed one; other clients send none. */
static bool origin_good(struct lws *wsi, const struct daemon *d)
{
    char origin[256], host[256];
    if (!lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN))
        return true;
    if (lws_hdr_copy(wsi, origin, sizeof origin, WSI_TOKEN_ORIGIN) < 0)
        return false;
    return origin_allowed(d->config.cors_origins, origin) ||
           (lws_hdr_copy(wsi, host, sizeof host, WSI_TOKEN_HOST) > 0 && origin_is_host(origin, host));
}

/* The front door's id of the request, "" without one. */
static void find_request_id(struct lws *wsi, char *out, int size)
{
    static const char name[] = "x-request-id:";
    if (lws_hdr_custom_copy(wsi, out, size, name, sizeof name - 1) < 0)
        *out = 0;
}

/* Counts the socket where the front door says it comes from; one past it is not counted. */
static bool address_good(struct lws *wsi, const struct daemon *d, struct address **out)
{
    char address[64];
    if (lws_hdr_copy(wsi, address, sizeof address, WSI_TOKEN_HTTP_X_REAL_IP) <= 0)
        return true;
    *out = address_join(d->addresses, address, d->config.sockets_per_address);
    return *out;
}

/* Refuses the request with the error's HTTP status and the JSON body; the connection ends. */
static int refuse(struct lws *wsi, enum error e)
{
    unsigned char buffer[LWS_PRE + 2048];
    struct json_object *problem = view_problem(e, error_sentence(e));
    size_t len;
    const char *body = json_object_to_json_string_length(problem,
                                                         JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    struct head h;
    char request_id[33];
    find_request_id(wsi, request_id, sizeof request_id);
    metric_error(e);
    log_event(LOG_INFO, "socket_refused", log_text("request_id", request_id), log_text("code", error_code(e)));
    head_begin(&h, wsi, buffer + LWS_PRE, buffer + sizeof buffer, error_status(e), "application/problem+json", len);
    head_add_refusal(&h, error_status(e), view_challenge(e));
    if (e == ERR_UPGRADE) /* RFC 9110, 15.5.22 */
        head_add(&h, "upgrade:", "websocket");
    if (head_send(&h)) {
        memcpy(buffer + LWS_PRE, body, len);
        lws_write(wsi, buffer + LWS_PRE, len, LWS_WRITE_HTTP_FINAL);
    }
    json_object_put(problem);
    return 1;
}

static void remember_since(struct lws *wsi, struct conn *c)
{
    char since[TOKEN_MOST]; /* every argument before it is copied here too */
    const char *value = lws_get_urlarg_by_name(wsi, "since=", since, sizeof since);
    if (value)
        c->since = strdup(value);
}

static int on_handshake(struct lws *wsi, struct session *s)
{
    struct daemon *d = daemon_of(wsi);
    struct handshake h = {.token = ERR_UNAUTHORIZED};
    struct address *address = NULL;
    h.has_token = find_token(wsi, &h);
    if (h.has_token)
        h.token = tokens_check(d, h.text, SCOPE_READ, false, &h.me);
    if (!choose_dialect(wsi, &h))
        return refuse(wsi, ERR_NOT_FOUND);
    if (!origin_good(wsi, d))
        return refuse(wsi, ERR_ORIGIN);
    if (!d->serving)
        return refuse(wsi, ERR_UNAVAILABLE);
    if (h.token == ERR_INSUFFICIENT_SCOPE)
        return refuse(wsi, h.token);
    if (h.token != OK && (!h.ops || h.ops->bad_token == BAD_TOKEN_HTTP))
        return refuse(wsi, h.token == ERR_DISABLED ? h.token : ERR_UNAUTHORIZED);
    if (!address_good(wsi, d, &address))
        return refuse(wsi, ERR_TOO_MANY_FROM_ADDRESS);
    s->conn = conn_new(d, wsi, h.ops);
    s->conn->address = address;
    find_request_id(wsi, s->conn->request_id, sizeof s->conn->request_id);
    if (h.token == OK)
        s->conn->me = h.me;
    else if (h.has_token || h.ops->bad_token == BAD_TOKEN_CLOSE)
        s->conn->reason = h.token;
    remember_since(wsi, s->conn);
    return 0;
}

void server_admit(struct conn *c)
{
    struct daemon *d = c->daemon;
    enum error e = hub_join(d->hub, c, d->config.sockets_per_user);
    if (e != OK) {
        conn_error(c, e, error_sentence(e));
        return;
    }
    log_event(LOG_INFO, "socket_opened", log_text("request_id", c->request_id), log_int("user", c->me.user_id),
              log_text("dialect", dialect_name(c->ops->dialect)), log_int("sockets", d->conn_count));
    presence_socket_up(c);
    if (c->ops->opened)
        c->ops->opened(c);
    replay_start(c);
}

enum error server_authenticate(struct conn *c, struct input *in)
{
    struct daemon *d = c->daemon;
    struct identity who = {0};
    struct text token;
    enum error e = input_text(in, "token", &token);
    if (e == OK)
        e = tokens_check(d, token.s, SCOPE_READ, false, &who);
    if (e == OK && c->me.user_id && c->me.user_id != who.user_id)
        e = ERR_UNAUTHORIZED;
    if (e == OK)
        c->me = who;
    return e;
}

static void on_established(struct conn *c)
{
    if (c->daemon->stopping)
        conn_close(c, ERR_GOING_AWAY); /* it was accepted in the last moment */
    else if (c->reason != OK && c->ops->bad_token == BAD_TOKEN_FRAME)
        conn_error(c, c->reason, error_sentence(c->reason));
    else if (c->reason != OK)
        conn_close(c, c->reason);
    else if (c->me.user_id)
        server_admit(c);
}

static void on_closed(struct session *s)
{
    struct conn *c = s->conn;
    if (!c)
        return;
    log_event(LOG_INFO, "socket_closed", log_text("request_id", c->request_id), log_int("user", c->me.user_id),
              log_text("dialect", dialect_name(c->ops->dialect)),
              log_text("reason", c->dead                    ? "silent"
                                 : c->state == CONN_CLOSING ? error_code(c->reason)
                                                            : "peer"));
    metric_socket_closed(c->state == CONN_CLOSING ? c->reason : OK, c->dead);
    address_leave(c->daemon->addresses, c->address);
    hub_leave(c->daemon->hub, c);
    typing_closed(c);
    presence_socket_down(c);
    conn_set_state(c, CONN_GONE);
    s->conn = NULL;
    conn_unref(c);
}

/* ---- frames ---- */

/* All come back within this time: a thousand a second is what a daemon greets in its stride, and who
 * has waited for half a minute has waited long enough. */
static int return_within_ms(const struct daemon *d)
{
    return d->conn_count < RETURN_MOST_MS - RETURN_LEAST_MS ? RETURN_LEAST_MS + d->conn_count : RETURN_MOST_MS;
}

/* The reason beside the close code: the error's code, and when the client had best come back. */
static void reason_text(const struct conn *c, char *text, size_t size)
{
    const struct daemon *d = c->daemon;
    int within = d->stopping ? d->return_within_ms : return_within_ms(d);
    if (c->reason == ERR_GOING_AWAY)
        snprintf(text, size, "%s retry_after_ms=%d", error_code(c->reason), (int)(drand48() * within));
    else
        snprintf(text, size, "%s", error_code(c->reason));
}

/* Asked once: a second time would hang up at once, and a peer (or the proxy) that writes at that moment
 * would never read the close frame. */
static int close_now(struct conn *c)
{
    char why[100]; /* a close frame has room for 123 bytes */
    if (c->leaving)
        return 0;
    c->leaving = true;
    reason_text(c, why, sizeof why);
    lws_close_reason(c->wsi, (enum lws_close_status)error_close(c->reason), (unsigned char *)why, strlen(why));
    return -1;
}

/* A peer that floods us is still sending when we close. What it has sent has to be read first, or its
 * system, and any proxy between, gets a reset and throws our last frames away unread. */
static bool lingers(const struct conn *c)
{
    double now = time_seconds();
    return (c->reason == ERR_RATE_LIMITED || c->reason == ERR_BODY_TOO_LARGE) && now - c->heard_at < LINGER_QUIET_S &&
           now - c->closing_at < LINGER_MOST_S;
}

static void on_linger(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct daemon *d = w->data;
    bool any = false;
    (void)revents;
    for (struct conn *c = d->conns; c; c = c->next)
        if (c->state == CONN_CLOSING) {
            any = true;
            lws_callback_on_writable(c->wsi);
        }
    if (!any)
        ev_timer_stop(loop, w);
}

static int linger(struct conn *c)
{
    struct daemon *d = c->daemon;
    if (ev_is_active(&d->linger))
        return 0;
    ev_timer_init(&d->linger, on_linger, LINGER_QUIET_S / 2, LINGER_QUIET_S / 2);
    d->linger.data = d;
    ev_timer_start(d->loop, &d->linger);
    return 0;
}

static int on_writable(struct conn *c)
{
    struct frame *f;
    unsigned char ping[LWS_PRE + 1]; /* libwebsockets does not tell of a pong that is empty */
    if (c->dead)
        return -1;
    if (c->ping_due) {
        c->ping_due = false;
        ping[LWS_PRE] = 'p';
        if (lws_write(c->wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0)
            return -1;
    }
    for (int i = 0; i < WRITES_PER_TURN && (f = outbox_take(&c->outbox)); i++) {
        int n = lws_write(c->wsi, frame_text(f), f->len, LWS_WRITE_TEXT);
        metric_add(METRIC_FRAMES_OUT, 0, n >= 0);
        if (n >= 0 && f->seq && !c->behind)
            receipts_shown(c, f->conversation_id, f->seq);
        frame_unref(f);
        if (n < 0)
            return -1;
        if (lws_partial_buffered(c->wsi)) /* the socket is full; asking it first costs a system call */
            break;
    }
    if (!outbox_is_empty(&c->outbox))
        lws_callback_on_writable(c->wsi);
    else if (c->state == CONN_CLOSING)
        return lingers(c) ? linger(c) : close_now(c);
    else
        replay_continue(c);
    return 0;
}

/* JSON escapes make a character six bytes at most. Who is not authenticated has only a token to send. */
static size_t frame_max(const struct conn *c)
{
    return (c->state == CONN_GREETING ? 0 : (size_t)c->daemon->config.message_max * 6) + 8192;
}

static void on_frame(struct conn *c, bool binary)
{
    struct daemon *d = c->daemon;
    metric_add(METRIC_FRAMES_IN, 0, 1);
    if (!conn_allow_frame(c, time_seconds(), d->config.socket_rate, d->config.socket_burst))
        conn_error(c, ERR_RATE_LIMITED, error_sentence(ERR_RATE_LIMITED));
    else if (binary)
        conn_error(c, ERR_BAD_JSON, "only text frames are understood");
    else
        dialect_frame(c, c->in, c->in_len);
    if (c->state == CONN_GREETING)
        conn_close(c, ERR_UNAUTHORIZED); /* there is one try to authenticate */
    c->in_len = 0;
    if (c->in_size > 4096) {
        free(c->in);
        c->in = NULL;
        c->in_size = 0;
    }
}

static int on_receive(struct conn *c, const char *bytes, size_t len)
{
    c->heard_at = time_seconds();
    if (c->state >= CONN_CLOSING)
        return 0;
    if (conn_receive(c, bytes, len, frame_max(c)) != OK) {
        conn_error(c, ERR_BODY_TOO_LARGE, "the frame is too large");
        return 0;
    }
    if (lws_is_final_fragment(c->wsi) && !lws_remaining_packet_payload(c->wsi))
        on_frame(c, lws_frame_is_binary(c->wsi));
    return 0;
}

/* A request that is no handshake: for events, or from somebody who took a socket's path for one of REST, or whose proxy
 * keeps the Upgrade header to itself. */
static int on_http(struct lws *wsi, struct session *s)
{
    char path[32];
    const struct dialect_ops *ops;
    if (!daemon_of(wsi)->serving)
        return refuse(wsi, ERR_UNAVAILABLE) ? -1 : 0;
    if (lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) <= 0)
        return refuse(wsi, ERR_NOT_FOUND) ? -1 : 0;
    if (!strcmp(path, "/api/v1/events"))
        return events_request(wsi, daemon_of(wsi), &s->watcher);
    return refuse(wsi, dialect_of_path(path, &ops) ? ERR_UPGRADE : ERR_NOT_FOUND) ? -1 : 0;
}

static void on_http_closed(struct session *s)
{
    if (s->watcher)
        events_closed(s->watcher);
    s->watcher = NULL;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct session *s = user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return on_handshake(wsi, s);
    case LWS_CALLBACK_ESTABLISHED: on_established(s->conn); break;
    case LWS_CALLBACK_SERVER_WRITEABLE: return s->conn ? on_writable(s->conn) : 0;
    case LWS_CALLBACK_RECEIVE_PONG:
        if (s->conn)
            s->conn->heard_at = time_seconds();
        break;
    case LWS_CALLBACK_RECEIVE: return s->conn ? on_receive(s->conn, in, len) : 0;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        if (s) {
            on_closed(s);
            on_http_closed(s);
        }
        break;
    case LWS_CALLBACK_HTTP: return on_http(wsi, s);
    case LWS_CALLBACK_HTTP_WRITEABLE: return s->watcher ? events_writable(s->watcher) : 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, len);
    }
    return 0;
}

/* ---- the context ---- */

#define PROTOCOL(name)                                                                                                 \
    {                                                                                                                  \
        name, callback, sizeof(struct session), 4096, 0, NULL, 0                                                       \
    }
static const struct lws_protocols protocols[] = {
    PROTOCOL("parley"),
    PROTOCOL("chat.dm"),
    PROTOCOL("chat.conv"),
    PROTOCOL("chat.p2p"),
    PROTOCOL("chat.rooms"),
    PROTOCOL("chat.groups"),
    {0},
};

/* Its warning of each handshake we refuse is no news: refuse() has said so, and why. */
static void log_lws(int level, const char *line)
{
    char text[256];
    if (strstr(line, "User code denied connection"))
        return;
    snprintf(text, sizeof text, "%s", line);
    text[strcspn(text, "\n")] = 0;
    log_event(level == LLL_ERR ? LOG_ERROR : LOG_WARN, "libwebsockets", log_text("message", text));
}

bool server_new(struct daemon *d)
{
    void *loops[] = {d->loop};
    struct lws_context_creation_info info = {0};
    lws_set_log_level(LLL_ERR | LLL_WARN, log_lws);
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_VALIDATE_UTF8;
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.foreign_loops = loops;
    info.protocols = protocols;
    info.max_http_header_data = HEADERS_MOST;
    info.user = d;
    d->lws = lws_create_context(&info);
    return d->lws != NULL;
}

void server_ready(struct daemon *d, enum server_part part)
{
    d->ready |= part;
    if (d->ready != PARTS_ALL || d->serving || d->stopping)
        return;
    char name[LISTEN_NAME_SIZE];
    d->serving = true;
    metric_set(METRIC_SERVING, 0, 1);
    listener_accept(d);
    listen_name(d->listener.io.fd, name);
    log_event(LOG_NOTICE, "listening", log_text("address", name));
}

void server_stop(struct daemon *d)
{
    d->stopping = true;
    metric_set(METRIC_SERVING, 0, 0);
    d->return_within_ms = return_within_ms(d);
    listener_close(d);
    events_stop(d);
    for (struct conn *c = d->conns, *next; c; c = next) {
        next = c->next;
        conn_close(c, ERR_GOING_AWAY);
    }
}

void server_free(struct daemon *d)
{
    if (d->lws)
        lws_context_destroy(d->lws);
    d->lws = NULL;
}

/* Ends a connection that is dead. libwebsockets' timeout is for one that cannot even be written to. */
static void drop(struct conn *c)
{
    c->dead = true;
    lws_callback_on_writable(c->wsi);
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_WS_PONG_CHECK_GET_PONG, LWS_TO_KILL_ASYNC);
}

void server_sweep(struct daemon *d)
{
    int64_t now = (int64_t)ev_now(d->loop);
    events_sweep(d);
    for (struct conn *c = d->conns, *next; c; c = next) {
        next = c->next;
        if (c->paused)
            c->heard_at = time_seconds(); /* it is us who do not listen */
        if (time_seconds() - c->heard_at >= DROP_AFTER_S)
            drop(c);
        else if (c->me.user_id && c->me.expires <= now)
            conn_close(c, ERR_UNAUTHORIZED);
        else if (c->state == CONN_GREETING && time_seconds() - c->opened_at > AUTH_WITHIN_S)
            conn_error(c, ERR_UNAUTHORIZED, "authentication took too long");
        else if (time_seconds() - c->heard_at >= PING_AFTER_S && time_seconds() - c->pinged_at >= PING_AFTER_S) {
            c->pinged_at = time_seconds();
            c->ping_due = true;
            lws_callback_on_writable(c->wsi);
        }
    }
}
