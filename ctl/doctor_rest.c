/* The doctor's requests: is it there, and does nginx pass on what it has to? */
#include "ctl/doctor.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_S = 10 };

#define MEND_API "location ~ ^/(api|v1|hooks)/ { fastcgi_pass parley_api; } with the fastcgi_param lines of nginx.conf"

/* ---- is it there? ---- */

static bool is_local(const struct doctor *d)
{
    const char *host = strstr(d->url, "://") + 3;
    return !strncmp(host, "127.", 4) || !strncmp(host, "localhost", 9) || !strncmp(host, "[::1]", 5);
}

static void check_tls(struct doctor *d, const struct answer *a)
{
    double days = difftime(a->certificate_ends, time(NULL)) / 86400;
    if (strncmp(d->url, "https:", 6))
        verdict(&d->verdicts, is_local(d) ? VERDICT_SKIPPED : VERDICT_BAD, "tls",
                is_local(d) ? NULL : "listen 443 ssl;",
                is_local(d) ? "This address is on this machine; give the public one to have TLS looked at."
                            : "There is no TLS: tokens are passwords, and go over the net for everyone to read.");
    else if (a->certificate_ends >= 0 && days < 14)
        verdict(&d->verdicts, VERDICT_WARN, "tls", "ssl_certificate", "The certificate expires in %.0f days.", days);
    else
        verdict(&d->verdicts, VERDICT_OK, "tls", NULL, "The certificate is good.");
}

static void check_clock(struct doctor *d, const struct answer *a)
{
    double apart = difftime(time(NULL), a->date);
    if (a->date < 0)
        return;
    if (apart > 5 || apart < -5)
        verdict(&d->verdicts, VERDICT_WARN, "clock", "a time service, e.g. chrony, on both machines",
                "The server's clock and this machine's are %.0f s apart; tokens may look expired, or not yet.",
                apart < 0 ? -apart : apart);
    else
        verdict(&d->verdicts, VERDICT_OK, "clock", NULL, "The server's clock agrees with this machine's.");
}

bool doctor_reaches(struct doctor *d)
{
    struct answer a;
    web_ask(d->web, &(struct request_spec){.path = DOCTOR_ME}, PATIENCE_S, &a);
    if (!a.status) {
        verdict(&d->verdicts, VERDICT_BAD, a.tls_error ? "tls" : "reach", a.tls_error ? "ssl_certificate" : "listen",
                "%s: %s.", d->url, a.error);
        return false;
    }
    check_tls(d, &a);
    check_clock(d, &a);
    if (a.status == 401 && answer_is_problem(&a, "unauthorized")) {
        verdict(&d->verdicts, VERDICT_OK, "reach", NULL, "A worker of the pool \"api\" answers.");
        return true;
    }
    if (a.status == 502 || a.status == 503 || a.status == 504)
        verdict(&d->verdicts, VERDICT_BAD, "reach",
                "upstream parley_api { server unix:/run/parley/api.sock max_fails=0; }",
                "nginx answers %d: it does not reach the pool \"api\". Either fcgi-app does not run, or its socket is "
                "elsewhere.",
                a.status);
    else
        verdict(&d->verdicts, VERDICT_BAD, "reach", MEND_API,
                "%s" DOCTOR_ME " answers %d and not as a worker would; requests do not arrive at the pool.", d->url,
                a.status);
    return false;
}

/* ---- what a login shows: the auth pool, our keys, our address ---- */

/* A token the server itself signed; NULL when the login failed, after a verdict. */
static const char *log_in(struct doctor *d, struct answer *a)
{
    struct guest *g = &d->guests[0];
    char *body = arena_printf(d->arena, "{\"username\":\"%s\",\"password\":\"%s\"}", g->user.username, g->password);
    web_ask(d->web,
            &(struct request_spec){
                .path = "/api/v1/auth/login", .header = "X-Forwarded-For: 192.0.2.77", .body = {body, strlen(body)}},
            PATIENCE_S, a);
    struct json_object *o = json_tokener_parse(a->body.s);
    const char *token = json_object_get_string(json_object_object_get(o, "access_token"));
    token = a->status == 200 && token ? arena_strdup(d->arena, token) : NULL;
    json_object_put(o);
    return token;
}

void doctor_authorization(struct doctor *d)
{
    struct answer a, login;
    web_ask(d->web, &(struct request_spec){.path = DOCTOR_ME, .token = d->guests[0].token}, PATIENCE_S, &a);
    d->tokens_known = a.status == 200;
    if (d->tokens_known) {
        verdict(&d->verdicts, VERDICT_OK, "authorization", NULL,
                "The Authorization header arrives, and the server knows our keys.");
        return;
    }
    /* The server's own token tells whether the header is lost or the keys are others. */
    const char *token = log_in(d, &login);
    if (token)
        web_ask(d->web, &(struct request_spec){.path = DOCTOR_ME, .token = token}, PATIENCE_S, &a);
    if (token && a.status == 200)
        verdict(
            &d->verdicts, VERDICT_BAD, "keys", "KEY_FILE",
            "The server does not know the key in %s: it runs with other settings, or was not reloaded after a change "
            "(SIGHUP).",
            d->ctl->config.key_file);
    else
        verdict(&d->verdicts, VERDICT_BAD, "authorization",
                "no fastcgi_param HTTP_AUTHORIZATION, and fastcgi_pass_request_headers on; (in Apache: CGIPassAuth On)",
                "The Authorization header does not arrive at the workers: a good token is refused with %d.", a.status);
}

