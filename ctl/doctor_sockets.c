/* The doctor's sockets: the upgrade on each path, NOTIFY through each daemon, and patience. */
#include "ctl/doctor.h"

#include "shared/timefmt.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
    OPEN_S = 8,
    SEEN_S = 30, /* a daemon that was silent for longer is gone */
    SIGN_S = 6,  /* each daemon gives a sign every five seconds */
};
static const double HEARD_S = 3, PRESENT_S = 4;

/* ---- the upgrade ---- */

static const char *const paths[] = {"/api/v1/ws", "/ws/chat", "/ws", "/v1/messages/ws"};

/* A daemon answers 426 to what is no upgrade, and hangs up on half of one, which nginx calls 502, too. */
static bool daemon_is_there(struct doctor *d, const char *path)
{
    struct answer a;
    web_ask(d->web, &(struct request_spec){.path = path}, OPEN_S, &a);
    return a.status && a.status < 500;
}

static void refused(struct doctor *d, const char *path, const struct socket *k)
{
    if (k->status == 401)
        verdict(&d->verdicts, VERDICT_BAD, "upgrade",
                d->tokens_known ? "proxy_set_header Authorization $http_authorization;" : "KEY_FILE",
                d->tokens_known ? "%s: the Authorization header does not arrive at the daemon, a good token is refused."
                                : "%s: the daemon does not know our keys.",
                path);
    else if ((k->status == 502 || k->status == 503 || k->status == 504) && !daemon_is_there(d, path))
        verdict(
            &d->verdicts, VERDICT_BAD, "upgrade", "upstream parley_ws { server unix:/run/parley/ws.sock max_fails=0; }",
            "%s: nginx answers %d, it does not reach a daemon. Either ws-daemon does not run, or its socket is elsewhere.",
            path, k->status);
    else if (k->status)
        verdict(&d->verdicts, VERDICT_BAD, "upgrade", MEND_UPGRADE " in " MEND_SOCKET_PATHS,
                "%s: answered %d instead of 101. The headers Upgrade and Connection do not arrive at a daemon.", path,
                k->status);
    else
        verdict(&d->verdicts, VERDICT_BAD, "upgrade", MEND_UPGRADE " in " MEND_SOCKET_PATHS, "%s: no socket opens: %s.",
                path, k->error);
}

/* ---- the daemons ---- */

/* A guest with a socket, and the daemon that has it. */
struct probe {
    struct guest *guest;
    struct socket *socket;
    int64_t daemon;
};

static int count_rows(struct doctor *d, enum sql sql, int64_t parameter, int64_t *first)
{
    struct query q;
    PGresult *res;
    query_init(&q, sql);
    query_int(&q, parameter);
    if (db_run(&d->ctl->db, &q, &res) != OK)
        return 0;
    int n = PQntuples(res);
    if (n) {
        struct row r = row_at(res, 0, d->arena);
        *first = row_int(&r);
    }
    PQclear(res);
    return n;
}

static bool open_probe(struct doctor *d, struct probe *p)
{
    int64_t deadline = time_steady() + (int64_t)(PRESENT_S * 1e6);
    p->guest = doctor_guest(d, false);
    if (!p->guest)
        return false;
    p->socket = socket_open(d->sockets, paths[0], p->guest->token, OPEN_S);
    p->daemon = 0;
    /* The daemon notes who is there; the sockets opened before are served meanwhile. */
    while (p->socket->wsi && time_steady() < deadline &&
           !count_rows(d, SQL_DOCTOR_ONLINE, p->guest->user.id, &p->daemon))
        socket_closes(d->sockets, p->socket, 0.05);
    return p->socket->established;
}

/* A socket on each daemon: nginx chooses, so more are opened until each has one. */
static int cover(struct doctor *d, int daemons, struct probe *probes)
{
    int covered = 0;
    for (int tries = 0; covered < daemons && tries < 2 * daemons + 4 && covered < GUESTS_MOST / 2; tries++) {
        struct probe *p = &probes[covered];
        bool known = false;
        if (!open_probe(d, p))
            break;
        for (int i = 0; i < covered; i++)
            known |= probes[i].daemon == p->daemon;
        if (!known && p->daemon)
            covered++;
    }
    return covered;
}

/* A typing notice, as daemons send them to each other: it goes by NOTIFY alone, nothing is stored. */
static void notify(struct doctor *d, const struct probe *probes, int count)
{
    struct query q;
    const struct user *from = &d->guests[0].user;
    char *ids = arena_strdup(d->arena, "");
    for (int i = 0; i < count; i++)
        ids = arena_printf(d->arena, "%s%s%" PRId64, ids, i ? "," : "", probes[i].guest->user.id);
    query_init(&q, SQL_SAY);
    query_text(&q, arena_printf(d->arena, "typing 1 %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " 0 %s", from->id,
                                from->created_at, from->id, from->created_at, ids));
    if (db_execute(&d->ctl->db, &q) != OK)
        verdict(&d->verdicts, VERDICT_BAD, "notify", NULL, "The database does not take a NOTIFY.");
}

