/* One request a connection, one connection after the other: who asks is a Prometheus, a load balancer or
 * curl on the same host, and none is let to hold the others up for longer than a second. */
#include "shared/monitor.h"

#include "shared/error.h"
#include "shared/listen.h"
#include "shared/log.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"
#include "shared/view.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LISTEN_FD = 3, HEAD_MOST = 8192, PATIENCE_MS = 1000, AGAIN_US = 1000000 };

/* ---- HTTP (RFC 9112), as far as it goes ---- */

/* Reads up to the empty line behind the headers; a GET has no body. False when it does not come in time. */
static bool read_head(int fd, char head[HEAD_MOST])
{
    int64_t deadline = time_steady() + PATIENCE_MS * INT64_C(1000);
    size_t len = 0;
    do {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = (deadline - time_steady()) / 1000;
        ssize_t n = left > 0 && poll(&ready, 1, (int)left) > 0 ? read(fd, head + len, HEAD_MOST - 1 - len) : 0;
        if (n <= 0)
            return false;
        len += (size_t)n;
        head[len] = 0;
    } while (!strstr(head, "\r\n\r\n"));
    return true;
}

static void write_all(int fd, const char *text, size_t len)
{
    ssize_t n = 1;
    for (; len && n > 0; text += n, len -= (size_t)n)
        n = send(fd, text, len, MSG_NOSIGNAL); /* bounded by SO_SNDTIMEO */
}

static void answer(int fd, bool head_only, int status, const char *type, const char *body, size_t len)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nConnection: close\r\n%s\r\n",
                     status, status_title(status), type, len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    write_all(fd, head, (size_t)n);
    if (!head_only)
        write_all(fd, body, len);
}

static void answer_error(int fd, bool head_only, enum error e, const char *sentence)
{
    struct json_object *problem = view_problem(e, sentence);
    size_t len;
    const char *text = json_object_to_json_string_length(problem,
                                                         JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    answer(fd, head_only, error_status(e), "application/problem+json", text, len);
    json_object_put(problem);
}

/* ---- what is asked for ---- */

static const char *unhealthy(struct monitor *m)
{
    return m->health ? m->health(m) : NULL;
}

static const char *unready(struct monitor *m)
{
    const char *wrong = unhealthy(m);
    return wrong ? wrong : m->ready(m);
}

static void answer_check(int fd, bool head_only, const char *wrong)
{
    if (wrong)
        answer_error(fd, head_only, ERR_UNAVAILABLE, wrong);
    else
        answer(fd, head_only, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static void answer_metrics(struct monitor *m, int fd, bool head_only)
{
    size_t len;
    metric_set(METRIC_READY, 0, !unready(m));
    if (m->look)
        m->look(m);
    char *text = metrics_text(&len);
    answer(fd, head_only, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
    free(text);
}

static void serve(struct monitor *m, int fd)
{
    char head[HEAD_MOST], method[8], path[16];
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!read_head(fd, head) || sscanf(head, "%7[A-Z] %15[^ ?\r\n]", method, path) != 2)
        return;
    bool head_only = !strcmp(method, "HEAD");
    if (!head_only && strcmp(method, "GET"))
        answer_error(fd, false, ERR_METHOD, error_sentence(ERR_METHOD));
    else if (!strcmp(path, "/metrics"))
        answer_metrics(m, fd, head_only);
    else if (!strcmp(path, "/healthz"))
        answer_check(fd, head_only, unhealthy(m));
    else if (!strcmp(path, "/readyz"))
        answer_check(fd, head_only, unready(m));
    else
        answer_error(fd, head_only, ERR_NOT_FOUND, error_sentence(ERR_NOT_FOUND));
}

/* ---- the process ---- */

/* Keeps nothing of the service's: a client whose socket we held would never see it closed. Signals are
 * for the service alone, which ends us. */
static void leave_service(const struct monitor *m)
{
    int null = open("/dev/null", O_RDWR);
    sigset_t none;
    prctl(PR_SET_NAME, "parley-monitor");
    dup2(null, STDIN_FILENO); /* may be a pool's listening socket */
    dup2(m->fd, LISTEN_FD);
    closefrom(LISTEN_FD + 1);
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void run(struct monitor *m)
{
    leave_service(m);
    for (;;) {
        /* cppcheck-suppress nullPointer ; accept4() need not tell who it is */
        int fd = accept4(LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            usleep(10000); /* hung up again, or out of descriptors */
            continue;
        }
        serve(m, fd);
        close(fd);
    }
}

void monitor_open(struct monitor *m, const struct config *config)
{
    m->config = config;
    db_init(&m->db, config);
    m->fd = -1;
    m->pid = 0;
    m->started = -AGAIN_US;
    if (*config->metrics_listen)
        m->fd = listen_open(config->metrics_listen, "METRICS_LISTEN");
}

bool monitor_keep(struct monitor *m)
{
    pid_t service = getpid();
    if (m->pid && waitpid(m->pid, NULL, WNOHANG)) { /* or somebody else has waited for it */
        log_event(LOG_WARN, "monitor_ended");
        m->pid = 0;
    }
    if (m->fd < 0 || m->pid || time_steady() - m->started < AGAIN_US)
        return m->fd < 0 || m->pid;
    m->started = time_steady();
    m->pid = fork();
    if (m->pid < 0) {
        log_event(LOG_ERROR, "fork_failed");
        m->pid = 0;
    } else if (!m->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != service)
            _exit(0);
        run(m);
    }
    return m->pid;
}

void monitor_leave(struct monitor *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->pid = 0;
    m->fd = -1;
}

void monitor_close(struct monitor *m)
{
    if (m->pid) {
        kill(m->pid, SIGKILL);
        waitpid(m->pid, NULL, 0);
    }
    monitor_leave(m);
}

static const char *ask_database(struct db *db)
{
    struct query q;
    query_init(&q, SQL_SCHEMA_VERSION);
    if (db_execute(db, &q) != OK)
        return "the database does not answer";
    if (!db_read_only(db->conn))
        return NULL;
    db_release(db); /* only a new session knows when that is over */
    return "the database is read-only";
}

const char *monitor_database(struct monitor *m)
{
    if (!m->asked_at || time_steady() - m->asked_at >= AGAIN_US) {
        m->found = ask_database(&m->db);
        m->asked_at = time_steady();
    }
    return m->found;
}
