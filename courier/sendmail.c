/* The recipients stand in the message (-t), so no word from outside ever gets near a command line. The
 * environment has no settings in it, as some are secrets. */
#include "courier/sendmail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { PIPE_ROOM = 65536 }; /* what a pipe holds: writing less never waits */

char **sendmail_words(const char *command, struct arena *a)
{
    char *copy = arena_strdup(a, command), *save;
    char **words = arena_alloc(a, (strlen(command) / 2 + 2) * sizeof *words);
    int count = 0;
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        words[count++] = w;
    return words;
}

/* Starts the command with fd as its standard input; 0 and *pid, or an errno. */
static int start(char **words, int fd, const sigset_t *signals, pid_t *pid)
{
    static char *const env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
                                NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, signals);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int status = posix_spawnp(pid, words[0], &actions, &attributes, words, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* The status of a child that ended in time; -1 when it had to be killed. */
static int finish(pid_t pid, int timeout)
{
    int status, fd = pidfd_open(pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    bool late = fd >= 0 && poll(&ended, 1, timeout * 1000) < 1;
    if (late)
        kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (fd >= 0)
        close(fd);
    return late ? -1 : status;
}

/* Exit codes as sysexits(3) has them. */
static enum handover judge(int status, char reason[REASON_TEXT])
{
    if (status == -1) {
        snprintf(reason, REASON_TEXT, "the command took too long");
        return HANDOVER_DEFERRED;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (!code)
        return HANDOVER_ACCEPTED;
    snprintf(reason, REASON_TEXT, "the command ended with %d", code);
    return code == EX_DATAERR || code == EX_NOUSER || code == EX_NOHOST ? HANDOVER_REFUSED : HANDOVER_DEFERRED;
}

enum handover sendmail_send(const char *command, int timeout, const sigset_t *signals, struct text message,
                            char reason[REASON_TEXT])
{
    struct arena a;
    int fds[2], failed;
    pid_t pid;
    if (message.len > PIPE_ROOM) {
        snprintf(reason, REASON_TEXT, "the message is too long");
        return HANDOVER_REFUSED;
    }
    if (pipe2(fds, O_CLOEXEC)) {
        snprintf(reason, REASON_TEXT, "no pipe: %s", strerror(errno));
        return HANDOVER_DEFERRED;
    }
    arena_init(&a);
    failed = start(sendmail_words(command, &a), fds[0], signals, &pid);
    arena_release(&a);
    close(fds[0]);
    bool whole = !failed && write(fds[1], message.s, message.len) == (ssize_t)message.len;
    close(fds[1]);
    if (failed) {
        snprintf(reason, REASON_TEXT, "the command does not start: %s", strerror(failed));
        return HANDOVER_DEFERRED;
    }
    enum handover d = judge(finish(pid, timeout), reason);
    if (d == HANDOVER_ACCEPTED && !whole) {
        snprintf(reason, REASON_TEXT, "the command did not read the message");
        return HANDOVER_DEFERRED;
    }
    return d;
}
