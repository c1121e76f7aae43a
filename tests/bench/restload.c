/*
 * restload.c - keeps a number of HTTP requests in flight and counts the answers.
 *
 * The requests come ready-made from a file ("<length>\n<bytes>", repeated), so this program knows
 * nothing of tokens or JSON and costs the machine little. Each connection is kept alive, carries
 * one request at a time and takes the file's next request whenever it is free. Run for a time, the
 * file is cycled; with -1 each request goes out once and the answers' bodies are written to -o in
 * order. Prints one JSON line. Exits 1 when any answer was not the expected status.
 */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RESPONSE_MAX 65536
#define SAMPLES_MAX  1000000

struct request {
    const char *bytes;
    size_t len;
};

struct client {
    int fd;
    bool busy;
    size_t request; /* index of the one in flight */
    int64_t sent_at;
    size_t got;
    char in[RESPONSE_MAX];
};

struct load {
    const char *target, *out;
    int expect; /* status of a good answer */
    bool once;
    struct request *requests;
    size_t n_requests, next;
    char **bodies; /* with once: answers by request */
    struct client *clients;
    int n_clients, epoll;
    int64_t from, until; /* the measured span */
    int64_t done;        /* good answers within the span */
    int64_t answered;    /* good answers in all */
    int64_t errors, reconnects, stale;
    uint32_t *samples; /* latencies in µs */
    size_t n_samples;
};

static void parse_requests(struct load *l, char *file, size_t len)
{
    char *at = file, *end = file + len;

    while (at < end) {
        char *body;
        size_t n = strtoul(at, &body, 10);

        if (body == at || *body != '\n' || n > (size_t)(end - body - 1)) {
            fprintf(stderr, "restload: bad request file\n");
            exit(2);
        }
        l->requests = realloc(l->requests, (l->n_requests + 1) * sizeof(*l->requests));
        if (!l->requests)
            die("realloc");
        l->requests[l->n_requests++] = (struct request){body + 1, n};
        at = body + 1 + n;
    }
    if (!l->n_requests || !(l->bodies = calloc(l->n_requests, sizeof(*l->bodies))))
        die("no requests");
}

static void client_open(struct load *l, struct client *c)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    c->fd = wire_connect(l->target);
    if (c->fd < 0)
        die(l->target);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
    c->got = 0;
}

/* Requests are a few hundred bytes and the connection is idle: a short write cannot happen unless
 * something is broken, so it is fatal. */
static void client_write(struct load *l, struct client *c)
{
    const struct request *r = &l->requests[c->request];

    c->sent_at = now_us();
    c->busy = true;
    c->got = 0;
    if (send(c->fd, r->bytes, r->len, MSG_NOSIGNAL) != (ssize_t)r->len && errno != EPIPE && errno != ECONNRESET)
        die("send");
}

static void client_send(struct load *l, struct client *c)
{
    if (l->once ? l->next == l->n_requests : now_us() >= l->until)
        return;
    c->request = l->next++ % l->n_requests;
    client_write(l, c);
}

static void reopen(struct load *l, struct client *c)
{
    close(c->fd);
    client_open(l, c);
    l->reconnects++;
}

/* Head of the header line's value, or NULL; the response's head is NUL-terminated while this runs.
 */
static const char *header(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);

    return at ? at + strlen(name) : NULL;
}

/* Length of the response's head when the whole response is in the buffer, otherwise 0. */
static size_t response_whole(struct client *c, bool *closing)
{
    char *end = memmem(c->in, c->got, "\r\n\r\n", 4);
    const char *v;
    size_t head, have;
    bool whole;

    if (!end)
        return 0;
    head = (size_t)(end - c->in) + 4;
    have = c->got - head;
    *end = '\0';
    v = header(c->in, "\r\nConnection:");
    *closing = v && strncasecmp(v + strspn(v, " "), "close", 5) == 0;
    v = header(c->in, "\r\nContent-Length:");
    if (v)
        whole = have >= strtoul(v, NULL, 10);
    else /* chunked: one request at a time, so the terminator is the buffer's end */
        whole = have >= 5 && memcmp(c->in + c->got - 5, "0\r\n\r\n", 5) == 0;
    *end = '\r';
    return whole ? head : 0;
}

static void response_take(struct load *l, struct client *c, size_t head)
{
    int64_t t = now_us();

    c->busy = false;
    c->in[c->got] = '\0';
    if (atoi(c->in + 9) != l->expect) {
        if (!l->errors++)
            fprintf(stderr, "restload: unexpected answer: %.600s\n", c->in);
        return;
    }
    l->answered++;
    if (l->once)
        l->bodies[c->request] = strdup(c->in + head);
    if (l->once || (t >= l->from && t < l->until)) {
        l->done++;
        if (l->n_samples < SAMPLES_MAX)
            l->samples[l->n_samples++] = (uint32_t)(t - c->sent_at);
    }
}

