#include "courier/stop.h"

#include <time.h>

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void stop_block(sigset_t *before)
{
    sigset_t set = stop_signals();
    sigprocmask(SIG_BLOCK, &set, before);
}

bool stop_asked(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

bool stop_wait(int ms)
{
    sigset_t set = stop_signals();
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    return sigtimedwait(&set, NULL, &wait) > 0;
}
