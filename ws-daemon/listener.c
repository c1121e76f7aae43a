/* libwebsockets cannot listen on a socket that exists already, so connections are accepted here and
 * handed to it. That also lets a daemon stop accepting while it goes on serving those it has. */
#include "ws-daemon/listener.h"

#include "shared/listen.h"
#include "shared/log.h"
#include "shared/notify.h"
#include "ws-daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64 }; /* the sockets there are want their turn too */
static const double PAUSE_S = 0.1;

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct daemon *d = w->data;
    (void)revents;
    ev_io_start(loop, &d->listener.io);
}

/* Out of descriptors or memory: those who wait, wait a little longer. */
static void pause_accepting(struct daemon *d)
{
    log_event(LOG_WARN, "accept_failed", log_text("reason", strerror(errno)), log_int("sockets", d->conn_count));
    ev_io_stop(d->loop, &d->listener.io);
    ev_timer_set(&d->listener.pause, PAUSE_S, 0);
    ev_timer_start(d->loop, &d->listener.pause);
}

static void on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
    struct daemon *d = w->data;
    int on = 1;
    (void)loop;
    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        /* cppcheck-suppress nullPointer ; accept4() need not tell who it is */
        int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_accepting(d);
            return; /* none is left, or it has hung up again */
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* in vain on a unix socket */
        lws_adopt_socket(d->lws, fd);                             /* closes it when it cannot */
    }
}

bool listener_open(struct daemon *d)
{
    int fd = listen_handed_over();
    if (fd < 0)
        fd = listen_open(d->config.ws_listen, "WS_LISTEN");
    if (fd < 0)
        return false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ev_io_init(&d->listener.io, on_connection, fd, EV_READ);
    ev_init(&d->listener.pause, on_pause_over);
    d->listener.io.data = d->listener.pause.data = d;
    d->listener.open = true;
    return true;
}

void listener_accept(struct daemon *d)
{
    if (d->listener.open && !ev_is_active(&d->listener.pause))
        ev_io_start(d->loop, &d->listener.io);
    notify("READY=1");
}

void listener_close(struct daemon *d)
{
    if (!d->listener.open)
        return;
    ev_io_stop(d->loop, &d->listener.io);
    ev_timer_stop(d->loop, &d->listener.pause);
    close(d->listener.io.fd);
    d->listener.open = false;
}
