/* parleyctl migrate: runs db/migrate.sh, which is the one place that knows how migrations are applied, with
 * the settings' database. The scripts are beside this program: in ../share/parley/db where it was
 * installed, in ../db in a checkout. */
#include "ctl/migrate.h"
#include "ctl/child.h"
#include "ctl/commands.h"
#include "schema_version.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static const char *find_script(struct ctl *c, const char *directory)
{
    static const char *const places[] = {"../share/parley/db", "../db"};
    char self[PATH_MAX];
    if (directory)
        return arena_printf(&c->arena, "%s/migrate.sh", directory);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *script = arena_printf(&c->arena, "%s/%s/migrate.sh", self, places[i]);
        if (!access(script, X_OK))
            return script;
    }
    return NULL;
}

/* The URL goes by environment: it may hold a password. */
static pid_t start(struct ctl *c, const char *script, int out, int err)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    child_take_stderr(err);
    if (setenv("DATABASE_URL", c->config.database_url, 1) || dup2(out, STDOUT_FILENO) < 0)
        _exit(EX_OSERR);
    execl(script, script, (char *)NULL);
    fprintf(stderr, "parleyctl: %s: %s\n", script, strerror(errno));
    _exit(EX_NOINPUT);
}

/* What was applied: the script says "migrate: FILE" for each. */
static struct json_object *read_applied(FILE *from, bool aloud)
{
    char line[512];
    struct json_object *applied = json_object_new_array();
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = 0;
        if (aloud)
            puts(line);
        if (!strncmp(line, "migrate: ", 9))
            json_object_array_add(applied, json_object_new_string(line + 9));
    }
    return applied;
}

int migrate_database(struct ctl *c, const char *scripts, bool aloud, struct json_object **applied)
{
    int ends[2], status, err = child_stderr(c);
    const char *script = find_script(c, scripts);
    if (!script)
        return fail(c, EX_NOINPUT, "the migration scripts were not found; name their directory with --scripts");
    if (pipe(ends))
        return fail(c, EX_OSERR, "%s", strerror(errno));
    pid_t pid = start(c, script, ends[1], err);
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (pid < 0 || !from)
        return fail(c, EX_OSERR, "%s", strerror(errno));
    struct json_object *list = read_applied(from, aloud);
    fclose(from);
    pid_t ended;
    while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        ;
    const char *said = child_said(c, err);
    if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
        json_object_put(list);
        return fail(c, EX_UNAVAILABLE, "the migrations failed%s", said);
    }
    *applied = list;
    return EX_OK;
}

int cmd_migrate(struct ctl *c)
{
    struct json_object *applied = NULL, *o;
    int status = migrate_database(c, option(c, "scripts"), !c->out.json, &applied);
    if (status != EX_OK)
        return status;
    o = json_object_new_object();
    json_object_object_add(o, "applied", applied);
    json_object_object_add(o, "schema", json_object_new_int(SCHEMA_VERSION));
    output_done(&c->out, o, "the database has schema %d", SCHEMA_VERSION);
    return EX_OK;
}
