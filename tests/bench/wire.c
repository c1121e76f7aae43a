/*
 * wire.c - sockets, clocks and the client's half of RFC 6455, as far as a load generator needs it.
 *
 * No TLS, no extensions, no fragmented messages: the servers measured here send none. The handshake
 * key is the RFC's example, so the expected answer is a constant and still gets checked.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const char WS_KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char WS_ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(2);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(sa.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int connect_tcp(const char *target)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    const char *colon = strrchr(target, ':');
    char host[64];
    int fd, one = 1;

    if (!colon || (size_t)(colon - target) >= sizeof(host)) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, target, (size_t)(colon - target));
    host[colon - target] = '\0';
    sa.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, host, &sa.sin_addr) != 1) {
        errno = EINVAL;
        return -1;
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        close(fd);
        return -1;
    }
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* The connect itself blocks: on loopback that is the wait for a place in the backlog, which is what
 * a polite client does, and a unix socket has no other way to wait for it. */
int wire_connect(const char *target)
{
    int fd = strchr(target, '/') ? connect_unix(target) : connect_tcp(target);

    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

char *wire_slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    char *buf = NULL;
    size_t cap = 0;

    if (!f)
        die(path);
    *len = 0;
    do {
        if (cap - *len < 65536 && !(buf = realloc(buf, cap = cap * 2 + 131072)))
            die("realloc");
        *len += fread(buf + *len, 1, cap - *len - 1, f);
    } while (!feof(f) && !ferror(f));
    if (ferror(f))
        die(path);
    fclose(f);
    buf[*len] = '\0';
    return buf;
}

size_t ws_upgrade_put(char *dst, size_t cap, const char *path)
{
    int n = snprintf(dst, cap,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: %s\r\n\r\n",
                     path, WS_KEY);

    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

long ws_upgrade_get(const char *buf, size_t len)
{
    const char *end = memmem(buf, len, "\r\n\r\n", 4);

    if (!end)
        return len > 8192 ? -1 : 0;
    if (strncmp(buf, "HTTP/1.1 101", 12) != 0 || !memmem(buf, (size_t)(end - buf), WS_ACCEPT, sizeof(WS_ACCEPT) - 1))
        return -1;
    return end - buf + 4;
}

size_t ws_frame_put(uint8_t *dst, enum ws_opcode op, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    const uint8_t *from = payload;
    size_t head = 2;

    dst[0] = 0x80 | (uint8_t)op;
    if (len < 126) {
        dst[1] = 0x80 | (uint8_t)len;
    } else if (len < 65536) {
        dst[1] = 0x80 | 126;
        dst[2] = (uint8_t)(len >> 8);
        dst[3] = (uint8_t)len;
        head = 4;
    } else {
        dst[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            dst[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
        head = 10;
    }
    memcpy(dst + head, mask, 4);
    head += 4;
    for (size_t i = 0; i < len; i++)
        dst[head + i] = from[i] ^ mask[i & 3];
    return head + len;
}

int ws_frame_get(const uint8_t *buf, size_t len, struct ws_frame *out)
{
    uint64_t n;
    size_t head = 2;

    if (len < 2)
        return 0;
    /* A server's frame is never masked; a fragment or an extension bit is not for us. */
    if (!(buf[0] & 0x80) || (buf[0] & 0x70) || (buf[1] & 0x80))
        return -1;
    n = buf[1];
    if (n >= 126) {
        int width = n == 126 ? 2 : 8;

        head += (size_t)width;
        if (len < head)
            return 0;
        n = 0;
        for (int i = 0; i < width; i++)
            n = n << 8 | buf[2 + i];
        if (n > 1 << 24)
            return -1;
    }
    if (len < head + n)
        return 0;
    *out = (struct ws_frame){buf[0] & 0x0f, buf + head, (size_t)n, head + (size_t)n};
    return 1;
}
