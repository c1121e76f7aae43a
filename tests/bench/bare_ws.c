/*
 * bare_ws.c - the least a libwebsockets server can do: echo each frame, or hand it to every socket.
 *
 * What Parley's daemon is measured against: the same library, the same libev loop, no tokens, no
 * database, no JSON. A message is rendered once, shared by reference, and written from WRITEABLE
 * for as long as the kernel takes more.
 */
#include <ev.h>
#include <libwebsockets.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct message {
    int refs;
    size_t len;
    unsigned char bytes[]; /* LWS_PRE bytes of room, then the text */
};

struct session {
    struct lws *wsi;
    struct session *next, **link; /* list of all sessions */
    struct message *partial;      /* what has arrived of a frame so far */
    struct message **queue;       /* ring */
    size_t head, count, cap;
};

struct hub {
    bool broadcast;
    struct session *sessions;
};

static void unref(struct message *m)
{
    if (--m->refs == 0)
        free(m);
}

static void push(struct session *s, struct message *m)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct message **q = malloc(cap * sizeof(*q));

        if (!q)
            abort();
        for (size_t i = 0; i < s->count; i++)
            q[i] = s->queue[(s->head + i) % s->cap];
        free(s->queue);
        s->queue = q;
        s->head = 0;
        s->cap = cap;
    }
    s->queue[(s->head + s->count++) % s->cap] = m;
    m->refs++;
    lws_callback_on_writable(s->wsi);
}

/* libwebsockets hands over a frame in pieces when it straddles a read. */
static struct message *assemble(struct session *s, const void *piece, size_t len)
{
    size_t have = s->partial ? s->partial->len : 0;
    struct message *m = realloc(s->partial, sizeof(*m) + LWS_PRE + have + len);

    if (!m)
        abort();
    m->refs = 1;
    m->len = have + len;
    memcpy(m->bytes + LWS_PRE + have, piece, len);
    s->partial = m;
    if (!lws_is_final_fragment(s->wsi) || lws_remaining_packet_payload(s->wsi))
        return NULL;
    s->partial = NULL;
    return m;
}

static void receive(struct hub *hub, struct session *s, const void *piece, size_t len)
{
    struct message *m = assemble(s, piece, len);

    if (!m)
        return;
    if (!hub->broadcast)
        push(s, m);
    else
        for (struct session *to = hub->sessions; to; to = to->next)
            push(to, m);
    unref(m);
}

static int writeable(struct session *s)
{
    while (s->count) {
        struct message *m = s->queue[s->head];

        if (lws_write(s->wsi, m->bytes + LWS_PRE, m->len, LWS_WRITE_TEXT) < (int)m->len)
            return -1;
        s->head = (s->head + 1) % s->cap;
        s->count--;
        unref(m);
        if (s->count && lws_send_pipe_choked(s->wsi)) {
            lws_callback_on_writable(s->wsi);
            break;
        }
    }
    return 0;
}

static void session_end(struct session *s)
{
    while (s->count) {
        unref(s->queue[s->head]);
        s->head = (s->head + 1) % s->cap;
        s->count--;
    }
    free(s->queue);
    free(s->partial);
    *s->link = s->next;
    if (s->next)
        s->next->link = s->link;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct hub *hub = lws_context_user(lws_get_context(wsi));
    struct session *s = user;

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
        *s = (struct session){.wsi = wsi, .next = hub->sessions, .link = &hub->sessions};
        if (s->next)
            s->next->link = &s->next;
        hub->sessions = s;
        break;
    case LWS_CALLBACK_CLOSED:
        if (s->link) /* a refused upgrade is closed without having been established */
            session_end(s);
        break;
    case LWS_CALLBACK_RECEIVE: receive(hub, s, in, len); break;
    case LWS_CALLBACK_SERVER_WRITEABLE: return writeable(s);
    default: break;
    }
    return 0;
}

static void on_term(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    static const struct lws_protocols protocols[] = {
        {"bare", callback, sizeof(struct session), 4096, 0, NULL, 0},
        {NULL, NULL, 0, 0, 0, NULL, 0},
    };
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    void *loops[] = {loop};
    struct hub hub = {0};
    struct lws_context_creation_info info = {
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_UNIX_SOCK,
        .foreign_loops = loops,
        .user = &hub,
    };
    struct lws_context *context;
    ev_signal term;

    if (argc != 3 || (strcmp(argv[1], "echo") != 0 && strcmp(argv[1], "broadcast") != 0)) {
        fprintf(stderr, "usage: bare_ws echo|broadcast SOCKET\n");
        return 2;
    }
    hub.broadcast = strcmp(argv[1], "broadcast") == 0;
    info.iface = argv[2];
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    ev_signal_init(&term, on_term, SIGTERM);
    ev_signal_start(loop, &term);
    lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
    context = lws_create_context(&info);
    if (!context)
        return 1;
    ev_run(loop, 0);
    lws_context_destroy(context);
    return 0;
}