static const char *address_seen(struct doctor *d)
{
    struct query q;
    query_init(&q, SQL_DOCTOR_ADDRESS);
    query_int(&q, d->guests[0].user.id);
    return doctor_text(d, &q);
}

static void check_address(struct doctor *d, const char *seen, const char *ours)
{
    bool loopback = seen && (!strncmp(seen, "127.", 4) || !strcmp(seen, "::1"));
    if (!seen || !*seen)
        verdict(&d->verdicts, VERDICT_BAD, "address", "fastcgi_param REMOTE_ADDR $remote_addr;",
                "The workers are not told the client's address: sessions and limits know nobody's.");
    else if (!strcmp(seen, "192.0.2.77"))
        verdict(&d->verdicts, is_local(d) ? VERDICT_WARN : VERDICT_BAD, "address",
                "set_real_ip_from: only the proxies in front of this nginx",
                "nginx believes whatever address %s claims in X-Forwarded-For. That is right only if a proxy of yours "
                "stands there.",
                ours);
    else if (loopback && strcmp(seen, ours) && !is_local(d)) /* the server's own name often is 127.0.1.1 to itself */
        verdict(&d->verdicts, VERDICT_BAD, "address", "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;",
                "Clients seem to come from %s: another proxy stands in front, and all of them share one limit.", seen);
    else if (strcmp(seen, ours))
        verdict(
            &d->verdicts, VERDICT_WARN, "address", "set_real_ip_from and real_ip_header, if a proxy stands in front",
            "The server took us for %s, we are %s: an address translation, or a proxy in front of nginx.", seen, ours);
    else
        verdict(&d->verdicts, VERDICT_OK, "address", NULL, "The workers see the client's address, %s.", seen);
}

void doctor_login(struct doctor *d)
{
    struct answer a;
    if (!log_in(d, &a)) {
        verdict(&d->verdicts, VERDICT_BAD, "auth-pool",
                "location ~ ^/((api/v1|api|v1)/auth/|v1/users/(register|login)$) "
                "{ fastcgi_pass parley_auth; }",
                "A login with a good password is answered with %d%s%s.", a.status, a.status ? "" : ": ",
                a.status ? "" : a.error);
        return;
    }
    verdict(&d->verdicts, VERDICT_OK, "auth-pool", NULL, "A worker of the pool \"auth\" answers a login within %.2f s.",
            a.seconds);
    check_address(d, address_seen(d), a.local_ip);
}

/* ---- bodies ---- */

/* A message of nothing but spaces, to nobody, of exactly so many bytes. */
static struct text body_of(struct doctor *d, int bytes)
{
    static const char head[] = "{\"recipient_id\":\"nobody\",\"content\":\"", tail[] = "\"}";
    char *body = arena_alloc(d->arena, (size_t)bytes + 1);
    memset(body, ' ', (size_t)bytes);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + bytes - (sizeof tail - 1), tail, sizeof tail - 1);
    return (struct text){body, (size_t)bytes};
}

void doctor_body_limit(struct doctor *d)
{
    struct answer a;
    int most = d->ctl->config.body_max;
    struct request_spec r = {.path = "/api/v1/messages/dm", .token = d->guests[0].token, .body = body_of(d, most)};
    web_ask(d->web, &r, PATIENCE_S, &a);
    if (a.status == 413)
        verdict(&d->verdicts, VERDICT_BAD, "body-limit", arena_printf(d->arena, "client_max_body_size %d;", most),
                "nginx refuses a body of %d bytes, which BODY_MAX allows.", most);
    else if (a.status != 400 && a.status != 401 && a.status != 404)
        verdict(&d->verdicts, VERDICT_BAD, "body-limit", "client_body_timeout, client_body_buffer_size",
                "A body of %d bytes is answered with %d%s%s.", most, a.status, a.status ? "" : ": ",
                a.status ? "" : a.error);
    else
        verdict(&d->verdicts, VERDICT_OK, "body-limit", NULL, "A body of %d bytes, all that BODY_MAX allows, arrives.",
                most);

    /* Whoever refuses it, the sentence has one shape. The query is for doctor_logs(). */
    r.path = arena_printf(d->arena, "/api/v1/messages/dm?token=%s", d->mark);
    r.body = body_of(d, most + 1);
    web_ask(d->web, &r, PATIENCE_S, &a);
    if (a.status == 413 && answer_is_problem(&a, "body_too_large"))
        verdict(&d->verdicts, VERDICT_OK, "errors", NULL,
                "A body that is too large is refused in the API's own words.");
    else if (a.status == 413 || !a.status)
        verdict(&d->verdicts, VERDICT_BAD, "errors",
                "error_page 400 404 405 408 411 413 414 429 500 501 502 503 504 505 "
                "/parley-error; with that location",
                "nginx's own errors are not JSON, so clients cannot read them.");
    else
        verdict(&d->verdicts, VERDICT_BAD, "errors", "client_max_body_size",
                "A body over the limit is answered with %d.", a.status);
}
