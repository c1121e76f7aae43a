/* libwebsockets as a client, with its own poll loop: lws_service() returns after every event, and a clock
 * of ours that ticks is the event that ends a wait. */
#include "ctl/socket.h"

#include "shared/timefmt.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MOST = 16384, TICK_US = 10000 };

struct sockets {
    struct arena *arena;
    struct lws_context *lws;
    const char *host;      /* without the port */
    const char *authority; /* with it */
    int port;
    bool tls;
    lws_sorted_usec_list_t clock;
};

static int append_authorization(struct lws *wsi, const struct socket *k, unsigned char **at, unsigned char *end)
{
    char value[4096];
    if (!k->token)
        return 0;
    int n = snprintf(value, sizeof value, "Bearer %s", k->token);
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, (unsigned char *)value, n, at, end);
}

static void on_frame(struct lws *wsi, struct socket *k, const char *bytes, size_t len)
{
    size_t room = FRAME_MOST - (size_t)k->frame_len;
    len = len < room ? len : room;
    memcpy(k->frame + k->frame_len, bytes, len);
    k->frame_len += (int)len;
    if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi))
        return;
    k->frame[k->frame_len] = 0;
    k->frame_len = 0;
    k->found |= k->awaited && strstr(k->frame, k->awaited);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct socket *k = user;
    const unsigned char *bytes = in;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return append_authorization(wsi, k, in, *(unsigned char **)in + len);
    case LWS_CALLBACK_CLIENT_ESTABLISHED: k->established = true; break;
    case LWS_CALLBACK_CLIENT_RECEIVE: on_frame(wsi, k, in, len); break;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: k->close_code = len >= 2 ? bytes[0] << 8 | bytes[1] : 0; break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        k->error = arena_strndup(k->arena, in ? in : "no connection", in ? len : 13);
        k->status = (int)lws_http_client_http_response(wsi);
        k->wsi = NULL;
        break;
    case LWS_CALLBACK_CLIENT_CLOSED: k->wsi = NULL; break;
    default: break;
    }
    return 0;
}

static const struct lws_protocols protocols[] = {{"parley-doctor", callback, 0, FRAME_MOST, 0, NULL, 0}, {0}};

static void be_quiet(int level, const char *line)
{
    (void)level;
    (void)line;
}

/* http://host:port/… without user information; IPv6 in brackets. */
static bool read_url(struct sockets *s, const char *url)
{
    const char *scheme = strstr(url, "://");
    s->tls = !strncmp(url, "https:", 6);
    if (!scheme)
        return false;
    char *rest = arena_strdup(s->arena, scheme + 3);
    rest[strcspn(rest, "/?#")] = 0;
    s->authority = arena_strdup(s->arena, rest);
    char *bracket = strrchr(rest, ']'), *colon = strrchr(bracket ? bracket : rest, ':');
    s->port = colon ? atoi(colon + 1) : s->tls ? 443 : 80;
    if (colon)
        *colon = 0;
    if (bracket)
        *bracket = 0;
    s->host = bracket ? rest + 1 : rest;
    return *s->host && s->port > 0;
}

/* Always runs: lws_service() calls timers that are due before it waits, and without another one it would wait
 * for the daemon's next ping. */
static void on_tick(lws_sorted_usec_list_t *clock)
{
    struct sockets *s = lws_container_of(clock, struct sockets, clock);
    lws_sul_schedule(s->lws, 0, clock, on_tick, TICK_US);
}

struct sockets *sockets_new(struct arena *a, const char *url, const char *cacert)
{
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                             .protocols = protocols,
                                             .client_ssl_ca_filepath = cacert,
                                             .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT};
    struct sockets *s = arena_alloc(a, sizeof *s);
    s->arena = a;
    if (!read_url(s, url))
        return NULL;
    lws_set_log_level(LLL_ERR, be_quiet);
    s->lws = lws_create_context(&info);
    if (!s->lws)
        return NULL;
    on_tick(&s->clock);
    return s;
}

void sockets_free(struct sockets *s)
{
    if (s)
        lws_context_destroy(s->lws);
}

/* One event or tick; false: the wait is over. */
static bool wait_until(struct sockets *s, int64_t deadline)
{
    if (time_steady() >= deadline)
        return false;
    lws_service(s->lws, 0);
    return true;
}

static int64_t after(double seconds)
{
    return time_steady() + (int64_t)(seconds * 1e6);
}

struct socket *socket_open(struct sockets *s, const char *path, const char *token, double seconds)
{
    struct socket *k = arena_alloc(s->arena, sizeof *k);
    int64_t deadline = after(seconds);
    *k = (struct socket){.arena = s->arena, .token = token, .frame = arena_alloc(s->arena, FRAME_MOST + 1)};
    struct lws_client_connect_info info = {.context = s->lws,
                                           .address = s->host,
                                           .port = s->port,
                                           .path = path,
                                           .host = s->authority,
                                           .userdata = k,
                                           .pwsi = &k->wsi,
                                           .local_protocol_name = protocols[0].name,
                                           .ssl_connection = s->tls ? LCCSCF_USE_SSL : 0};
    lws_client_connect_via_info(&info);
    while (!k->established && !k->error && wait_until(s, deadline))
        ;
    if (!k->established && !k->error)
        k->error = "no answer in time";
    return k;
}

void socket_expect(struct socket *k, const char *text)
{
    k->awaited = text;
    k->found = false;
}

bool socket_await(struct sockets *s, struct socket *k, double seconds)
{
    int64_t deadline = after(seconds);
    while (!k->found && k->wsi && wait_until(s, deadline))
        ;
    return k->found;
}

bool socket_closes(struct sockets *s, struct socket *k, double seconds)
{
    int64_t deadline = after(seconds);
    while (k->wsi && wait_until(s, deadline))
        ;
    return !k->wsi;
}
