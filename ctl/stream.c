#include "ctl/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

int sink_open(struct ctl *c, const char *path, struct sink *out)
{
    *out = (struct sink){.file = stdout, .path = path};
    if (!path)
        return EX_OK;
    out->temporary = arena_printf(&c->arena, "%s.XXXXXX", path);
    int fd = mkostemp(out->temporary, O_CLOEXEC); /* mode 0600 */
    out->file = fd < 0 ? NULL : fdopen(fd, "w");
    return out->file ? EX_OK : fail(c, EX_CANTCREAT, "%s: %s", path, strerror(errno));
}

int sink_close(struct ctl *c, struct sink *s, int status)
{
    bool ok = !fflush(s->file) && !ferror(s->file);
    if (s->path) {
        ok = ok && !fsync(fileno(s->file));
        ok = !fclose(s->file) && ok;
        if (ok && status == EX_OK)
            ok = !rename(s->temporary, s->path);
        if (!ok || status != EX_OK)
            unlink(s->temporary);
    }
    if (status == EX_OK && !ok)
        return fail(c, EX_IOERR, "%s: %s", s->path ? s->path : "standard output", strerror(errno));
    if (status == EX_OK && s->path && c->out.json) {
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "output", json_object_new_string(s->path));
        output_print(&c->out, o);
    }
    return status;
}

static enum error say(struct ctl *c, enum sql sql)
{
    struct query q;
    query_init(&q, sql);
    return db_execute(&c->db, &q);
}

int stream_begin(struct ctl *c)
{
    enum error e = say(c, SQL_BEGIN_SNAPSHOT);
    if (e == OK)
        e = say(c, SQL_PATIENT);
    return e == OK ? EX_OK : fail_error(c, e, NULL);
}

void stream_end(struct ctl *c)
{
    say(c, SQL_ROLLBACK); /* nothing was written */
}

enum error stream_rows(struct ctl *c, const struct query *open, stream_row *row, void *arg)
{
    struct query next;
    struct arena a;
    PGresult *res;
    bool more = true;
    enum error e = db_execute(&c->db, open);
    query_init(&next, SQL_ROWS_NEXT);
    arena_init(&a);
    while (e == OK && more && (e = db_run(&c->db, &next, &res)) == OK) {
        more = PQntuples(res) > 0;
        for (int i = 0; more && i < PQntuples(res); i++) {
            struct row r = row_at(res, i, &a);
            const char *section = row_text(&r);
            more = row(arg, section, row_bytes(&r));
        }
        PQclear(res);
        arena_release(&a);
    }
    arena_release(&a);
    return e == OK ? say(c, SQL_ROWS_CLOSE) : e;
}
