/* parleyctl user export: everything that is stored of a person, as one JSON object of lists. Written as
 * it is read, so its size does not matter. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/stream.h"

#include <string.h>
#include <sysexits.h>

struct writer {
    FILE *file;
    char section[64]; /* the list that is open; "": none yet */
};

static bool write_row(void *arg, const char *section, struct text json)
{
    struct writer *w = arg;
    bool same = !strcmp(section, w->section);
    if (!same) {
        fprintf(w->file, "%s\"%s\":[\n", *w->section ? "],\n" : "{", section);
        snprintf(w->section, sizeof w->section, "%s", section);
    } else {
        fputs(",\n", w->file);
    }
    fwrite(json.s, 1, json.len, w->file);
    return !ferror(w->file);
}

int cmd_user_export(struct ctl *c)
{
    struct user u;
    struct query open;
    struct sink sink;
    struct writer w = {0};
    int status = ask_user(c, c->arguments[0], &u);
    if (status != EX_OK || (status = sink_open(c, option(c, "output"), &sink)) != EX_OK)
        return status;
    w.file = sink.file;
    query_init(&open, SQL_ADMIN_USER_ROWS);
    query_int(&open, u.id);
    if ((status = stream_begin(c)) == EX_OK) {
        enum error e = stream_rows(c, &open, write_row, &w);
        stream_end(c);
        fputs(*w.section ? "]}\n" : "{}\n", w.file);
        status = e == OK ? EX_OK : fail_error(c, e, u.username);
    }
    return sink_close(c, &sink, status);
}
