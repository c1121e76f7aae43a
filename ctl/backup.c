/* parleyctl backup verify: a backup is as good as what can be restored from it. Restores one into a
 * database of its own, brings it to this schema, and looks for messages that are missing: within a
 * conversation they are numbered without gaps, so each one that is not there is known. */
#include "ctl/ask.h"
#include "ctl/commands.h"
#include "ctl/migrate.h"
#include "ctl/scratch.h"

#include <json-c/json.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { FAULTS_SHOWN = 1000 };

static int64_t count_of(struct json_object *contents, const char *what)
{
    return json_object_get_int64(json_object_object_get(contents, what));
}

static int report(struct ctl *c, struct json_object *contents, struct json_object *faults)
{
    int count = (int)json_object_array_length(faults);
    const char *newest = json_object_get_string(json_object_object_get(contents, "newest"));
    if (!count) {
        json_object_object_add(contents, "faults", faults);
        output_done(&c->out, json_object_get(contents),
                    "complete: %lld users, %lld conversations, %lld messages, the newest of %s",
                    (long long)count_of(contents, "users"), (long long)count_of(contents, "conversations"),
                    (long long)count_of(contents, "messages"), newest ? newest : "never");
        return EX_OK;
    }
    if (c->out.json)
        json_object_object_add(contents, "faults", faults);
    output_print(&c->out, c->out.json ? json_object_get(contents) : faults);
    return fail(c, EX_DATAERR, "not complete: %s%d faults", count == FAULTS_SHOWN ? "at least " : "", count);
}

static int check(struct ctl *c)
{
    struct query q;
    struct json_object *contents, *faults;
    query_init(&q, SQL_BACKUP_CONTENTS);
    int status = ask_rows(c, &q, &contents);
    if (status != EX_OK)
        return status;
    query_init(&q, SQL_BACKUP_FAULTS);
    query_int(&q, FAULTS_SHOWN);
    if ((status = ask_rows(c, &q, &faults)) == EX_OK)
        status = report(c, json_object_array_get_idx(contents, 0), faults);
    json_object_put(contents);
    return status;
}

static int verify_file(struct ctl *c, const char *file)
{
    struct json_object *applied = NULL;
    int status = scratch_make(c);
    if (status == EX_OK)
        status = scratch_restore(c, file);
    if (status == EX_OK && !scratch_stopped())
        status = migrate_database(c, NULL, false, &applied);
    json_object_put(applied);
    if (status == EX_OK && !scratch_stopped())
        status = check(c);
    scratch_drop(c);
    return scratch_stopped() ? fail(c, EX_TEMPFAIL, "stopped") : status;
}

int cmd_backup_verify(struct ctl *c)
{
    const char *backup = c->arguments[0];
    if (!access(backup, F_OK) || (!strchr(backup, '=') && strncmp(backup, "postgres", 8)))
        return verify_file(c, backup);
    c->unhurried.database_url = backup; /* restored already: look at it where it is */
    enum error e = db_check(&c->db, 1, DB_PATIENCE_MS);
    if (e != OK)
        return e == ERR_INTERNAL ? fail_schema(c) : fail_error(c, e, NULL);
    return check(c);
}
