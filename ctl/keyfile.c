#include "ctl/keyfile.h"

#include "shared/secret.h"
#include "shared/timefmt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

size_t keyfile_id(const char *line, const char **id)
{
    *id = line + strspn(line, " \t");
    return **id == '#' ? 0 : strcspn(*id, " \t#");
}

int keyfile_find(const struct keyfile *f, const char *id)
{
    const char *at;
    for (int i = 0; i < f->count; i++)
        if (keyfile_id(f->lines[i], &at) == strlen(id) && !strncmp(at, id, strlen(id)) && *id)
            return i;
    return -1;
}

int keyfile_keys(const struct keyfile *f)
{
    const char *at;
    int keys = 0;
    for (int i = 0; i < f->count; i++)
        keys += keyfile_id(f->lines[i], &at) > 0;
    return keys;
}

void keyfile_insert(struct keyfile *f, int at, const char *line)
{
    memmove(f->lines + at + 1, f->lines + at, (size_t)(f->count - at) * sizeof *f->lines);
    f->lines[at] = line;
    f->count++;
}

void keyfile_remove(struct keyfile *f, int at)
{
    f->count--;
    memmove(f->lines + at, f->lines + at + 1, (size_t)(f->count - at) * sizeof *f->lines);
}

const char *keyfile_fresh(struct arena *a, const char **id)
{
    unsigned char bytes[36];
    char hex[2 * sizeof bytes + 1], today[TIME_TEXT];
    secret_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    time_format(time_now(), today);
    *id = arena_printf(a, "k%.8s", hex);
    return arena_printf(a, "%s %s # made %.10s", *id, hex + 8, today);
}

int keyfile_read(struct ctl *c, struct keyfile *out)
{
    struct keyring checked;
    char line[512];
    if (access(c->config.key_file, R_OK))
        return fail(c, errno == EACCES ? EX_NOPERM : EX_NOINPUT, "%s: %s", c->config.key_file, strerror(errno));
    if (!keyring_load(&checked, c->config.key_file))
        return fail(c, EX_DATAERR, "%s: %s", c->config.key_file, c->why);
    FILE *f = fopen(c->config.key_file, "re");
    if (!f)
        return fail(c, EX_NOINPUT, "%s: %s", c->config.key_file, strerror(errno));
    out->count = 0;
    /* Two lines of room: one for a key that is added, one to spare. */
    while (out->count < 4 * KEYS_MAX - 2 && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = 0;
        out->lines[out->count++] = arena_strdup(&c->arena, line);
    }
    bool whole = !fgets(line, sizeof line, f);
    fclose(f);
    return whole ? EX_OK : fail(c, EX_DATAERR, "%s: too many lines", c->config.key_file);
}

/* A file beside the old one, like it in all but its content. */
static bool write_beside(const char *temporary, int fd, const struct stat *was, const struct keyfile *f)
{
    FILE *out = fdopen(fd, "w");
    if (!out)
        return false;
    for (int i = 0; i < f->count; i++)
        fprintf(out, "%s\n", f->lines[i]);
    bool ok = !fflush(out) && !fchmod(fd, 0600) && !fchown(fd, was->st_uid, was->st_gid) && !fsync(fd);
    ok = !fclose(out) && ok;
    if (!ok)
        unlink(temporary);
    return ok;
}

/* The rename itself has to reach the disk. */
static void sync_directory(struct ctl *c, const char *path)
{
    char *directory = arena_strdup(&c->arena, path), *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory] = 0;
    int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int keyfile_write(struct ctl *c, const struct keyfile *f)
{
    struct stat was;
    char *path = realpath(c->config.key_file, NULL); /* a link stays a link */
    char *temporary = path ? arena_printf(&c->arena, "%s.XXXXXX", path) : NULL;
    int fd = path && !stat(path, &was) ? mkostemp(temporary, O_CLOEXEC) : -1;
    bool ok = fd >= 0 && write_beside(temporary, fd, &was, f) && !rename(temporary, path);
    int status = ok ? EX_OK
                    : fail(c, errno == EACCES || errno == EPERM ? EX_NOPERM : EX_CANTCREAT, "%s: %s",
                           c->config.key_file, strerror(errno));
    if (ok)
        sync_directory(c, path);
    free(path);
    return status;
}
