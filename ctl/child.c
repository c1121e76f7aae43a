#include "ctl/child.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SAID_MOST = 900 }; /* fits into a sentence */

int child_stderr(const struct ctl *c)
{
    return c->out.json ? memfd_create("stderr", MFD_CLOEXEC) : -1;
}

void child_take_stderr(int fd)
{
    if (fd >= 0)
        dup2(fd, STDERR_FILENO);
}

const char *child_said(struct ctl *c, int fd)
{
    char said[SAID_MOST] = ": ";
    if (fd < 0)
        return "";
    ssize_t n = pread(fd, said + 2, sizeof said - 3, 0);
    close(fd);
    while (n > 0 && said[1 + n] == '\n')
        said[1 + n--] = 0;
    for (char *p = said; (p = strchr(p, '\n'));)
        *p = ' ';
    return n > 0 ? arena_strdup(&c->arena, said) : "";
}
