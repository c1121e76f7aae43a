#include "ctl/web.h"

#include "shared/timefmt.h"

#include <curl/curl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_ROOM = 4096, BODY_MOST = 1 << 20 };

struct web {
    struct arena *arena;
    const char *url, *cacert;
    CURL *dangling[WEB_AT_ONCE];
    int dangling_count;
};

/* One request under way. */
struct transfer {
    CURL *curl;
    struct curl_slist *headers;
    struct arena *arena;
    char *body;
    size_t len, room; /* room: without the NUL */
    char error[CURL_ERROR_SIZE];
};

struct web *web_new(struct arena *a, const char *url, const char *cacert)
{
    struct web *w = arena_alloc(a, sizeof *w);
    char *own = arena_strdup(a, url);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (size_t len = strlen(own); len && own[len - 1] == '/'; len--)
        own[len - 1] = 0;
    *w = (struct web){.arena = a, .url = own, .cacert = cacert};
    return w;
}

void web_let_go(struct web *w)
{
    while (w->dangling_count)
        curl_easy_cleanup(w->dangling[--w->dangling_count]);
}

void web_free(struct web *w)
{
    if (!w)
        return;
    web_let_go(w);
    curl_global_cleanup();
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n < BODY_MOST - t->len ? size * n : BODY_MOST - t->len;
    if (t->len + len > t->room) {
        t->room = 2 * (t->len + len);
        t->body = memcpy(arena_alloc(t->arena, t->room + 1), t->body, t->len);
    }
    memcpy(t->body + t->len, bytes, len);
    t->len += len;
    return size * n;
}

static CURL *handle(struct web *w, const char *path, int seconds)
{
    CURL *c = curl_easy_init();
    if (!c)
        abort();
    curl_easy_setopt(c, CURLOPT_URL, arena_printf(w->arena, "%s%s", w->url, path));
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)seconds);
    curl_easy_setopt(c, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (w->cacert)
        curl_easy_setopt(c, CURLOPT_CAINFO, w->cacert);
    return c;
}

/* As listen_open() reads it. */
static void aim(CURL *c, struct arena *a, const char *at, const char *path)
{
    bool tcp = !strchr(at, '/') && strchr(at, ':');
    curl_easy_setopt(c, CURLOPT_URL,
                     arena_printf(a, "http://%s%s%s", tcp && *at != ':' ? "" : "localhost", tcp ? at : "", path));
    if (!tcp)
        curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, at);
}

static void prepare(struct web *w, struct transfer *t, const struct request_spec *r, int seconds)
{
    CURL *c = handle(w, r->path, seconds);
    *t = (struct transfer){
        .curl = c, .arena = w->arena, .body = arena_alloc(w->arena, BODY_ROOM + 1), .room = BODY_ROOM};
    if (r->at)
        aim(c, w->arena, r->at, r->path);
    if (r->token)
        t->headers = curl_slist_append(t->headers, arena_printf(w->arena, "Authorization: Bearer %s", r->token));
    if (r->header)
        t->headers = curl_slist_append(t->headers, r->header);
    if (r->body.s) {
        t->headers = curl_slist_append(t->headers, "Content-Type: application/json");
        t->headers = curl_slist_append(t->headers, "Expect:");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body.s);
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, t->headers);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(c, CURLOPT_PRIVATE, t);
}

static time_t certificate_end(CURL *c)
{
    struct curl_certinfo *chain = NULL;
    static const char name[] = "Expire date:";
    if (curl_easy_getinfo(c, CURLINFO_CERTINFO, &chain) || !chain || !chain->num_of_certs)
        return -1;
    for (struct curl_slist *l = chain->certinfo[0]; l; l = l->next)
        if (!strncmp(l->data, name, sizeof name - 1))
            return curl_getdate(l->data + sizeof name - 1, NULL);
    return -1;
}

static bool about_certificate(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_SSL_CACERT_BADFILE;
}

static void finish(struct web *w, struct transfer *t, CURLcode code, struct answer *out)
{
    struct curl_header *date = NULL;
    long status = 0;
    const char *type = NULL, *ip = NULL;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(t->curl, CURLINFO_LOCAL_IP, &ip);
    *out = (struct answer){.tls_error = about_certificate(code),
                           .date = -1,
                           .content_type = arena_strdup(w->arena, type ? type : ""),
                           .local_ip = arena_strdup(w->arena, ip ? ip : ""),
                           .certificate_ends = certificate_end(t->curl)};
    curl_easy_getinfo(t->curl, CURLINFO_TOTAL_TIME, &out->seconds);
    /* An answer that came before all of a body was sent counts, whatever became of the rest. */
    out->status = code == CURLE_OK || code == CURLE_SEND_ERROR || t->len ? (int)status : 0;
    out->error = arena_strdup(w->arena, *t->error ? t->error : curl_easy_strerror(code));
    out->body = (struct text){t->body, t->len};
    if (!curl_easy_header(t->curl, "Date", 0, CURLH_HEADER, -1, &date))
        out->date = curl_getdate(date->value, NULL);
    curl_slist_free_all(t->headers);
    curl_easy_cleanup(t->curl);
}

