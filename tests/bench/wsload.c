/*
 * wsload.c - many WebSocket clients in one process: sends with a window, counts and checks
 * deliveries.
 *
 * The sockets come from a file, one line each: the path to open and, for a sender, a tab and the
 * text to send. Lines stand in groups of -g: the group's first socket sends, the others receive
 * (with -g 1 a socket receives its own echo). Every sent text holds "seq=00000000", stamped with a
 * counter, and every socket of the group, the sender included, must see 0, 1, 2, … exactly: a lost,
 * doubled or reordered message ends the run with exit code 1. A sender has at most -w messages
 * outstanding; a message is done when every receiver of its group has it.
 *
 * With -i nothing is sent: "ready" is printed once all sockets are open, which are then held until
 * standard input ends. Otherwise one JSON line is printed.
 */
#include "conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char STAMP[] = "seq=";
#define STAMP_LEN (sizeof(STAMP) - 1)
#define DIGITS    8
#define DRAIN_US  (10 * 1000000LL)

struct group {
    struct conn *sender;
    char *text;
    size_t text_len;
    char *stamp; /* the digits within text */
    int receivers;
    int64_t sent, done;
    int *seen; /* per message in the window: receivers that have it */
};

struct load {
    struct conns set; /* first: the set's callback finds the load by it */
    int group_size, window;
    bool idle;
    double seconds, warmup;
    struct group *groups;
    int n_groups;
    int64_t from, until; /* the measured span */
    int64_t delivered, frames, bytes;
};

static void group_init(struct load *l, struct group *g, struct conn *sender, char *text)
{
    g->sender = sender;
    g->receivers = l->group_size == 1 ? 1 : l->group_size - 1;
    if (l->idle)
        return;
    g->text = text;
    g->text_len = text ? strlen(text) : 0;
    g->stamp = text ? strstr(text, STAMP) : NULL;
    g->seen = calloc((size_t)l->window, sizeof(*g->seen));
    if (!g->stamp || strlen(g->stamp) < STAMP_LEN + DIGITS || !g->seen) {
        fprintf(stderr, "wsload: a sender's text must hold seq=00000000\n");
        exit(2);
    }
    g->stamp += STAMP_LEN;
}

static void parse_sockets(struct load *l, char *file)
{
    struct conns *set = &l->set;
    size_t lines = 1;

    for (char *p = file; (p = strchr(p, '\n')); p++)
        lines++;
    set->all = calloc(lines, sizeof(*set->all));
    l->groups = calloc(lines, sizeof(*l->groups));
    if (!set->all || !l->groups)
        die("calloc");
    for (char *line = strtok(file, "\n"); line; line = strtok(NULL, "\n"), set->n++) {
        char *text = strchr(line, '\t');

        if (text)
            *text++ = '\0';
        set->all[set->n] = (struct conn){.fd = -1, .path = line, .group = &l->groups[set->n / l->group_size]};
        if (set->n % l->group_size == 0)
            group_init(l, &l->groups[l->n_groups++], &set->all[set->n], text);
    }
    if (!set->n || set->n % l->group_size) {
        fprintf(stderr, "wsload: %d sockets do not make groups of %d\n", set->n, l->group_size);
        exit(2);
    }
}

/* One delivery: check its number, then advance the group's window. */
static void take_message(struct conns *set, struct conn *c, const struct ws_frame *f)
{
    struct load *l = (struct load *)set;
    struct group *g = c->group;
    const char *at = memmem(f->payload, f->len, STAMP, STAMP_LEN);
    char digits[DIGITS + 1] = "";
    int64_t seq, t;

    if (l->idle || !at || (size_t)(at - (const char *)f->payload) + STAMP_LEN + DIGITS > f->len) {
        conns_fault(set, "unexpected frame", f->payload, f->len);
        return;
    }
    memcpy(digits, at + STAMP_LEN, DIGITS);
    seq = strtol(digits, NULL, 10);
    if (seq != c->next || seq >= g->sent) {
        conns_fault(set, seq < c->next ? "doubled or reordered" : "lost or reordered", f->payload, f->len);
        return;
    }
    c->next++;
    if (c == g->sender && l->group_size > 1) /* its copy is checked, but is no delivery */
        return;
    g->seen[seq % l->window]++;
    while (g->done < g->sent && g->seen[g->done % l->window] == g->receivers)
        g->seen[g->done++ % l->window] = 0;
    t = now_us();
    if (t >= l->from && t < l->until)
        l->delivered++;
    l->frames++;
    l->bytes += (int64_t)f->len;
}

