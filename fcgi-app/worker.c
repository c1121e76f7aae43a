/* libfcgi's accept loop and ours meet here. Signals are blocked for good and read from a descriptor
 * beside the listening socket, so they never interrupt a request and none is ever missed. */
#include "fcgi-app/worker.h"

#include "fcgi-app/reply.h"
#include "fcgi-app/router.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/store.h"
#include "shared/timefmt.h"
#include "shared/token_store.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void log_request(const struct request *req, const struct reply *out, int64_t microseconds)
{
    log_event(LOG_INFO, "request", log_text("request_id", req->id), log_text("method", req->method),
              log_text("route", req->route ? req->route->pattern : "-"), log_int("status", out->status),
              log_text("code", out->error == OK ? "ok" : error_code(out->error)), log_int("us", microseconds),
              log_int("user", req->me.user_id),
              log_text("path", request_logged_path(req))); /* last: a long one is cut */
}

/* Should this fail, the list shows an older use. */
static void note_use(struct app *app, int64_t token)
{
    struct query q;
    token_used_query(&q, token);
    db_execute(&app->db, &q);
}

/* What is left to do once the client has its answer. */
static void finish(struct app *app, struct request *req, struct reply *out, int64_t microseconds)
{
    log_request(req, out, microseconds);
    metric_request(router_number(req->route), out->status, microseconds);
    metric_error(out->error);
    if (out->wake)
        wake(&app->db);
    if (req->used_token && out->status != 401)
        note_use(app, req->used_token);
    reply_release(out);
    request_release(req);
}

/* ---- FastCGI ---- */

static size_t read_fastcgi(void *from, char *to, size_t n)
{
    int got = FCGX_GetStr(to, (int)n, from);
    return got > 0 ? (size_t)got : 0;
}

static void serve(struct app *app, FCGX_Request *fcgi)
{
    struct request req;
    struct reply out = {0};
    struct text head, body;
    int64_t start = time_now();
    request_init(&req, app, fcgi->envp, (struct source){read_fastcgi, fcgi->in});
    router_serve(&req, &out);
    reply_render(&out, &req, &head, &body);
    FCGX_PutStr(head.s, (int)head.len, fcgi->out);
    FCGX_PutStr(body.s, (int)body.len, fcgi->out);
    int64_t microseconds = time_now() - start;
    /* Where all has been read there is nothing to linger for (libfcgi would wait for nginx to close). */
    if (FCGX_GetChar(fcgi->in) == EOF)
        FCGX_Detach(fcgi);
    /* env and streams are gone after this; what the log needs is the request's own. */
    req.method = arena_strdup(&req.arena, req.method);
    req.id = arena_strdup(&req.arena, req.id);
    FCGX_Finish_r(fcgi);
    finish(app, &req, &out, microseconds);
}

static void reload(struct app *app)
{
    struct keyring fresh;
    config_reload(app->config);
    if (keyring_load(&fresh, app->config->key_file)) {
        app->keys = fresh;
        token_cache_clear(&app->tokens);
        log_event(LOG_NOTICE, "keys_reloaded", log_int("keys", fresh.count));
    }
}

/* Deals with the signals that have come in. False when the worker is to end. */
static bool take_signals(struct app *app, int fd)
{
    struct signalfd_siginfo info;
    while (read(fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGHUP)
            return false;
        reload(app);
    }
    return true;
}

static int watch(int listen_fd, int signal_fd)
{
    /* One connection wakes one worker. */
    struct epoll_event connection = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listen_fd};
    struct epoll_event signals = {.events = EPOLLIN, .data.fd = signal_fd};
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &connection) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signal_fd, &signals)) {
        perror("epoll");
        exit(1);
    }
    return epoll_fd;
}

void worker_run(struct app *app, int listen_fd, atomic_bool *busy)
{
    FCGX_Request fcgi;
    sigset_t set;
    struct epoll_event event;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    int signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    int epoll_fd = watch(listen_fd, signal_fd);
    fcntl(listen_fd, F_SETFL, O_NONBLOCK); /* another worker may be faster */
    FCGX_Init();
    FCGX_InitRequest(&fcgi, listen_fd, 0);
    signal(SIGPIPE, SIG_IGN);

    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) < 1)
            continue;
        if (event.data.fd == signal_fd && !take_signals(app, signal_fd))
            break;
        if (event.data.fd == listen_fd) {
            *busy = true; /* it may wait for the request itself, on a connection that was kept */
            if (FCGX_Accept_r(&fcgi) == 0)
                serve(app, &fcgi);
            *busy = false;
        }
    }
    FCGX_Free(&fcgi, 1);
    close(epoll_fd);
    close(signal_fd);
}

/* ---- CGI ---- */

enum { DRAIN_MOST = 64 << 20 }; /* bytes; no BODY_MAX is larger */

/* A CGI program may read CONTENT_LENGTH bytes and no more (RFC 3875, 4.2): *from are left. A body that came
 * in chunks has no length that the web server knew: it ends where standard input does. */
static size_t read_standard(void *from, char *to, size_t n)
{
    size_t *left = from;
    size_t got = fread(to, 1, n < *left ? n : *left, stdin);
    *left -= got;
    return got;
}

/* What is left of a body that was refused unread: a web server writes all of it before it looks at the answer, and
 * loses that when the program has ended. One that is too much even for this gets none. */
static void drain(size_t *left)
{
    char chunk[16384];
    for (size_t n = 0, got = 1; got && n < DRAIN_MOST; n += got)
        got = read_standard(left, chunk, sizeof chunk);
}

void worker_cgi(struct app *app)
{
    struct request req;
    struct reply out = {0};
    struct text head, body;
    const char *length = getenv("CONTENT_LENGTH");
    size_t left = length ? strtoul(length, NULL, 10) : getenv("HTTP_TRANSFER_ENCODING") ? SIZE_MAX : 0;
    int64_t start = time_now();
    request_init(&req, app, environ, (struct source){read_standard, &left});
    router_serve(&req, &out);
    reply_render(&out, &req, &head, &body);
    drain(&left);
    fwrite(head.s, 1, head.len, stdout);
    fwrite(body.s, 1, body.len, stdout);
    fflush(stdout);
    finish(app, &req, &out, time_now() - start);
}
