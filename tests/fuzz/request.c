/* Whole requests through the router and every handler, up to the database. An input is written as
 *
 *     POST /api/v1/messages/dm?x=y
 *     HTTP_AUTHORIZATION=Bearer @@
 *     CONTENT_TYPE=application/json
 *
 *     {"recipient_id": "…", "content": "…"}
 *
 * a line with method and address, CGI variables, an empty line, the body. @@ becomes a good token. */
#include "fcgi-app/reply.h"
#include "fcgi-app/router.h"
#include "shared/log.h"
#include "tests/fuzz/support/fuzz.h"

#include <json-c/json.h>
#include <string.h>

enum { VARIABLES_MOST = 20 };

struct memory {
    const char *bytes;
    size_t left;
};

static size_t read_memory(void *from, char *to, size_t n)
{
    struct memory *m = from;
    n = n < m->left ? n : m->left;
    n = n < 7 ? n : 7;
    memcpy(to, m->bytes, n);
    m->bytes += n;
    m->left -= n;
    return n;
}

static struct app *the_app(void)
{
    static struct config config;
    static struct app app;
    if (app.config)
        return &app;
    FILE *nothing = fopen("/dev/null", "re");
    CHECK(nothing && config_read_file(nothing, "defaults", stderr, &config));
    fclose(nothing);
    log_setup("fuzz", LOG_ERROR, false);
    config.body_max = 2000; /* within the fuzzer's reach */
    config.message_max = 256;
    config.cors_origins = "https://app.example,localhost";
    app.config = &config;
    app.db.config = &config;
    app.keys = (struct keyring){.count = 1, .keys = {{"k", "0123456789abcdef0123456789abcdef", 32}}};
    return &app;
}

static const char *good_token(void)
{
    static const struct identity alice = {
        .user_id = 1, .user_created = 1767225600123000, .session_id = 7, .dialect = DIALECT_CONV, .username = "alice"};
    static char *token;
    if (!token)
        token = token_issue(&the_app()->keys, the_app()->config->issuer, &alice, 1000000);
    CHECK(token);
    return token;
}

/* NAME=value with a good token for @@; the caller frees it. */
static char *variable(const char *line)
{
    const char *at = strstr(line, "@@");
    char *out = NULL;
    CHECK(asprintf(&out, "%.*s%s%s", at ? (int)(at - line) : (int)strlen(line), line, at ? good_token() : "",
                   at ? at + 2 : "") >= 0);
    return out;
}

/* The lines above the body become the environment; the rest is returned. */
static char *read_head(char *text, char *env[VARIABLES_MOST + 1])
{
    int count = 0;
    char *line = strsep(&text, "\n");
    size_t method = strcspn(line, " ");
    CHECK(asprintf(&env[count++], "REQUEST_METHOD=%.*s", (int)method, line) > 0);
    CHECK(asprintf(&env[count++], "REQUEST_URI=%s", line[method] ? line + method + 1 : "") > 0);
    while (text && (line = strsep(&text, "\n")) && *line)
        if (count < VARIABLES_MOST && !strchr(line, '\r')) /* no server lets one through */
            env[count++] = variable(line);
    env[count] = NULL;
    return text;
}

/* Headers end where they should, whatever was sent back in them. */
static void check_head(struct text head)
{
    const char *line = head.s;
    CHECK(!strncmp(line, "Status: ", 8) && head.len == strlen(head.s));
    for (const char *end; (end = strstr(line, "\r\n")) > line; line = end + 2) {
        size_t name = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-");
        CHECK(name && !strncmp(line + name, ": ", 2));
        CHECK(!memchr(line, '\n', (size_t)(end - line)));
    }
    CHECK(!strcmp(line, "\r\n"));
}

static void check_reply(const struct reply *out, struct text body)
{
    struct input in;
    CHECK(out->status >= 200 && out->status <= 503 && out->status != 500);
    if (out->error == OK || !body.len)
        return;
    CHECK(out->status >= 400 && input_parse(&in, body.s, body.len) == OK);
    CHECK(input_has(&in, "code") && input_has(&in, "error") && input_has(&in, "title"));
    input_release(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request req;
    struct reply out = {0};
    struct text head, body;
    char *env[VARIABLES_MOST + 1], *text = fuzz_text(data, size);
    const char *rest = read_head(text, env);
    size_t offset = rest ? (size_t)(rest - text) : size;
    char *bytes = fuzz_bytes((const char *)data + offset, size - offset); /* with what follows a NUL */
    struct memory memory = {bytes, size - offset};
    request_init(&req, the_app(), env, (struct source){read_memory, &memory});
    router_serve(&req, &out);
    reply_render(&out, &req, &head, &body);
    check_head(head);
    check_reply(&out, body);
    reply_release(&out);
    request_release(&req);
    for (int i = 0; env[i]; i++)
        free(env[i]);
    free(bytes);
    free(text);
    return 0;
}
