/* The receiver's address is a stranger's choice. So: http and https only, no redirect is followed, no
 * proxy is asked, each address is looked at when its socket is made (whatever a name resolved to before),
 * and time and the size of the answer are bounded. */
#include "courier/post.h"

#include "courier/reason.h"
#include "shared/timefmt.h"
#include "shared/view.h"

#include <json-c/json.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_S = 5, ANSWER_MOST = 65536 };

void post_sign(struct text secret, const char *id, int64_t timestamp, const char *body, char out[SIGNATURE_TEXT])
{
    struct arena a;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    arena_init(&a);
    const char *text = arena_printf(&a, "%s.%lld.%s", id, (long long)timestamp, body);
    if (!HMAC(EVP_sha256(), secret.s, (int)secret.len, (const unsigned char *)text, strlen(text), mac, &len))
        abort();
    EVP_EncodeBlock((unsigned char *)out, mac, (int)len);
    arena_release(&a);
}

/* ---- what libcurl asks ---- */

static curl_socket_t on_socket(void *of, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct post *p = of;
    if (purpose != CURLSOCKTYPE_IPCXN || !reach_allows(p->reach, &to->addr)) {
        p->unreachable = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *of)
{
    struct post *p = of;
    (void)bytes;
    p->answered += size * n;
    return p->answered > ANSWER_MOST ? 0 : size * n;
}

/* ---- a request ---- */

static void add_header(struct post *p, const char *name, const char *value)
{
    p->headers = curl_slist_append(p->headers, arena_printf(&p->arena, "%s: %s", name, value));
    if (!p->headers)
        abort();
}

static void sign(struct post *p, const char *body)
{
    char id[UUID_TEXT], signature[SIGNATURE_TEXT];
    int64_t now = time_now() / 1000000;
    id_uuid(p->delivery.id, p->delivery.created_at, id);
    post_sign(p->delivery.secret, id, now, body, signature);
    add_header(p, "Content-Type", "application/json");
    add_header(p, "webhook-id", id);
    add_header(p, "webhook-timestamp", arena_printf(&p->arena, "%lld", (long long)now));
    add_header(p, "webhook-signature", arena_printf(&p->arena, "v1,%s", signature));
    add_header(p, "Expect", ""); /* no asking before */
}

static void set_up(struct post *p, const struct config *config, const char *body, size_t len)
{
    CURL *c = p->curl;
    curl_easy_setopt(c, CURLOPT_URL, p->delivery.url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, p);
    curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L); /* each with its own look at the address */
    curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)config->callback_timeout);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    /* Or the end of one that gave up waits for the thread that still asks for its name, and all others with it. */
    curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "Parley-Callback/1");
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, p->headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, p);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, p->error);
    curl_easy_setopt(c, CURLOPT_PRIVATE, p);
}

struct post *post_new(const struct config *config, const struct reach *reach, struct arena *take,
                      const struct callback_post *delivery)
{
    struct post *p = calloc(1, sizeof *p);
    size_t len;
    if (!p || !(p->curl = curl_easy_init()))
        abort();
    p->arena = *take;
    arena_init(take);
    p->delivery = *delivery;
    p->reach = reach;
    p->body = view_callback_body(delivery);
    const char *body = json_object_to_json_string_length(p->body,
                                                         JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    sign(p, body);
    set_up(p, config, body, len);
    return p;
}

void post_free(struct post *p)
{
    if (!p)
        return;
    curl_easy_cleanup(p->curl);
    curl_slist_free_all(p->headers);
    json_object_put(p->body);
    arena_release(&p->arena);
    free(p);
}

int64_t post_outcome(struct post *p, CURLcode code, char reason[REASON_TEXT])
{
    long status = 0;
    curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    *reason = 0;
    int len;
    const char *why = reason_of_curl(code, p->error, &len);
    bool whole = code == CURLE_OK || (code == CURLE_WRITE_ERROR && p->answered > ANSWER_MOST);
    if (!whole && p->unreachable)
        snprintf(reason, REASON_TEXT, "its address is not a public one");
    else if (!whole)
        snprintf(reason, REASON_TEXT, "%.*s", len, why);
    else if (status < 200 || status > 299)
        snprintf(reason, REASON_TEXT, "it answered %ld", status);
    return whole ? status : 0;
}
