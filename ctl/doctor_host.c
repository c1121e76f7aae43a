/* What the doctor sees when the server is on this machine: what nginx logs, how many files the processes
 * may open, how full the disks are. */
#include "ctl/doctor.h"

#include "shared/timefmt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { FILES_LEAST = 4096, SETTLE_US = 50000, LOGGED_MS = 1500 };

/* ---- who listens there? ---- */

static unsigned port_of(const char *url)
{
    const char *host = strstr(url, "://") + 3, *end = host + strcspn(host, "/?#"), *colon = NULL;
    for (const char *p = host; p < end; p++)
        colon = *p == ']' ? NULL : *p == ':' ? p : colon;
    return colon ? (unsigned)atoi(colon + 1) : strncmp(url, "https:", 6) ? 80 : 443;
}

/* The inodes of the sockets that listen at a port, from /proc/net/tcp and tcp6. */
static int listening(const char *table, unsigned port, unsigned long *out, int most)
{
    char line[512];
    int count = 0;
    FILE *f = fopen(table, "re");
    while (f && count < most && fgets(line, sizeof line, f)) {
        unsigned local, state;
        unsigned long inode;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %lu", &local, &state,
                   &inode) == 3 &&
            local == port && state == 0x0A)
            out[count++] = inode;
    }
    if (f)
        fclose(f);
    return count;
}

static void add_log(struct doctor *d, const char *path)
{
    struct stat st;
    for (int i = 0; i < d->log_count; i++)
        if (!strcmp(d->logs[i].path, path))
            return;
    if (d->log_count < LOGS_MOST && !stat(path, &st) && S_ISREG(st.st_mode))
        d->logs[d->log_count++] = (struct watched_log){arena_strdup(d->arena, path), st.st_size};
}

/* Files a process appends to are its logs. */
static void find_logs(struct doctor *d, pid_t pid)
{
    char path[64], target[PATH_MAX], info[512];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *fds = opendir(path);
    for (struct dirent *e; fds && (e = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), e->d_name, target, sizeof target - 1);
        target[n > 0 ? n : 0] = 0;
        snprintf(info, sizeof info, "/proc/%d/fdinfo/%.20s", (int)pid, e->d_name);
        unsigned flags = 0;
        FILE *f = *target == '/' ? fopen(info, "re") : NULL;
        bool known = f && fscanf(f, "pos: %*d flags: %o", &flags) == 1;
        if (f)
            fclose(f);
        if (known && flags & O_APPEND)
            add_log(d, target);
    }
    if (fds)
        closedir(fds);
}

void doctor_find_server(struct doctor *d)
{
    unsigned long inodes[16];
    unsigned port = port_of(d->url);
    int count = listening("/proc/net/tcp", port, inodes, 8);
    count += listening("/proc/net/tcp6", port, inodes + count, 8);
    int all = process_find(d->arena, "nginx", NULL, d->nginx);
    for (int i = 0; i < all; i++)
        for (int k = 0; k < count; k++)
            if (process_has_socket(d->nginx[i].pid, inodes[k])) {
                d->nginx[d->nginx_count++] = d->nginx[i];
                find_logs(d, d->nginx[i].pid);
                break;
            }
    if (option(d->ctl, "log"))
        add_log(d, option(d->ctl, "log"));
}

/* ---- what is in the logs? ---- */

/* Does the part written since hold the mark? */
static bool holds_mark(struct doctor *d, const struct watched_log *log)
{
    bool found = false;
    char *line = NULL;
    size_t size = 0;
    FILE *f = fopen(log->path, "re");
    if (f && !fseek(f, log->size, SEEK_SET))
        while (!found && getline(&line, &size, f) > 0)
            found = strstr(line, d->mark) != NULL;
    free(line);
    if (f)
        fclose(f);
    return found;
}

static bool any_grew(const struct doctor *d)
{
    struct stat st;
    for (int i = 0; i < d->log_count; i++)
        if (!stat(d->logs[i].path, &st) && st.st_size > d->logs[i].size)
            return true;
    return false;
}

