/* createdb, pg_restore, psql and dropdb do the work. They are told where by the variables libpq reads, so that
 * no password stands among their arguments. */
#include "ctl/scratch.h"

#include "ctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;
static char name[64]; /* of the database; "": none */

static void on_signal(int sig)
{
    (void)sig;
    stopped = 1;
}

static void catch_signals(void)
{
    static const int which[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: it ends waiting */
    for (size_t i = 0; i < sizeof which / sizeof *which; i++)
        sigaction(which[i], &action, NULL);
}

bool scratch_stopped(void)
{
    return stopped;
}

/* ---- where ---- */

/* What the settings' conninfo says, as variables. */
static bool export_conninfo(struct ctl *c)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(c->config.database_url, &error);
    if (!options)
        fail(c, EX_CONFIG, "DATABASE_URL: %s", error ? error : "out of memory");
    for (PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->envvar && o->val)
            setenv(o->envvar, o->val, 1);
    PQfreemem(error);
    PQconninfoFree(options);
    return options;
}

/* The settings' conninfo with another database. */
static const char *conninfo_of(struct ctl *c, const char *dbname)
{
    PQconninfoOption *options = PQconninfoParse(c->config.database_url, NULL);
    char *all = arena_printf(&c->arena, "dbname='%s'", dbname);
    for (PQconninfoOption *o = options; o && o->keyword; o++) {
        if (!o->val || !strcmp(o->keyword, "dbname"))
            continue;
        char quoted[2 * strlen(o->val) + 1], *to = quoted;
        for (const char *s = o->val; *s; *to++ = *s++)
            if (*s == '\'' || *s == '\\')
                *to++ = '\\';
        *to = 0;
        all = arena_printf(&c->arena, "%s %s='%s'", all, o->keyword, quoted);
    }
    PQconninfoFree(options);
    return all;
}

/* ---- programs ---- */

/* Runs a program, its standard output thrown away; true when it succeeded, else said is for the sentence. */
static bool run(struct ctl *c, const char *const argv[], const char **said)
{
    int status, err = child_stderr(c);
    *said = "";
    pid_t ended, pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        child_take_stderr(err);
        execvp(argv[0], (char *const *)argv);
        fprintf(stderr, "parleyctl: %s: %s\n", argv[0], strerror(errno));
        _exit(EX_UNAVAILABLE);
    }
    if (pid < 0)
        return fail(c, EX_OSERR, "%s", strerror(errno)), false;
    bool told = false;
    while ((ended = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
        if (stopped && !told)
            told = !kill(pid, SIGTERM);
    *said = child_said(c, err);
    return ended == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

int scratch_make(struct ctl *c)
{
    char made[sizeof name];
    const char *said;
    if (!export_conninfo(c))
        return EX_CONFIG;
    catch_signals();
    snprintf(made, sizeof made, "parley_verify_%d", (int)getpid());
    const char *const createdb[] = {"createdb", "-T", "template0", "-E", "UTF8", made, NULL};
    const char *own = getenv("PGDATABASE");
    const char *const maintained[] = {"createdb", "-T", "template0", "-E", "UTF8", "--maintenance-db", own, made, NULL};
    memcpy(name, made, sizeof name); /* a signal may come when it is there and createdb has not said so yet */
    bool ok = run(c, own ? maintained : createdb, &said);
    if (!ok && stopped)
        return EX_TEMPFAIL;
    if (!ok) {
        *name = 0;
        return fail(c, EX_UNAVAILABLE,
                    "a database to restore into could not be made; the role of DATABASE_URL has to be "
                    "allowed to (ALTER ROLE … CREATEDB)%s",
                    said);
    }
    c->config.database_url = c->unhurried.database_url = conninfo_of(c, name);
    return EX_OK;
}

void scratch_drop(struct ctl *c)
{
    const char *own = getenv("PGDATABASE"), *said;
    const char *const dropdb[] = {"dropdb", "--if-exists", "--force", name, NULL};
    const char *const maintained[] = {"dropdb", "--if-exists", "--force", "--maintenance-db", own, name, NULL};
    db_release(&c->db);
    if (*name && !run(c, own ? maintained : dropdb, &said))
        fail(c, EX_UNAVAILABLE, "the database %s could not be dropped; drop it by hand%s", name, said);
    *name = 0;
}

/* ---- backups ---- */

enum format { FORMAT_PLAIN, FORMAT_ARCHIVE, FORMAT_PACKED, FORMAT_UNREADABLE };

static enum format format_of(const char *file)
{
    struct stat st;
    char head[8] = "";
    if (!stat(file, &st) && S_ISDIR(st.st_mode))
        return FORMAT_ARCHIVE;
    FILE *in = fopen(file, "re");
    if (!in)
        return FORMAT_UNREADABLE;
    size_t n = fread(head, 1, sizeof head, in);
    fclose(in);
    if (n >= 7 && (!memcmp(head, "PGDMP", 5) || !memcmp(head, "toc.dat", 7)))
        return FORMAT_ARCHIVE;
    return n >= 2 && (!memcmp(head, "\x1f\x8b", 2) || !memcmp(head, "\x28\xb5", 2) || !memcmp(head, "BZ", 2))
               ? FORMAT_PACKED
               : FORMAT_PLAIN;
}

/* psql would follow it into the very database that was dumped. */
static bool connects(const char *file)
{
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *in = fopen(file, "re");
    while (in && !found && getline(&line, &size, in) > 0)
        found = !strncmp(line, "\\connect", 8) || !strncmp(line, "\\c ", 3);
    free(line);
    if (in)
        fclose(in);
    return found;
}

int scratch_restore(struct ctl *c, const char *file)
{
    const char *const psql[] = {"psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", name, "-f", file, NULL};
    const char *const restore[] = {"pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "-d", name,
                                   file,         NULL};
    enum format format = format_of(file);
    if (format == FORMAT_UNREADABLE)
        return fail(c, EX_NOINPUT, "%s: %s", file, strerror(errno));
    if (format == FORMAT_PACKED)
        return fail(c, EX_DATAERR, "%s is compressed: unpack it first", file);
    if (format == FORMAT_PLAIN && connects(file))
        return fail(c, EX_DATAERR, "%s says itself which database it goes to: make it without --create, or with -Fc",
                    file);
    const char *said;
    if (run(c, format == FORMAT_PLAIN ? psql : restore, &said))
        return EX_OK;
    return stopped ? EX_TEMPFAIL : fail(c, EX_DATAERR, "%s cannot be restored%s", file, said);
}
