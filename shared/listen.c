/* libfcgi's own FCGX_OpenSocket() ends the process on errors and cannot set a mode; libwebsockets cannot
 * take a socket that listens already. */
#include "shared/listen.h"

#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,  /* a small one turns a burst into 502s */
    HANDED_OVER = 3, /* where systemd's protocol begins */
};

static int failed(int fd, const char *setting, const char *where, const char *reason)
{
    log_event(LOG_ERROR, "listen_failed", log_text("setting", setting), log_text("where", where),
              log_text("reason", reason));
    if (fd >= 0)
        close(fd);
    return -1;
}

static int listen_unix(const char *path, const char *setting)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;
    if (strlen(path) >= sizeof address.sun_path)
        return failed(-1, setting, path, "the path is too long for a socket");
    strcpy(address.sun_path, path);
    if (!lstat(path, &old) && S_ISSOCK(old.st_mode))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(path, 0666) || listen(fd, BACKLOG))
        return failed(fd, setting, path, strerror(errno));
    return fd;
}

static int listen_tcp(const char *where, const char *colon, const char *setting)
{
    char host[256] = "";
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *found;
    int on = 1;
    const char *start = where;
    size_t len = (size_t)(colon - where);
    if (len >= 2 && *where == '[' && colon[-1] == ']') {
        start++; /* [::1]:9000 */
        len -= 2;
    }
    snprintf(host, sizeof host, "%.*s", (int)len, start);
    int error = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (error)
        return failed(-1, setting, where, gai_strerror(error));
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) &&
                !bind(fd, found->ai_addr, found->ai_addrlen) && !listen(fd, BACKLOG);
    freeaddrinfo(found);
    return good ? fd : failed(fd, setting, where, strerror(errno));
}

int listen_open(const char *where, const char *setting)
{
    const char *colon = strchr(where, '/') ? NULL : strrchr(where, ':');
    return colon ? listen_tcp(where, colon, setting) : listen_unix(where, setting);
}

void listen_name(int fd, char name[LISTEN_NAME_SIZE])
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_un *local = (const struct sockaddr_un *)&address;
    socklen_t len = sizeof address;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    *name = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &len))
        return;
    if (address.ss_family == AF_UNIX)
        snprintf(name, LISTEN_NAME_SIZE, "%.*s", (int)sizeof local->sun_path, local->sun_path);
    else if (!getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                          NI_NUMERICHOST | NI_NUMERICSERV))
        snprintf(name, LISTEN_NAME_SIZE, strchr(host, ':') ? "[%.64s]:%.8s" : "%.64s:%.8s", host, port);
}

bool listen_inherited(int fd)
{
    int listening = 0;
    socklen_t len = sizeof listening;
    return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) && listening;
}

int listen_handed_over(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    bool ours = pid && count && atol(pid) == (long)getpid() && atoi(count) >= 1;
    unsetenv("LISTEN_PID"); /* our children are not meant */
    unsetenv("LISTEN_FDS");
    if (!ours || !listen_inherited(HANDED_OVER))
        return -1;
    fcntl(HANDED_OVER, F_SETFD, FD_CLOEXEC);
    return HANDED_OVER;
}