void web_ask(struct web *w, const struct request_spec *r, int seconds, struct answer *out)
{
    struct transfer t;
    prepare(w, &t, r, seconds);
    finish(w, &t, curl_easy_perform(t.curl), out);
}

void web_ask_many(struct web *w, const struct request_spec *r, int count, int seconds, struct answer *out)
{
    struct transfer list[WEB_AT_ONCE];
    CURLcode codes[WEB_AT_ONCE] = {0};
    CURLM *multi = curl_multi_init();
    CURLMsg *message;
    int running = 1, left;
    for (int i = 0; i < count; i++) {
        prepare(w, &list[i], r, seconds);
        curl_multi_add_handle(multi, list[i].curl);
    }
    while (running && !curl_multi_perform(multi, &running) && running)
        if (curl_multi_poll(multi, NULL, 0, 1000, NULL))
            break;
    while ((message = curl_multi_info_read(multi, &left))) {
        struct transfer *t;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        codes[t - list] = message->data.result;
    }
    for (int i = 0; i < count; i++) {
        curl_multi_remove_handle(multi, list[i].curl);
        finish(w, &list[i], codes[i], &out[i]);
    }
    curl_multi_cleanup(multi);
}

/* ---- answers that go on ---- */

struct stream {
    struct web *web;
    struct transfer transfer;
    CURLM *multi;
    int running;
};

/* Until what has come holds text (NULL: the head), the answer has ended, or the time is over. */
static bool await(struct stream *s, const char *text, double seconds)
{
    const struct transfer *t = &s->transfer;
    int64_t deadline = time_steady() + (int64_t)(seconds * 1e6);
    for (;;) {
        long status = 0, left = (long)((deadline - time_steady()) / 1000);
        if (curl_multi_perform(s->multi, &s->running))
            return false;
        curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
        if (text ? strstr(t->body, text) != NULL : status != 0)
            return true;
        if (!s->running || left <= 0 || curl_multi_poll(s->multi, NULL, 0, (int)left, NULL))
            return false;
    }
}

struct stream *web_stream_open(struct web *w, const struct request_spec *r, double seconds)
{
    struct stream *s = arena_alloc(w->arena, sizeof *s);
    s->web = w;
    prepare(w, &s->transfer, r, 60);
    s->multi = curl_multi_init();
    curl_multi_add_handle(s->multi, s->transfer.curl);
    await(s, NULL, seconds);
    return s;
}

bool web_stream_await(struct stream *s, const char *text, double seconds)
{
    return await(s, text, seconds);
}

bool web_stream_close(struct stream *s, struct answer *out)
{
    bool ended = !s->running;
    curl_multi_remove_handle(s->multi, s->transfer.curl);
    curl_multi_cleanup(s->multi);
    finish(s->web, &s->transfer, CURLE_OK, out);
    return ended;
}

/* ---- requests that stop half-way ---- */

int web_dangle(struct web *w, const char *path, const char *token, int count)
{
    const char *host = strstr(w->url, "://") + 3;
    const char *head = arena_printf(
        w->arena,
        "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\nConnection: close\r\n\r\n{",
        path, host, token);
    size_t sent;
    while (w->dangling_count < count && w->dangling_count < WEB_AT_ONCE) {
        CURL *c = handle(w, "", 5);
        curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
        if (curl_easy_perform(c) || curl_easy_send(c, head, strlen(head), &sent) || sent != strlen(head)) {
            curl_easy_cleanup(c);
            break;
        }
        w->dangling[w->dangling_count++] = c;
    }
    return w->dangling_count;
}

bool answer_is_problem(const struct answer *a, const char *code)
{
    struct json_object *o = json_tokener_parse(a->body.s);
    const char *found = json_object_get_string(json_object_object_get(o, "code"));
    bool is = a->status && !strncmp(a->content_type, "application/problem+json", 24) && found &&
              (!code || !strcmp(found, code));
    json_object_put(o);
    return is;
}
