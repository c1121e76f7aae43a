/* parleyctl key: the keys tokens are signed with. The first of the file signs, all of them verify, so a
 * new one goes to the end until every program knows it, and only then to the front. */
#include "ctl/commands.h"
#include "ctl/keyfile.h"
#include "ctl/process.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { SETTLE_S = 1 }; /* what a program may take to read the file again; it takes a millisecond */

/* Sends SIGHUP to the programs that run with our settings; who got it, for the caller to put. */
static struct json_object *reload(struct ctl *c)
{
    static const char *const programs[] = {"fcgi-app", "ws-daemon"};
    struct process list[PROCESSES_MOST];
    struct json_object *told = json_object_new_array();
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        int count = process_find(&c->arena, programs[i], c->config_file, list);
        count = process_parents(list, count);
        for (int k = 0; k < count; k++)
            if (!kill(list[k].pid, SIGHUP))
                json_object_array_add(
                    told, json_object_new_string(arena_printf(&c->arena, "%s %d", list[k].name, (int)list[k].pid)));
    }
    return told;
}

/* The key file was changed: has it read, and says so. */
static int changed(struct ctl *c, const char *id, const char *what)
{
    struct json_object *o = json_object_new_object(), *told = reload(c);
    size_t count = json_object_array_length(told);
    json_object_object_add(o, "kid", json_object_new_string(id));
    json_object_object_add(o, "reloaded", told);
    output_done(&c->out, o,
                count ? "key %s %s; %zu programs were told to reload"
                      : "key %s %s; no program was told, reload them: SIGHUP to fcgi-app and ws-daemon",
                id, what, count);
    return EX_OK;
}

int cmd_key_list(struct ctl *c)
{
    struct keyfile f;
    const char *id, *comment;
    bool first = true;
    int status = keyfile_read(c, &f);
    if (status != EX_OK)
        return status;
    struct json_object *list = json_object_new_array();
    for (int i = 0; i < f.count; i++) {
        size_t len = keyfile_id(f.lines[i], &id);
        if (!len)
            continue;
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "kid", json_object_new_string_len(id, (int)len));
        json_object_object_add(o, "use", json_object_new_string(first ? "signs" : "verifies"));
        comment = strchr(f.lines[i], '#');
        json_object_object_add(o, "note",
                               comment ? json_object_new_string(comment + 1 + strspn(comment + 1, " ")) : NULL);
        json_object_array_add(list, o);
        first = false;
    }
    output_print(&c->out, list);
    return EX_OK;
}

static int add(struct ctl *c, struct keyfile *f, const char **id)
{
    int status = keyfile_read(c, f);
    if (status != EX_OK)
        return status;
    if (keyfile_keys(f) >= KEYS_MAX)
        return fail(c, EX_DATAERR, "there are %d keys already; remove an old one first", KEYS_MAX);
    keyfile_insert(f, f->count, keyfile_fresh(&c->arena, id));
    return keyfile_write(c, f);
}

/* Puts a key before all the others. */
static int use(struct ctl *c, struct keyfile *f, const char *id)
{
    const char *at;
    int from = keyfile_find(f, id), to = 0;
    if (from < 0)
        return fail(c, EX_DATAERR, "there is no key %s", id);
    const char *line = f->lines[from];
    keyfile_remove(f, from);
    while (to < f->count && !keyfile_id(f->lines[to], &at))
        to++;
    keyfile_insert(f, to, line);
    return keyfile_write(c, f);
}

int cmd_key_add(struct ctl *c)
{
    struct keyfile f;
    const char *id = NULL;
    int status = add(c, &f, &id);
    return status == EX_OK ? changed(c, id, "added, it verifies") : status;
}

int cmd_key_use(struct ctl *c)
{
    struct keyfile f;
    int status = keyfile_read(c, &f);
    if (status != EX_OK || (status = use(c, &f, c->arguments[0])) != EX_OK)
        return status;
    return changed(c, c->arguments[0], "signs");
}

int cmd_key_remove(struct ctl *c)
{
    struct keyfile f;
    int status = keyfile_read(c, &f);
    if (status != EX_OK)
        return status;
    int at = keyfile_find(&f, c->arguments[0]);
    if (at < 0)
        return fail(c, EX_DATAERR, "there is no key %s", c->arguments[0]);
    if (keyfile_keys(&f) == 1)
        return fail(c, EX_DATAERR, "key %s is the only one", c->arguments[0]);
    keyfile_remove(&f, at);
    if ((status = keyfile_write(c, &f)) != EX_OK)
        return status;
    return changed(c, c->arguments[0], "removed, its tokens are refused");
}

/* Two steps, so that no program is shown a token signed with a key it has not read yet. */
int cmd_key_rotate(struct ctl *c)
{
    struct keyfile f;
    const char *id = NULL;
    int status = add(c, &f, &id);
    if (status != EX_OK)
        return status;
    struct json_object *told = reload(c);
    if (json_object_array_length(told))
        sleep(SETTLE_S);
    json_object_put(told);
    status = use(c, &f, id);
    return status == EX_OK ? changed(c, id, "signs") : status;
}