void doctor_logs(struct doctor *d)
{
    struct answer a;
    int betrayed = 0;
    if (!d->log_count) {
        verdict(
            &d->verdicts, VERDICT_SKIPPED, "log", d->nginx_count ? "--log FILE" : NULL,
            d->nginx_count
                ? "nginx's logs were not found."
                : "No nginx that we may look at listens there on this machine; its logs and limits were not looked at.");
        return;
    }
    /* A socket's query, as clients that cannot set a header have to send it. The token is none. */
    web_ask(d->web, &(struct request_spec){.path = arena_printf(d->arena, "/ws?token=%s", d->mark)}, 5, &a);
    for (int ms = 0; ms < LOGGED_MS && !any_grew(d); ms += SETTLE_US / 1000)
        usleep(SETTLE_US);
    usleep(SETTLE_US);
    for (int i = 0; i < d->log_count; i++) {
        bool error_log = strstr(d->logs[i].path, "error") || strstr(d->logs[i].path, "nginx.log");
        if (!holds_mark(d, &d->logs[i]))
            continue;
        betrayed++;
        verdict(&d->verdicts, VERDICT_BAD, "log",
                error_log ? "error_log … emerg; as in nginx.conf"
                          : "log_format parley and access_log … parley; as in nginx.conf",
                "The token of a request stands in %s.", d->logs[i].path);
    }
    if (!betrayed)
        verdict(&d->verdicts, VERDICT_OK, "log", NULL, "No token stands in nginx's logs (%d looked at).", d->log_count);
}

/* ---- limits ---- */

static bool files_good(struct doctor *d, const struct process *p, const char *mend)
{
    long most = process_files_most(p->pid), now = process_files_open(p->pid);
    if (most < 0)
        return false;
    if (most < FILES_LEAST)
        verdict(&d->verdicts, VERDICT_BAD, "files", mend,
                "%s (process %d) may open %ld files; each socket takes one%s.", p->name, (int)p->pid, most,
                strcmp(p->name, "nginx") ? "" : ", in nginx two");
    else if (now > most / 5 * 4)
        verdict(&d->verdicts, VERDICT_WARN, "files", mend, "%s (process %d) has %ld of %ld files open.", p->name,
                (int)p->pid, now, most);
    else
        return true;
    return false;
}

void doctor_limits(struct doctor *d)
{
    struct process daemons[PROCESSES_MOST];
    int good = 0, all = process_find(d->arena, "ws-daemon", d->ctl->config_file, daemons);
    for (int i = 0; i < all; i++)
        good += files_good(d, &daemons[i], "LimitNOFILE= of its unit (the hard limit, ulimit -Hn)");
    for (int i = 0; i < d->nginx_count; i++) {
        bool worker = false;
        for (int k = 0; k < d->nginx_count; k++)
            worker |= d->nginx[k].pid == d->nginx[i].parent;
        if (worker)
            good += files_good(d, &d->nginx[i], "worker_rlimit_nofile 20000;");
    }
    if (good)
        verdict(&d->verdicts, VERDICT_OK, "files", NULL, "%d processes may open enough files.", good);
}

/* ---- disks ---- */

static const char *data_directory(struct doctor *d)
{
    struct query q;
    query_init(&q, SQL_DOCTOR_DATA);
    return doctor_text(d, &q);
}

static const char *directory_of(struct doctor *d, const char *path)
{
    char *own = arena_strdup(d->arena, path), *slash = strrchr(own, '/');
    if (slash)
        slash[slash == own] = 0;
    return slash ? own : ".";
}

void doctor_disks(struct doctor *d, int64_t least_mb)
{
    const char *places[3] = {data_directory(d), d->log_count ? directory_of(d, d->logs[0].path) : NULL,
                             directory_of(d, d->ctl->config.key_file)};
    unsigned long seen[3] = {0};
    int count = 0, good = 0;
    for (int i = 0; i < 3; i++) {
        struct statvfs fs;
        bool known = !places[i] || statvfs(places[i], &fs);
        for (int k = 0; !known && k < count; k++)
            known = seen[k] == fs.f_fsid;
        if (known)
            continue;
        seen[count++] = fs.f_fsid;
        int64_t mb = (int64_t)((double)fs.f_bavail * (double)fs.f_frsize / 1048576);
        if (mb < least_mb || (fs.f_files && fs.f_favail < fs.f_files / 50))
            verdict(&d->verdicts, VERDICT_BAD, "disk", "free some space, or a larger disk",
                    "The disk of %s has %lld MB and %llu files left.", places[i], (long long)mb,
                    (unsigned long long)fs.f_favail);
        else
            good++;
    }
    if (good == count && count)
        verdict(&d->verdicts, VERDICT_OK, "disk", NULL, "There is room on the disks (%d looked at).", count);
}
