#include "ctl/progress.h"

#include "shared/timefmt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 40, EVERY_US = 100000 };

static void draw(struct progress *p)
{
    static const char full[] = "########################################";
    int part = p->total > 0 ? (int)(p->done * WIDTH / p->total) : WIDTH;
    int percent = p->total > 0 ? (int)(p->done * 100 / p->total) : 100;
    if (part > WIDTH)
        part = WIDTH;
    fprintf(stderr, "\r%s [%.*s%*s] %3d %%", p->what, part, full, WIDTH - part, "", percent > 100 ? 100 : percent);
    fflush(stderr);
    p->shown_at = time_steady();
}

void progress_start(struct progress *p, const char *what, int64_t total, bool seen)
{
    *p = (struct progress){.what = what, .total = total, .terminal = seen && isatty(STDERR_FILENO)};
    if (p->terminal)
        draw(p);
}

void progress_step(struct progress *p, int64_t by)
{
    p->done += by;
    if (p->terminal && time_steady() - p->shown_at >= EVERY_US)
        draw(p);
}

void progress_end(struct progress *p)
{
    if (!p->terminal)
        return;
    draw(p);
    fputc('\n', stderr);
}
