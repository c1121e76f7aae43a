#include "ctl/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a file under /proc/PID; its length, -1: gone, or not ours to read. */
static ssize_t slurp(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[n > 0 ? n : 0] = 0;
    return n;
}

/* By the first word of the command line, as the file itself is only shown to its owner and root. A
 * program may put its title there: nginx does. */
static bool runs(const char *command_line, const char *program)
{
    const char *name = command_line;
    for (const char *p = name; *p && !strchr(" :", *p); p++)
        if (*p == '/')
            name = p + 1;
    size_t len = strlen(program);
    return !strncmp(name, program, len) && (!name[len] || name[len] == ':');
}

static bool names_file(const char *command_line, size_t len, const char *config)
{
    char *real = realpath(config, NULL);
    bool found = false;
    for (const char *word = command_line; !found && word < command_line + len; word += strlen(word) + 1) {
        char *other = *word == '/' ? realpath(word, NULL) : NULL;
        found = !strcmp(word, config) || (real && other && !strcmp(real, other));
        free(other);
    }
    free(real);
    return found;
}

static pid_t parent_of(pid_t pid)
{
    char stat[512];
    int parent = 0;
    const char *end = slurp(pid, "stat", stat, sizeof stat) > 0 ? strrchr(stat, ')') : NULL;
    if (end)
        sscanf(end + 1, " %*c %d", &parent);
    return parent;
}

int process_find(struct arena *a, const char *program, const char *config, struct process *out)
{
    int count = 0;
    char line[4096];
    DIR *proc = opendir("/proc");
    for (struct dirent *d; proc && (d = readdir(proc)) && count < PROCESSES_MOST;) {
        pid_t pid = (pid_t)atoi(d->d_name);
        ssize_t len = pid > 0 ? slurp(pid, "cmdline", line, sizeof line) : 0;
        if (len > 0 && runs(line, program) && (!config || names_file(line, (size_t)len, config)))
            out[count++] = (struct process){pid, parent_of(pid), arena_strdup(a, program)};
    }
    if (proc)
        closedir(proc);
    return count;
}

int process_parents(struct process *list, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        bool child = false;
        for (int k = 0; k < count; k++)
            child |= list[k].pid == list[i].parent;
        if (!child)
            list[kept++] = list[i]; /* parents are looked for by pid, so a moved entry is one already kept */
    }
    return kept;
}

const char *process_variable(struct arena *a, pid_t pid, const char *name)
{
    enum { ROOM = 65536 };
    char *all = arena_alloc(a, ROOM);
    size_t len = strlen(name);
    ssize_t n = slurp(pid, "environ", all, ROOM);
    for (const char *word = all; word < all + n; word += strlen(word) + 1)
        if (!strncmp(word, name, len) && word[len] == '=')
            return word + len + 1;
    return NULL;
}

bool process_has_socket(pid_t pid, unsigned long inode)
{
    char path[64], want[64], link[64];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    snprintf(want, sizeof want, "socket:[%lu]", inode);
    DIR *fds = opendir(path);
    for (struct dirent *d; fds && !found && (d = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), d->d_name, link, sizeof link - 1);
        link[n > 0 ? n : 0] = 0;
        found = !strcmp(link, want);
    }
    if (fds)
        closedir(fds);
    return found;
}

long process_files_most(pid_t pid)
{
    char text[4096];
    long most = -1;
    const char *line = slurp(pid, "limits", text, sizeof text) > 0 ? strstr(text, "Max open files") : NULL;
    if (line && sscanf(line, "Max open files %ld", &most) != 1)
        most = LONG_MAX; /* unlimited */
    return most;
}

long process_files_open(pid_t pid)
{
    char path[64];
    long open = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    if (!fds)
        return -1;
    while (readdir(fds))
        open++;
    closedir(fds);
    return open - 2; /* . and .. */
}