static void check_notify(struct doctor *d, struct probe *probes, int count)
{
    for (int i = 0; i < count; i++)
        socket_expect(probes[i].socket, "\"typing\"");
    int64_t start = time_steady();
    notify(d, probes, count);
    for (int i = 0; i < count; i++) {
        struct probe *p = &probes[i];
        if (socket_await(d->sockets, p->socket, HEARD_S))
            verdict(&d->verdicts, VERDICT_OK, "notify", NULL, "Daemon %" PRId64 " passes on a NOTIFY within %.0f ms.",
                    p->daemon, (double)(time_steady() - start) / 1000);
        else
            verdict(&d->verdicts, VERDICT_BAD, "notify",
                    "LISTEN_DATABASE_URL: past any pooler, to the database of DATABASE_URL",
                    "Daemon %" PRId64 " does not hear NOTIFY; who is on its sockets gets messages late or never.",
                    p->daemon);
    }
}

/* A message from a request to a socket, all the way. */
static void check_delivery(struct doctor *d, struct probe *p)
{
    char *words = arena_printf(d->arena, "for %s", p->guest->uuid);
    socket_expect(p->socket, words);
    int64_t start = time_steady();
    int status = doctor_say(d, p->guest, words);
    if (status != 201)
        verdict(&d->verdicts, VERDICT_BAD, "delivery", NULL, "A message is answered with %d instead of 201.", status);
    else if (socket_await(d->sockets, p->socket, HEARD_S))
        verdict(&d->verdicts, VERDICT_OK, "delivery", NULL,
                "A message is stored and on a socket of daemon %" PRId64 " within %.0f ms.", p->daemon,
                (double)(time_steady() - start) / 1000);
    else
        verdict(&d->verdicts, VERDICT_BAD, "delivery", "DATABASE_URL and LISTEN_DATABASE_URL of the daemon",
                "A message is stored, but does not come out of a socket of daemon %" PRId64 " within %.0f s.",
                p->daemon, HEARD_S);
}

static void check_daemons(struct doctor *d)
{
    struct probe probes[GUESTS_MOST] = {0};
    int64_t unused;
    int daemons = count_rows(d, SQL_DOCTOR_DAEMONS, SEEN_S, &unused);
    int covered = cover(d, daemons, probes);
    if (covered < daemons) { /* or somebody has just been restarted: who lives gives a sign meanwhile */
        sleep(SIGN_S);
        int alive = count_rows(d, SQL_DOCTOR_DAEMONS, SIGN_S, &unused);
        daemons = alive < covered ? covered : alive;
    }
    if (!daemons)
        verdict(&d->verdicts, VERDICT_BAD, "daemons", "DATABASE_URL of ws-daemon",
                "No daemon is registered in the database, though sockets open: it works on another one.");
    else if (covered < daemons)
        verdict(&d->verdicts, VERDICT_WARN, "daemons", "a server line for each daemon in upstream parley_ws",
                "%d daemons are registered, but sockets only arrive at %d of them.", daemons, covered);
    else
        verdict(&d->verdicts, VERDICT_OK, "daemons", NULL, "Sockets arrive at each of %d daemons.", daemons);
    if (!covered)
        return;
    check_notify(d, probes, covered);
    for (int i = 0; i < covered; i++)
        check_delivery(d, &probes[i]);
}

void doctor_upgrade(struct doctor *d)
{
    int good = 0, count = sizeof paths / sizeof *paths;
    for (int i = 0; i < count; i++) {
        struct socket *k = socket_open(d->sockets, paths[i], d->guests[0].token, OPEN_S);
        good += k->established;
        if (!k->established)
            refused(d, paths[i], k);
    }
    if (good == count) {
        verdict(&d->verdicts, VERDICT_OK, "upgrade", NULL, "Sockets open on all %d paths, by the Authorization header.",
                count);
        check_daemons(d);
    }
}

/* ---- patience ---- */

void doctor_hold(struct doctor *d, int seconds)
{
    struct socket *k = socket_open(d->sockets, paths[0], d->guests[0].token, OPEN_S);
    if (!k->established)
        return; /* said before */
    int64_t start = time_steady();
    if (socket_closes(d->sockets, k, seconds))
        verdict(&d->verdicts, VERDICT_BAD, "idle", "proxy_read_timeout 90s; proxy_send_timeout 90s;",
                "A silent socket was cut after %.0f s, though the daemon pings every 25 s.",
                (double)(time_steady() - start) / 1e6);
    else
        verdict(&d->verdicts, VERDICT_OK, "idle", NULL, "A silent socket was still open after %d s.", seconds);
}
