/* parleyctl doctor: goes through the live server as a client would, and tells in plain sentences what is
 * wrong and what mends it. Here: the visit from beginning to end; the checks are in doctor_*.c. */
#include "ctl/doctor.h"

#include "ctl/commands.h"
#include "ctl/settings.h"
#include "shared/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { TOKEN_TTL = 900, GUEST_COST = 4, SAY_S = 8 };

static const char *random_word(struct doctor *d)
{
    char secret[SECRET_TEXT];
    secret_make(secret);
    for (char *p = secret; *p; p++)
        if (*p == '-' || *p == '_')
            *p = 'x';
    return arena_printf(d->arena, "%.12s", secret);
}

/* The token the server would have issued at a login. */
static const char *sign(struct doctor *d, const struct user *u, int64_t session)
{
    struct identity who = {
        .user_id = u->id, .user_created = u->created_at, .session_id = session, .dialect = DIALECT_CONV};
    snprintf(who.username, sizeof who.username, "%s", u->username);
    char *token = token_issue(&d->keys, d->ctl->config.issuer, &who, TOKEN_TTL);
    const char *kept = arena_strdup(d->arena, token ? token : "");
    free(token);
    return kept;
}

struct guest *doctor_guest(struct doctor *d, bool with_password)
{
    char hash[PASSWORD_HASH] = "!", uuid[UUID_TEXT]; /* no password, yet a person ("*" is none) */
    struct guest *g = &d->guests[d->guest_count];
    int64_t session;
    if (d->guest_count == GUESTS_MOST)
        return NULL;
    *g = (struct guest){.password = with_password ? random_word(d) : NULL};
    if (with_password && !password_hash(g->password, GUEST_COST, hash))
        return NULL;
    struct new_account account = {.username = arena_printf(d->arena, "doctor.%s", random_word(d)),
                                  .display_name = "parleyctl doctor",
                                  .password_hash = hash};
    struct caller here = {0};
    struct new_session opened = {
        .dialect = "conv", .lifetime = TOKEN_TTL, .user_agent = "parleyctl doctor", .from = &here};
    if (account_create(&d->ctl->db, d->arena, &account, &opened, &g->user, &session) != OK) {
        verdict(&d->verdicts, VERDICT_BAD, "database", NULL, "No account can be made for the visit.");
        return NULL;
    }
    id_uuid(g->user.id, g->user.created_at, uuid);
    g->uuid = arena_strdup(d->arena, uuid);
    g->token = sign(d, &g->user, session);
    d->guest_count++;
    return g;
}

static void text_read(struct row *r, void *out)
{
    *(const char **)out = row_text(r);
}

const char *doctor_text(struct doctor *d, const struct query *q)
{
    const char *text = NULL;
    return db_row(&d->ctl->db, q, d->arena, text_read, &text, OK) == OK ? text : NULL;
}

int doctor_say(struct doctor *d, const struct guest *to, const char *words)
{
    struct answer a;
    char *body = arena_printf(d->arena, "{\"recipient_id\":\"%s\",\"content\":\"%s\"}", to->uuid, words);
    web_ask(d->web,
            &(struct request_spec){
                .path = "/api/v1/messages/dm", .token = d->guests[0].token, .body = {body, strlen(body)}},
            SAY_S, &a);
    return a.status;
}

/* Nothing of the guests stays. The sockets are closed by now. */
static void forget_guests(struct doctor *d)
{
    struct query q;
    for (int i = 0; i < d->guest_count; i++) {
        query_init(&q, SQL_DOCTOR_FORGET);
        query_int(&q, d->guests[i].user.id);
        if (db_execute(&d->ctl->db, &q) != OK)
            verdict(&d->verdicts, VERDICT_WARN, "database",
                    arena_printf(d->arena, "parleyctl user delete %s", d->guests[i].user.username),
                    "The account %s, made for the visit, could not be removed.", d->guests[i].user.username);
    }
}

/* What needs accounts, and so the database and the keys. */
static void visit(struct doctor *d, int hold)
{
    if (!doctor_guest(d, true))
        return;
    doctor_authorization(d);
    doctor_login(d);
    doctor_body_limit(d);
    doctor_pools(d);
    doctor_events(d);
    d->sockets = sockets_new(d->arena, d->url, option(d->ctl, "cacert"));
    if (d->sockets) {
        doctor_upgrade(d);
        if (hold)
            doctor_hold(d, hold);
        sockets_free(d->sockets);
    }
    doctor_logs(d);
    forget_guests(d);
}

int cmd_doctor(struct ctl *c)
{
    struct doctor *d = arena_alloc(&c->arena, sizeof *d);
    int64_t hold, disk;
    if (!option_int(c, "hold", 1, 86400, 0, &hold) || !option_int(c, "min-disk", 0, INT64_MAX >> 20, 1024, &disk))
        return EX_USAGE;
    *d = (struct doctor){.ctl = c, .arena = &c->arena, .url = c->arguments[0] ? c->arguments[0] : c->config.public_url};
    if (strncmp(d->url, "http://", 7) && strncmp(d->url, "https://", 8))
        return fail(c, EX_USAGE, "%s is no http or https URL", d->url);
    d->mark = random_word(d);
    d->web = web_new(d->arena, d->url, option(c, "cacert"));
    verdicts_init(&d->verdicts, c->out.json);

    bool keys = settings_check_keys(c, &d->verdicts, &d->keys);
    bool database = settings_check_database(c, &d->verdicts);
    doctor_find_server(d);
    doctor_workers(d);
    bool reached = doctor_reaches(d);
    if (keys && database && reached)
        visit(d, (int)hold);
    else
        verdict(&d->verdicts, VERDICT_SKIPPED, "visit", NULL, "The rest needs the keys, the database and an answer.");
    doctor_limits(d);
    doctor_disks(d, disk);
    web_free(d->web);
    return verdicts_end(&d->verdicts) ? EX_OK : 1;
}
