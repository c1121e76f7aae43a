/* Two hashes over the same entries: by the secret's hash, for handshakes, and by number, for the feed. */
#include "ws-daemon/tokens.h"

#include "shared/timefmt.h"
#include "shared/token_store.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/feed.h"
#include "ws-daemon/pgpipe.h"
#include "ws-daemon/revoked.h"

#include <stdlib.h>
#include <time.h>
#include <uthash.h>

static const double FORGET_EVERY_S = 60;

struct entry {
    struct token_identity token;
    bool over;     /* it was of no use when we last looked */
    int64_t noted; /* when its use was last written down, microseconds */
    UT_hash_handle hh, by_number;
};

struct tokens {
    struct entry *by_hash, *by_number;
    double forget_at; /* steady time of the next look for those that are of no use */
};

struct tokens *tokens_new(void)
{
    struct tokens *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    return t;
}

static void drop(struct tokens *t, struct entry *e)
{
    HASH_DELETE(hh, t->by_hash, e);
    HASH_DELETE(by_number, t->by_number, e); /* NOLINT: who is in the one table is in the other */
    free(e);
}

static void clear(struct tokens *t)
{
    while (t->by_hash)
        drop(t, t->by_hash);
}

void tokens_free(struct tokens *t)
{
    if (!t)
        return;
    clear(t);
    free(t);
}

static struct entry *find_number(struct tokens *t, int64_t number)
{
    struct entry *e;
    HASH_FIND(by_number, t->by_number, &number, sizeof number, e);
    return e;
}

static void add(struct tokens *t, const PGresult *res)
{
    for (int i = 0; i < PQntuples(res); i++) {
        struct entry *e = calloc(1, sizeof *e);
        struct row r = row_at(res, i, NULL);
        if (!e)
            abort();
        token_identity_read(&r, &e->token);
        if (find_number(t, e->token.who.session_id)) {
            free(e);
            continue;
        }
        HASH_ADD(hh, t->by_hash, token.hash, sizeof e->token.hash, e);
        HASH_ADD(by_number, t->by_number, token.who.session_id, sizeof e->token.who.session_id, e);
    }
}

void tokens_loaded(struct tokens *t, const PGresult *res)
{
    clear(t);
    add(t, res);
}

static void on_made(void *arg, enum error e, PGresult **results, int count, const char *constraint)
{
    struct daemon *d = arg;
    (void)count;
    (void)constraint;
    if (e == OK)
        add(d->tokens, results[0]);
    else if (e != ERR_UNAVAILABLE) /* else the connection is new, and all are loaded again */
        pgpipe_reset(feed_pipe(d->feed), "a token could not be read");
}

void tokens_made(struct daemon *d, int64_t token)
{
    struct query q;
    token_identities_query(&q, token);
    if (pgpipe_submit(feed_pipe(d->feed), &q, 1, on_made, d) != OK)
        return; /* down: see on_made() */
}

void tokens_ended(struct tokens *t, int64_t session_id)
{
    struct entry *e = find_number(t, session_id);
    if (e)
        e->token.revoked = true; /* it stays: should its user be disabled, that is what they are told */
}

/* Of use is one that is good, or whose user is disabled, which they are to be told. That is known from the feed a
 * moment after the token's end, so none goes at the first look. */
static bool of_use(const struct daemon *d, const struct entry *e)
{
    if (e->token.who.expires <= (int64_t)time(NULL))
        return false;
    return !e->token.revoked || revoked_check(d->revoked, &e->token.who) == ERR_DISABLED;
}

void tokens_forget(struct daemon *d, double now)
{
    struct tokens *t = d->tokens;
    struct entry *e, *next;
    if (now < t->forget_at)
        return;
    t->forget_at = now + FORGET_EVERY_S;
    HASH_ITER (hh, t->by_hash, e, next) {
        bool over = !of_use(d, e);
        if (over && e->over)
            drop(t, e);
        else
            e->over = over;
    }
}

int tokens_count(const struct tokens *t)
{
    return (int)HASH_COUNT(t->by_hash);
}

static void note_use(struct daemon *d, struct entry *e)
{
    struct query q;
    if (time_now() - e->noted < SCRIPT_TOKEN_NOTE_US)
        return;
    e->noted = time_now();
    token_used_query(&q, e->token.who.session_id);
    if (pgpipe_submit(d->queries, &q, 1, NULL, NULL) != OK)
        e->noted = 0;
}

static enum error check_script(struct daemon *d, const char *text, struct identity *out)
{
    unsigned char hash[SECRET_HASH];
    struct entry *e;
    secret_hash(text, hash);
    HASH_FIND(hh, d->tokens->by_hash, hash, sizeof hash, e);
    if (!e || e->token.who.expires <= (int64_t)time(NULL))
        return ERR_UNAUTHORIZED;
    enum error error = revoked_check(d->revoked, &e->token.who);
    if (error == OK && e->token.revoked)
        error = ERR_UNAUTHORIZED;
    if (error != OK)
        return error;
    note_use(d, e);
    *out = e->token.who;
    return OK;
}

static enum error check_jwt(struct daemon *d, const char *text, struct identity *out)
{
    struct identity who;
    enum error e = token_verify(&d->keyring, d->config.issuer, text, &who);
    if (e == OK)
        e = revoked_check(d->revoked, &who);
    if (e == OK)
        *out = who;
    return e;
}

enum error tokens_check(struct daemon *d, const char *text, enum scope scope, bool limited, struct identity *out)
{
    struct identity who = {0};
    enum error e = (script_token_is(text) ? check_script : check_jwt)(d, text, &who);
    if (e == OK && (!(who.scopes & scope) || (who.conversation_id && !limited)))
        e = ERR_INSUFFICIENT_SCOPE;
    if (e == OK)
        *out = who;
    return e;
}
