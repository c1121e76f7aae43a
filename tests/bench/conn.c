/*
 * conn.c - thousands of WebSocket client connections in one process.
 *
 * Whole frames are taken straight from one big buffer; only a remainder is kept with its
 * connection, so an idle socket costs next to nothing. Nothing here knows what the messages mean.
 */
#include "conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OPENING_MAX 64 /* upgrades under way at a time */
#define OPENING_US  (30 * 1000000LL)

void conns_fault(struct conns *set, const char *what, const void *text, size_t len)
{
    if (set->errors++ < 3)
        fprintf(stderr, "wsload: %s: %.*s\n", what, (int)(len < 400 ? len : 400), (const char *)text);
}

static void watch(struct conns *set, struct conn *c, int op, bool writing)
{
    struct epoll_event ev = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};

    if (epoll_ctl(set->epoll, op, c->fd, &ev) < 0)
        die("epoll_ctl");
}

void conn_write(struct conns *set, struct conn *c, const uint8_t *bytes, size_t len)
{
    ssize_t n = c->out_len ? 0 : send(c->fd, bytes, len, MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        conns_fault(set, "send", strerror(errno), strlen(strerror(errno)));
        return;
    }
    if (n < 0)
        n = 0;
    if ((size_t)n == len)
        return;
    c->out = realloc(c->out, c->out_len + len - (size_t)n);
    if (!c->out)
        die("realloc");
    memcpy(c->out + c->out_len, bytes + n, len - (size_t)n);
    c->out_len += len - (size_t)n;
    watch(set, c, EPOLL_CTL_MOD, true);
}

static void flush(struct conns *set, struct conn *c)
{
    ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);

    if (n <= 0)
        return;
    c->out_len -= (size_t)n;
    memmove(c->out, c->out + n, c->out_len);
    if (!c->out_len)
        watch(set, c, EPOLL_CTL_MOD, false);
}

static void start(struct conns *set, struct conn *c)
{
    char head[4096];
    size_t n = ws_upgrade_put(head, sizeof(head), c->path);

    c->fd = wire_connect(set->target);
    if (c->fd < 0 || !n)
        die(set->target);
    watch(set, c, EPOLL_CTL_ADD, false);
    conn_write(set, c, (uint8_t *)head, n);
}

static void take_frame(struct conns *set, struct conn *c, const struct ws_frame *f)
{
    uint8_t pong[160];
    char code[32];

    if (f->opcode == WS_TEXT) {
        set->on_text(set, c, f);
    } else if (f->opcode == WS_PING && f->len < 126) {
        conn_write(set, c, pong, ws_frame_put(pong, WS_PONG, f->payload, f->len));
    } else if (f->opcode == WS_CLOSE) {
        bool coded = f->len >= 2;

        snprintf(code, sizeof(code), "closed by the server, %d", coded ? f->payload[0] << 8 | f->payload[1] : 0);
        conns_fault(set, code, f->payload + (coded ? 2 : 0), f->len - (coded ? 2 : 0));
    }
}

/* Consume the upgrade's answer and whole frames; returns how many bytes were used. */
static size_t take_bytes(struct conns *set, struct conn *c, const uint8_t *buf, size_t len)
{
    struct ws_frame f;
    size_t used = 0;
    int got;

    if (!c->open) {
        long head = ws_upgrade_get((const char *)buf, len);

        if (head < 0) {
            fprintf(stderr, "wsload: upgrade refused: %.*s\n", (int)(len < 600 ? len : 600), buf);
            exit(1);
        }
        if (head == 0)
            return 0;
        c->open = true;
        set->n_open++;
        used = (size_t)head;
    }
    while ((got = ws_frame_get(buf + used, len - used, &f)) > 0) {
        take_frame(set, c, &f);
        used += f.consumed;
    }
    if (got < 0) {
        conns_fault(set, "not a frame we know", "", 0);
        used = len;
    }
    return used;
}

static void readable(struct conns *set, struct conn *c)
{
    size_t have = c->in_len, used;
    ssize_t n;

    if (have)
        memcpy(set->chunk, c->in, have);
    n = recv(c->fd, set->chunk + have, CHUNK - have, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conns_fault(set, "connection lost", c->path, strcspn(c->path, "?"));
        close(c->fd);
        c->fd = -1;
        return;
    }
    have += (size_t)n;
    used = take_bytes(set, c, set->chunk, have);
    if (have == used && !c->in_len)
        return;
    c->in = realloc(c->in, have - used + 1);
    if (!c->in)
        die("realloc");
    memcpy(c->in, set->chunk + used, have - used);
    c->in_len = have - used;
}

void conns_turn(struct conns *set, int timeout_ms)
{
    struct epoll_event ev[256];
    int n = epoll_wait(set->epoll, ev, 256, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;

        if (c->fd >= 0 && (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            readable(set, c);
        if (c->fd >= 0 && (ev[i].events & EPOLLOUT))
            flush(set, c);
    }
}

void conns_open(struct conns *set)
{
    int64_t give_up = now_us() + OPENING_US;

    set->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int started = 0; set->n_open < set->n;) {
        while (started < set->n && started - set->n_open < OPENING_MAX)
            start(set, &set->all[started++]);
        conns_turn(set, 1000);
        if (now_us() > give_up || set->errors) {
            fprintf(stderr, "wsload: only %d of %d sockets opened\n", set->n_open, set->n);
            exit(1);
        }
    }
}
