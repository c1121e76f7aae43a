#include "ctl/ask.h"

#include "shared/timefmt.h"

#include <json-c/json.h>
#include <sysexits.h>
#include <unistd.h>

enum { PAUSE_US = 100000 };

static enum error by_login(struct ctl *c, const char *login, struct user *out)
{
    struct query q;
    query_init(&q, SQL_ADMIN_USER);
    query_text(&q, login);
    return db_row(&c->db, &q, &c->arena, user_row, out, ERR_USER_NOT_FOUND);
}

int ask_user(struct ctl *c, const char *name, struct user *out)
{
    struct ref ref;
    enum error e = by_login(c, name, out);
    if (e == ERR_USER_NOT_FOUND && (id_parse_uuid(name, &ref) || id_parse_integer(name, &ref)))
        e = user_by_ref(&c->db, &c->arena, &ref, out);
    if (e == ERR_USER_NOT_FOUND)
        return fail(c, EX_NOUSER, "there is no user %s", name);
    return e == OK ? EX_OK : fail_error(c, e, name);
}

int ask_ref(struct ctl *c, const char *what, const char *name, struct ref *out)
{
    out->ms = -1;
    if (id_parse_uuid(name, out) || id_parse_integer(name, out))
        return EX_OK;
    return fail(c, EX_USAGE, "%s is no id of a %s", name, what);
}

enum error ask_patiently(struct db *db, const struct query *q, PGresult **out)
{
    enum error e = ERR_UNAVAILABLE;
    for (int64_t until = time_steady() + db_patience_us(db, DB_PATIENCE_MS);
         e == ERR_UNAVAILABLE && time_steady() < until;)
        if ((e = db_run(db, q, out)) == ERR_UNAVAILABLE)
            usleep(PAUSE_US);
    return e;
}

int ask_rows(struct ctl *c, const struct query *q, struct json_object **out)
{
    PGresult *res;
    enum error e = db_run(&c->db, q, &res);
    if (e != OK)
        return fail_error(c, e, NULL);
    *out = output_rows(res, &c->arena);
    PQclear(res);
    return EX_OK;
}

int ask_conversation(struct ctl *c, const struct query *q, const char *name, struct json_object **out)
{
    struct json_object *rows = NULL;
    int status = ask_rows(c, q, &rows);
    if (status != EX_OK)
        return status;
    *out = json_object_get(json_object_array_get_idx(rows, 0));
    json_object_put(rows);
    return *out ? EX_OK : fail(c, EX_DATAERR, "there is no conversation %s", name);
}

int ask_and_print(struct ctl *c, const struct query *q)
{
    struct json_object *rows = NULL;
    int status = ask_rows(c, q, &rows);
    if (status == EX_OK)
        output_print(&c->out, rows);
    return status;
}

int ask_number(struct ctl *c, const struct query *q, int64_t *out)
{
    PGresult *res;
    enum error e = db_run(&c->db, q, &res);
    if (e != OK)
        return fail_error(c, e, NULL);
    *out = 0;
    if (PQntuples(res)) {
        struct row r = row_at(res, 0, &c->arena);
        *out = PQgetlength(res, 0, 0) == 1 ? row_bool(&r) : row_int(&r);
    }
    PQclear(res);
    return EX_OK;
}
