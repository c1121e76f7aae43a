/* parleyctl config: shows the settings as the programs would read them, and says whether they could start
 * with them. */
#include "ctl/settings.h"

#include "ctl/ask.h"
#include "ctl/commands.h"
#include "schema_version.h"
#include "shared/timefmt.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

/* ---- show ---- */

/* A conninfo or URI, with the password hidden wherever libpq would find it. */
static const char *hide_password(struct arena *a, const char *url)
{
    bool hidden = false;
    char *shown = arena_strdup(a, "");
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    if (!parts)
        return "(not valid)";
    for (PQconninfoOption *p = parts; p->keyword; p++) {
        if (!p->val)
            continue;
        bool secret = strstr(p->keyword, "password") != NULL;
        hidden |= secret;
        shown = arena_printf(a, "%s%s%s=%s", shown, *shown ? " " : "", p->keyword, secret ? "***" : p->val);
    }
    PQconninfoFree(parts);
    return hidden ? shown : url;
}

static struct json_object *text_setting(struct arena *a, const char *key, const char *value)
{
    if (*value && strstr(key, "DATABASE_URL"))
        return json_object_new_string(hide_password(a, value));
    bool secret = strstr(key, "PASSWORD") || strstr(key, "SECRET");
    return json_object_new_string(*value && secret ? "***" : value);
}

int cmd_config_show(struct ctl *c)
{
    struct json_object *o = json_object_new_object();
#define TEXT(field, key, def, help)             json_object_object_add(o, #key, text_setting(&c->arena, #key, c->config.field));
#define INT(field, key, def, least, most, help) json_object_object_add(o, #key, json_object_new_int(c->config.field));
    CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
    output_print(&c->out, o);
    return EX_OK;
}

/* ---- check ---- */

bool settings_check_keys(struct ctl *c, struct verdicts *v, struct keyring *keys)
{
    struct stat st;
    const char *path = c->config.key_file;
    if (stat(path, &st)) {
        verdict(v, errno == EACCES ? VERDICT_SKIPPED : VERDICT_BAD, "keys", "KEY_FILE", "The key file %s: %s.", path,
                strerror(errno));
        return false;
    }
    if (!keyring_load(keys, path)) {
        verdict(v, VERDICT_BAD, "keys", "KEY_FILE", "The key file %s cannot be read, or holds no keys.", path);
        return false;
    }
    if (st.st_mode & 077)
        verdict(v, VERDICT_BAD, "keys", arena_printf(&c->arena, "chmod 600 %s", path),
                "The key file %s can be read by others than its owner, who could sign tokens for anybody.", path);
    else
        verdict(v, VERDICT_OK, "keys", NULL, "%d signing keys in %s.", keys->count, path);
    return true;
}

static void check_schema(struct verdicts *v, int64_t schema)
{
    if (schema < SCHEMA_VERSION)
        verdict(v, VERDICT_BAD, "schema", "parleyctl migrate",
                "The database has schema %lld, these programs need %d and do not start.", (long long)schema,
                SCHEMA_VERSION);
    else if (schema > SCHEMA_VERSION)
        verdict(v, VERDICT_BAD, "schema", "newer programs",
                "The database has schema %lld, newer than these programs, which know %d.", (long long)schema,
                SCHEMA_VERSION);
    else
        verdict(v, VERDICT_OK, "schema", NULL, "The database has schema %d, as these programs expect.", SCHEMA_VERSION);
}

static void check_clock(struct verdicts *v, int64_t theirs)
{
    double apart = (double)(time_now() - theirs) / 1e6;
    if (apart > 2 || apart < -2)
        verdict(
            v, VERDICT_WARN, "clock", "a time service, e.g. chrony, on both machines",
            "This machine's clock and the database's are %.0f s apart; tokens expire by one and sessions by the other.",
            apart < 0 ? -apart : apart);
}

/* After a dump was restored into a younger cluster; see 0012_retention.sql. */
static void check_restored(struct ctl *c, struct verdicts *v)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_XIDS_AHEAD);
    if (ask_patiently(&c->db, &q, &res) != OK)
        return;
    struct row r = row_at(res, 0, NULL);
    if (row_int(&r))
        verdict(v, VERDICT_BAD, "restored", "parleyctl migrate",
                "The tables come from another cluster, whose transactions were further on: sockets hear nothing new.");
    PQclear(res);
}

bool settings_check_database(struct ctl *c, struct verdicts *v)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_DOCTOR_DATABASE);
    enum error e = ask_patiently(&c->db, &q, &res);
    if (e != OK) {
        verdict(v, VERDICT_BAD, "database", e == ERR_INTERNAL ? "parleyctl migrate" : "DATABASE_URL",
                e == ERR_INTERNAL ? "The database has none of Parley's tables." : "The database does not answer: %s.",
                c->why);
        return false;
    }
    struct row r = row_at(res, 0, &c->arena);
    int64_t now = row_time(&r), schema = row_int(&r);
    PQclear(res);
    if (db_read_only(c->db.conn))
        verdict(
            v, VERDICT_BAD, "database",
            "target_session_attrs=read-write in DATABASE_URL, with all hosts; or default_transaction_read_only = off",
            "The database answers, but is read-only: nothing can be sent, and nobody can log in.");
    else
        verdict(v, VERDICT_OK, "database", NULL, "The database answers.");
    check_clock(v, now);
    check_schema(v, schema);
    if (schema == SCHEMA_VERSION)
        check_restored(c, v);
    return schema == SCHEMA_VERSION;
}

/* LISTEN goes past any pooler, so it may have an address of its own. */
static void check_listen(struct ctl *c, struct verdicts *v)
{
    struct config other = c->config;
    struct db db;
    struct query q;
    PGresult *res = NULL;
    if (!*c->config.listen_database_url)
        return;
    other.database_url = c->config.listen_database_url;
    db_init(&db, &other);
    query_init(&q, SQL_LISTEN);
    if (ask_patiently(&db, &q, &res) == OK)
        verdict(v, VERDICT_OK, "listen", NULL, "LISTEN works on its own connection.");
    else
        verdict(v, VERDICT_BAD, "listen", "LISTEN_DATABASE_URL", "LISTEN does not work on its own connection.");
    PQclear(res);
    db_release(&db);
}

int cmd_config_check(struct ctl *c)
{
    struct verdicts v;
    struct keyring keys;
    verdicts_init(&v, c->out.json);
    verdict(&v, VERDICT_OK, "settings", NULL, "Every setting%s%s is valid.", c->config_file ? " of " : "",
            c->config_file ? c->config_file : "");
    settings_check_keys(c, &v, &keys);
    settings_check_database(c, &v);
    check_listen(c, &v);
    return verdicts_end(&v) ? EX_OK : EX_CONFIG;
}