/* Fill the group's window with one write. */
static void group_send(struct load *l, struct group *g)
{
    struct conns *set = &l->set;
    size_t len = 0, frame = g->text_len + WS_FRAME_OVERHEAD;
    char digits[DIGITS + 1];

    if (g->sender->out_len || g->sender->fd < 0)
        return;
    while (g->sent - g->done < l->window && len + frame < CHUNK) {
        snprintf(digits, sizeof(digits), "%08u", (unsigned)(g->sent % 100000000));
        memcpy(g->stamp, digits, DIGITS);
        len += ws_frame_put(set->chunk + len, WS_TEXT, g->text, g->text_len);
        g->sent++;
    }
    if (len)
        conn_write(set, g->sender, set->chunk, len);
}

static bool all_arrived(const struct conns *set)
{
    for (int i = 0; i < set->n; i++)
        if (set->all[i].next != set->all[i].group->sent)
            return false;
    return true;
}

static void run(struct load *l)
{
    struct conns *set = &l->set;

    l->from = now_us() + (int64_t)(l->warmup * 1e6);
    l->until = l->from + (int64_t)(l->seconds * 1e6);
    while (now_us() < l->until && !set->errors) {
        for (int i = 0; i < l->n_groups; i++)
            group_send(l, &l->groups[i]);
        conns_turn(set, 100);
    }
    while (!set->errors && !all_arrived(set) && now_us() < l->until + DRAIN_US)
        conns_turn(set, 100);
    for (int i = 0; i < set->n; i++)
        if (set->all[i].next != set->all[i].group->sent)
            conns_fault(set, "messages are missing on", set->all[i].path, strcspn(set->all[i].path, "?"));
}

static void measure(struct load *l)
{
    int64_t started = now_us(), cpu = cpu_us(), sent = 0;
    double share;

    run(l);
    share = (double)(cpu_us() - cpu) / (double)(now_us() - started);
    for (int i = 0; i < l->n_groups; i++)
        sent += l->groups[i].sent;
    printf("{\"rate\": %.1f, \"sent\": %lld, \"delivered\": %lld, \"errors\": %lld, "
           "\"frame_bytes\": %.0f, "
           "\"cpu\": %.3f}\n",
           (double)l->delivered / l->seconds, (long long)sent, (long long)l->delivered, (long long)l->set.errors,
           l->frames ? (double)l->bytes / (double)l->frames : 0.0, share);
}

static void hold(struct load *l)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    int both = epoll_create1(EPOLL_CLOEXEC);

    if (both < 0 || epoll_ctl(both, EPOLL_CTL_ADD, STDIN_FILENO, &ev) < 0)
        die("standard input must be a pipe");
    ev.data.ptr = l;
    epoll_ctl(both, EPOLL_CTL_ADD, l->set.epoll, &ev);
    puts("ready");
    fflush(stdout);
    while (!l->set.errors && epoll_wait(both, &ev, 1, -1) == 1 && ev.data.ptr)
        conns_turn(&l->set, 0);
}

static void usage(void)
{
    fprintf(stderr, "usage: wsload -t TARGET [-g group size] [-w window] [-d seconds] [-u warm-up seconds] "
                    "[-i] SOCKETS\n");
    exit(2);
}

static void parse_options(struct load *l, int argc, char **argv)
{
    int o;

    while ((o = getopt(argc, argv, "t:g:w:d:u:i")) != -1) {
        switch (o) {
        case 't': l->set.target = optarg; break;
        case 'g': l->group_size = atoi(optarg); break;
        case 'w': l->window = atoi(optarg); break;
        case 'd': l->seconds = atof(optarg); break;
        case 'u': l->warmup = atof(optarg); break;
        case 'i': l->idle = true; break;
        default: usage();
        }
    }
    if (optind + 1 != argc || !l->set.target || l->group_size < 1 || l->window < 1)
        usage();
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof(*l));
    size_t len;

    if (!l)
        die("calloc");
    l->set.on_text = take_message;
    l->group_size = 1;
    l->window = 16;
    l->seconds = 3;
    l->warmup = 0.3;
    parse_options(l, argc, argv);
    parse_sockets(l, wire_slurp(argv[optind], &len));
    conns_open(&l->set);
    if (l->idle)
        hold(l);
    else
        measure(l);
    return l->set.errors ? 1 : 0;
}