/* A kept-alive connection may be closed by the server just as we write the next request; before the
 * first byte of an answer that is no error of the server's: it is asked again, and counted. */
static void client_lost(struct load *l, struct client *c)
{
    bool stale = c->busy && c->got == 0;

    if (c->busy && !stale && !l->errors++)
        fprintf(stderr, "restload: connection lost within an answer\n");
    reopen(l, c);
    if (!stale) {
        c->busy = false;
        client_send(l, c);
    } else if (++l->stale > 1000) {
        fprintf(stderr, "restload: the server keeps hanging up\n");
        exit(1);
    } else {
        client_write(l, c);
    }
}

static void client_readable(struct load *l, struct client *c)
{
    ssize_t n = recv(c->fd, c->in + c->got, RESPONSE_MAX - 1 - c->got, 0);
    bool closing = false;
    size_t head;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        client_lost(l, c);
        return;
    }
    c->got += (size_t)n;
    head = response_whole(c, &closing);
    if (!head)
        return;
    response_take(l, c, head);
    if (closing)
        reopen(l, c);
    client_send(l, c);
}

static bool any_busy(const struct load *l)
{
    for (int i = 0; i < l->n_clients; i++)
        if (l->clients[i].busy)
            return true;
    return false;
}

static void run(struct load *l)
{
    struct epoll_event ev[64];
    int64_t give_up = (l->once ? now_us() + 60 * 1000000LL : l->until + 5 * 1000000LL);

    for (int i = 0; i < l->n_clients; i++) {
        client_open(l, &l->clients[i]);
        client_send(l, &l->clients[i]);
    }
    while (any_busy(l)) {
        int n = epoll_wait(l->epoll, ev, 64, 1000);

        for (int i = 0; i < n; i++)
            client_readable(l, ev[i].data.ptr);
        if (now_us() > give_up) {
            fprintf(stderr, "restload: answers are missing\n");
            l->errors++;
            return;
        }
    }
}

static void write_bodies(const struct load *l)
{
    FILE *f = fopen(l->out, "w");

    if (!f)
        die(l->out);
    for (size_t i = 0; i < l->n_requests; i++) {
        char *body = l->bodies[i] ? l->bodies[i] : "";

        for (char *p = body; (p = strpbrk(p, "\r\n"));)
            *p = ' ';
        fprintf(f, "%s\n", body);
    }
    if (fclose(f))
        die(l->out);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void report(struct load *l, double seconds, double cpu)
{
    qsort(l->samples, l->n_samples, sizeof(*l->samples), by_value);
    printf("{\"rate\": %.1f, \"done\": %lld, \"answered\": %lld, \"errors\": %lld, \"reconnects\": "
           "%lld, "
           "\"p50_us\": %u, \"p99_us\": %u, \"seconds\": %.3f, \"cpu\": %.3f}\n",
           (double)l->done / seconds, (long long)l->done, (long long)l->answered, (long long)l->errors,
           (long long)l->reconnects, l->n_samples ? l->samples[l->n_samples / 2] : 0,
           l->n_samples ? l->samples[l->n_samples * 99 / 100] : 0, seconds, cpu / seconds);
}

static void usage(void)
{
    fprintf(stderr, "usage: restload -t TARGET [-c clients] [-d seconds] [-w warm-up seconds] [-s status] "
                    "[-1 -o OUT] REQUESTS\n");
    exit(2);
}

int main(int argc, char **argv)
{
    struct load l = {.expect = 200, .n_clients = 16};
    double seconds = 3, warmup = 0.3;
    int64_t started, cpu;
    size_t len;
    int o;

    while ((o = getopt(argc, argv, "t:c:d:w:s:o:1")) != -1) {
        switch (o) {
        case 't': l.target = optarg; break;
        case 'c': l.n_clients = atoi(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 's': l.expect = atoi(optarg); break;
        case 'o': l.out = optarg; break;
        case '1': l.once = true; break;
        default: usage();
        }
    }
    if (optind + 1 != argc || !l.target || l.n_clients < 1)
        usage();
    char *file = wire_slurp(argv[optind], &len);

    parse_requests(&l, file, len);
    l.clients = calloc((size_t)l.n_clients, sizeof(*l.clients));
    l.samples = malloc(SAMPLES_MAX * sizeof(*l.samples));
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l.clients || !l.samples || l.epoll < 0)
        die("start");
    started = now_us();
    cpu = cpu_us();
    l.from = started + (int64_t)(warmup * 1e6);
    l.until = l.from + (int64_t)(seconds * 1e6);
    run(&l);
    cpu = cpu_us() - cpu;
    if (l.once) {
        seconds = (double)(now_us() - started) / 1e6;
        if (l.out)
            write_bodies(&l);
    }
    report(&l, seconds, (double)cpu / 1e6 * (l.once ? 1 : seconds / (seconds + warmup)));
    return l.errors ? 1 : 0;
}
