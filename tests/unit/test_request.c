/* Reading a request: address, headers, body; origins; the answer's headers. */
#include "fcgi-app/account.h"
#include "fcgi-app/reply.h"
#include "fcgi-app/router.h"
#include "shared/origin.h"
#include "shared/validate.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- a request from memory ---- */

struct memory {
    const char *bytes;
    size_t left, step; /* at most so many bytes are given out at a time */
};

static size_t read_memory(void *from, char *to, size_t n)
{
    struct memory *m = from;
    n = n < m->left ? n : m->left;
    n = n < m->step ? n : m->step;
    memcpy(to, m->bytes, n);
    m->bytes += n;
    m->left -= n;
    return n;
}

struct fixture {
    struct config config;
    struct app app;
    struct memory memory;
    struct request req;
};

static void open_request(struct fixture *f, char *const *env, const char *body, size_t len)
{
    memset(f, 0, sizeof *f);
    f->config.body_max = 2000;
    f->config.cors_origins = "https://app.example";
    f->app.config = &f->config;
    f->memory = (struct memory){body, len, 7};
    request_init(&f->req, &f->app, env, (struct source){read_memory, &f->memory});
}

#define ENV(...) ((char *[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* ---- addresses ---- */

static enum error parse(const char *address, struct target *t, struct arena *a)
{
    arena_init(a);
    return target_parse(t, a, address);
}

static void test_segments_are_decoded_one_by_one(void **state)
{
    struct arena a;
    struct target t;
    (void)state;
    assert_int_equal(parse("/a%2Fb/%C3%A9/+/x?y=/z", &t, &a), OK);
    assert_int_equal(t.segment_count, 4);
    assert_string_equal(t.segments[0], "a/b");
    assert_string_equal(t.segments[1], "é");
    assert_string_equal(t.segments[2], "+");
    assert_string_equal(t.segments[3], "x");
    assert_string_equal(t.path, "/a%2Fb/%C3%A9/+/x");
    assert_string_equal(t.query, "y=/z");
    arena_release(&a);
}

static void test_address_that_names_nothing_is_not_found(void **state)
{
    /* clang-format off */
    static const char *const bad[] = {"", "a", "*", "?x", "http://host/a", "/%", "/%4", "/%zz", "/a%00b",
                                      "/%ff", "/%c0%af", "/.", "/..", "/a/../b", "/%2e%2e/a", "/a/%2E",
                                      "/1/2/3/4/5/6/7/8/9/10/11/12/13"};
    /* clang-format on */
    struct arena a;
    struct target t;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i], &t, &a), ERR_NOT_FOUND);
        assert_non_null(t.path);
        arena_release(&a);
    }
}

static void test_query_is_decoded(void **state)
{
    struct arena a;
    struct target t;
    struct input in;
    (void)state;
    assert_int_equal(parse("/a?x=1&y=a+b%26c&&flag&=odd&e=", &t, &a), OK);
    assert_int_equal(target_parse_query(&t, &a, &in), OK);
    assert_string_equal(target_parameter(&t, "x").s, "1");
    assert_string_equal(target_parameter(&t, "y").s, "a b&c");
    assert_string_equal(target_parameter(&t, "flag").s, "");
    assert_string_equal(target_parameter(&t, "e").s, "");
    assert_null(target_parameter(&t, "absent").s);
    arena_release(&a);
}

static void test_a_name_given_twice_is_refused(void **state)
{
    static const char *const twice[] = {"/a?x=1&x=2", "/a?x=1&y=2&x=1", "/a?x&x", "/a?x=1&%78=2"};
    struct arena a;
    struct target t;
    struct input in;
    (void)state;
    for (size_t i = 0; i < sizeof twice / sizeof *twice; i++) {
        assert_int_equal(parse(twice[i], &t, &a), OK);
        assert_int_equal(target_parse_query(&t, &a, &in), ERR_INVALID_PARAMETER);
        assert_string_equal(in.detail, "x is given twice");
        arena_release(&a);
    }
}

static void test_undecodable_query_is_refused(void **state)
{
    static const char *const bad[] = {"/a?x=%", "/a?x=%g0", "/a?x=%00", "/a?x=%ff", "/a?%ff=x"};
    struct arena a;
    struct target t;
    struct input in;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i], &t, &a), OK);
        assert_int_equal(target_parse_query(&t, &a, &in), ERR_INVALID_PARAMETER);
        arena_release(&a);
    }
}

static void test_number_of_parameters_is_bounded(void **state)
{
    struct arena a;
    struct target t;
    struct input in;
    char address[1000] = "/a?";
    (void)state;
    for (int i = 0; i < TARGET_PARAMETERS; i++)
        sprintf(address + strlen(address), "x%d=1&", i);
    assert_int_equal(parse(address, &t, &a), OK);
    assert_int_equal(target_parse_query(&t, &a, &in), OK);
    arena_release(&a);
    strcat(address, "y");
    assert_int_equal(parse(address, &t, &a), OK);
    assert_int_equal(target_parse_query(&t, &a, &in), ERR_INVALID_PARAMETER);
    arena_release(&a);
}

static void assert_page(const char *query, enum error e, int64_t limit, int64_t offset)
{
    struct fixture f;
    char address[200];
    int64_t l = -1, o = -1;
    snprintf(address, sizeof address, "/a?%s", query);
    open_request(&f, ENV("REQUEST_METHOD=GET"), "", 0);
    assert_int_equal(target_parse(&f.req.target, &f.req.arena, address), OK);
    assert_int_equal(target_parse_query(&f.req.target, &f.req.arena, &f.req.body), OK);
    assert_int_equal(request_page(&f.req, &l, &o), e);
    assert_int_equal(l, limit);
    assert_int_equal(o, offset);
    if (e != OK)
        assert_non_null(strstr(query, strtok(f.req.body.detail, " ")));
    request_release(&f.req);
}

static void test_limit_and_offset(void **state)
{
    (void)state;
    assert_page("", OK, 50, 0);
    assert_page("limit=1&offset=7", OK, 1, 7);
    assert_page("limit=100", OK, 100, 0);
    assert_page("limit=101", OK, 100, 0);
    assert_page("limit=99999999999999999999999999", OK, 100, 0);
    /* clang-format off */
    static const char *const bad[] = {"limit=0", "limit=", "limit", "limit=-1", "limit=+1", "limit=1.0",
                                      "limit=1e2", "limit=0x1", "limit=1+", "offset=-1", "offset=x",
                                      "offset="};
    /* clang-format on */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_page(bad[i], ERR_INVALID_PARAMETER, -1, -1);
}

/* ---- headers ---- */

static void test_bearer_token(void **state)
{
    (void)state;
    assert_string_equal(bearer_token("Bearer abc"), "abc");
    assert_string_equal(bearer_token("bEARER   abc"), "abc");
    /* clang-format off */
    static const char *const bad[] = {"", "Bearer", "Bearer ", "Bearer   ", "Bearerabc", "Basic abc",
                                      " Bearer abc", "abc"};
    /* clang-format on */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_null(bearer_token(bad[i]));
    assert_null(bearer_token(NULL));
}

static void test_declared_media(void **state)
{
    static const char *const json[] = {"",
                                       "application/json",
                                       "Application/JSON;charset=utf-8",
                                       "application/json ; x",
                                       "application/problem+json",
                                       "application/vnd.x.v1+JSON"};
    static const char *const other[] = {"text/plain",
                                        "text/json",
                                        "application/jsonx",
                                        "application/xjson",
                                        "application/",
                                        "application",
                                        "json",
                                        "x",
                                        ";",
                                        " ",
                                        "application/x-www-form-urlencodedx",
                                        "multipart/form-data"};
    (void)state;
    assert_int_equal(media_of(NULL), MEDIA_JSON);
    for (size_t i = 0; i < sizeof json / sizeof *json; i++)
        assert_int_equal(media_of(json[i]), MEDIA_JSON);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_int_equal(media_of(other[i]), MEDIA_OTHER);
    assert_int_equal(media_of("application/x-www-form-urlencoded; charset=UTF-8"), MEDIA_FORM);
}

static void test_request_id_is_taken_over_only_when_harmless(void **state)
{
    struct fixture f;
    (void)state;
    open_request(&f, ENV("REQUEST_ID=abc.DEF-1_2"), "", 0);
    assert_string_equal(f.req.id, "abc.DEF-1_2");
    request_release(&f.req);
    static char long_id[] = "REQUEST_ID=12345678901234567890123456789012345678901234567890123456789012345";
    char *bad[] = {"X=y", "REQUEST_ID=", "REQUEST_ID=a b", "REQUEST_ID=a\r\nSet-Cookie: x", long_id};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        open_request(&f, ENV(bad[i]), "", 0);
        assert_int_equal(strlen(f.req.id), 32);
        request_release(&f.req);
    }
}

static void test_user_agent_is_cut_between_characters(void **state)
{
    struct fixture f;
    char variable[300] = "HTTP_USER_AGENT=";
    (void)state;
    for (int i = 0; i < 199; i++)
        strcat(variable, "x");
    strcat(variable, "é");
    open_request(&f, ENV(variable), "", 0);
    assert_int_equal(strlen(request_user_agent(&f.req)), 199);
    request_release(&f.req);
    open_request(&f, ENV("HTTP_USER_AGENT=\xff"), "", 0);
    assert_null(request_user_agent(&f.req));
    request_release(&f.req);
}

/* ---- bodies ---- */

static enum error read(struct fixture *f, char *type, char *length, const char *body, size_t len, bool form)
{
    open_request(f, ENV(type, length), body, len);
    return request_body(&f->req, form);
}

static void assert_body(char *type, char *length, const char *body, bool form, enum error e)
{
    struct fixture f;
    assert_int_equal(read(&f, type, length, body, strlen(body), form), e);
    assert_int_equal(e == OK, f.req.body.root != NULL && f.req.body.detail[0] == 0);
    request_release(&f.req);
}

static void test_body_by_declared_type(void **state)
{
    (void)state;
    assert_body("CONTENT_TYPE=", "CONTENT_LENGTH=7", "{\"a\":1}", false, OK);
    assert_body("CONTENT_TYPE=application/json", "CONTENT_LENGTH=7", "{\"a\":1}", true, OK);
    assert_body("CONTENT_TYPE=text/plain", "CONTENT_LENGTH=7", "{\"a\":1}", true, ERR_MEDIA_TYPE);
    assert_body("CONTENT_TYPE=application/x-www-form-urlencoded", "CONTENT_LENGTH=3", "a=1", true, OK);
    assert_body("CONTENT_TYPE=application/x-www-form-urlencoded", "CONTENT_LENGTH=3", "a=1", false, ERR_MEDIA_TYPE);
    assert_body("CONTENT_TYPE=application/json", "CONTENT_LENGTH=0", "", true, ERR_BAD_JSON);
    assert_body("CONTENT_TYPE=application/json", "CONTENT_LENGTH=2", "[]", true, ERR_INVALID_BODY);
}

static void test_length_that_lies_is_not_believed(void **state)
{
    (void)state;
    assert_body("X=", "CONTENT_LENGTH=8", "{\"a\":1}", false, ERR_INVALID_BODY);
    assert_body("X=", "CONTENT_LENGTH=2", "{}  ", false, ERR_INVALID_BODY);
    assert_body("X=", "CONTENT_LENGTH=2001", "{}", false, ERR_BODY_TOO_LARGE);
    assert_body("X=", "CONTENT_LENGTH=99999999999999999999", "{}", false, ERR_BODY_TOO_LARGE);
    assert_body("X=", "X=", "{\"a\":1}", false, OK);
    assert_body("X=", "CONTENT_LENGTH=x", "{\"a\":1}", false, OK);
}

static void test_body_is_limited_whatever_is_declared(void **state)
{
    struct fixture f;
    char body[2001];
    (void)state;
    memset(body, ' ', sizeof body);
    body[0] = '{';
    body[1] = '}';
    static char *const lengths[] = {"X=", "CONTENT_LENGTH=", "CONTENT_LENGTH=5"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(read(&f, "X=", lengths[i], body, 2001, false), ERR_BODY_TOO_LARGE);
        request_release(&f.req);
    }
    assert_int_equal(read(&f, "X=", "X=", body, 2000, false), OK);
    request_release(&f.req);
}

static void test_what_is_not_rfc_8259_is_no_json(void **state)
{
    /* clang-format off */
    static const char *const bad[] = {
        "{'a':1}", "{\"a\":'x'}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}", "{\"a\":TRUE}",
        "{\"a\":\"\n\"}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\ud800\"}",
        "{\"a\":\"\\ud83dx\\ude00\"}", "{\"\\ud800\":1}", "{\"a\":1,}", "{\"a\":01}", "{}x", "{}{}",
        "{\"a\":1 /* */}", "{\"a\":\"\xff\"}", "{\"a\":\"\xed\xa0\x80\"}", "{", "\"", "{\"a\":\"\\u12", "",
        "{\"a\":\"\\", " ", "nul"};
    static const char *const no_object[] = {"5", "-1.5", "null", " true ", "\"x\"", "[{}]", "\"\\ud83d\\ude00\""};
    static const char *const good[] = {"{}", " {\"a\" : -1.5e+3 , \"b\":[true,false,null]}\r\n",
                                       "{\"a\":\"\\ud83d\\ude00 \\\\ud800 \\\" \x7f\"}"};
    /* clang-format on */
    struct input in;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (input_parse(&in, bad[i], strlen(bad[i])) != ERR_BAD_JSON)
            fail_msg("accepted: %s", bad[i]);
        input_release(&in);
    }
    for (size_t i = 0; i < sizeof no_object / sizeof *no_object; i++) {
        if (input_parse(&in, no_object[i], strlen(no_object[i])) != ERR_INVALID_BODY)
            fail_msg("not called an invalid body: %s", no_object[i]);
        input_release(&in);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (input_parse(&in, good[i], strlen(good[i])) != OK)
            fail_msg("refused: %s", good[i]);
        input_release(&in);
    }
    assert_int_equal(input_parse(&in, "{}\0", 3), ERR_BAD_JSON);
    input_release(&in);
}

static void assert_key(char *header, const char *body, enum error e, const char *key)
{
    struct fixture f;
    struct text got = {0};
    open_request(&f, ENV(header), body, strlen(body));
    assert_int_equal(request_body(&f.req, false), OK);
    assert_int_equal(request_client_key(&f.req, &got), e);
    if (key)
        assert_string_equal(got.s, key);
    else
        assert_null(got.s);
    request_release(&f.req);
}

static void test_key_comes_from_header_or_body(void **state)
{
    (void)state;
    assert_key("X=", "{}", OK, NULL);
    assert_key("X=", "{\"client_msg_id\":null}", OK, NULL);
    assert_key("X=", "{\"client_msg_id\":\"k\"}", OK, "k");
    assert_key("HTTP_IDEMPOTENCY_KEY=k", "{}", OK, "k");
    assert_key("HTTP_IDEMPOTENCY_KEY=k", "{\"client_msg_id\":\"k\"}", OK, "k");
    assert_key("HTTP_IDEMPOTENCY_KEY=k", "{\"client_msg_id\":\"l\"}", ERR_CLIENT_KEY_INVALID, NULL);
    assert_key("HTTP_IDEMPOTENCY_KEY=", "{}", ERR_CLIENT_KEY_INVALID, NULL);
    assert_key("HTTP_IDEMPOTENCY_KEY=\xff", "{}", ERR_CLIENT_KEY_INVALID, NULL);
    assert_key("X=", "{\"client_msg_id\":7}", ERR_INVALID_FIELD, NULL);
}

/* ---- origins ---- */

static void test_listed_origins_are_compared_whole(void **state)
{
    const char *list = "https://app.example, http://two.example:8000";
    /* clang-format off */
    static const char *const foreign[] = {"", "null", "http://app.example", "https://app.example:444",
                                          "https://app.example/", "https://app.example.evil", "https://xapp.example",
                                          "https://app.exampl", "http://two.example", ",", " ", "localhost",
                                          "http://localhost"};
    /* clang-format on */
    (void)state;
    assert_true(origin_allowed(list, "https://app.example"));
    assert_true(origin_allowed(list, "http://two.example:8000"));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_false(origin_allowed(list, foreign[i]));
    assert_false(origin_allowed("", "https://app.example"));
    assert_true(origin_allowed("*", "null"));
    assert_true(origin_allowed("https://a.example,*", "https://b.example"));
}

static void test_localhost_is_this_machine_on_any_port(void **state)
{
    /* clang-format off */
    static const char *const own[] = {"http://localhost", "https://localhost:8443", "http://127.0.0.1:5173",
                                      "http://[::1]", "http://[::1]:1"};
    static const char *const foreign[] = {"", "ftp://localhost", "http://localhost:", "http://localhost:8x",
                                          "http://localhost:80@evil.example", "http://localhost@evil.example",
                                          "http://localhost.evil.example", "http://127.0.0.1.evil.example",
                                          "http://127.0.0.11", "http://xlocalhost", "http://evil.example/localhost",
                                          "http://localhost/", "null"};
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_true(origin_allowed("https://app.example,localhost", own[i]));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_false(origin_allowed("localhost", foreign[i]));
}

/* ---- answers ---- */

static void test_refusal_is_answered_in_the_contracts_shape(void **state)
{
    struct fixture f;
    struct reply out = {0};
    struct text head, body;
    (void)state;
    open_request(&f, ENV("REQUEST_METHOD=GET", "REQUEST_URI=/nope", "REQUEST_ID=r1", "HTTP_ORIGIN=https://app.example"),
                 "", 0);
    router_serve(&f.req, &out);
    reply_render(&out, &f.req, &head, &body);
    assert_string_equal(body.s, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                                "\"detail\":\"Resource not found\",\"error\":\"Resource not found\","
                                "\"code\":\"not_found\"}");
    assert_int_equal(strncmp(head.s, "Status: 404 Not Found\r\n", 23), 0);
    assert_non_null(strstr(head.s, "\r\nContent-Type: application/problem+json\r\n"));
    assert_non_null(strstr(head.s, "\r\nX-Request-Id: r1\r\n"));
    assert_non_null(strstr(head.s, "\r\nAccess-Control-Allow-Origin: https://app.example\r\n"));
    assert_null(strstr(head.s, "Credentials"));
    assert_string_equal(head.s + head.len - 4, "\r\n\r\n");
    reply_release(&out);
    request_release(&f.req);
}

static const char *head_of(struct fixture *f, char *const *env)
{
    struct reply out = {0};
    struct text head, body;
    open_request(f, env, "", 0);
    router_serve(&f->req, &out);
    reply_render(&out, &f->req, &head, &body);
    reply_release(&out);
    return head.s;
}

static void test_headers_by_status(void **state)
{
    struct fixture f;
    (void)state;
    const char *head = head_of(&f, ENV("REQUEST_METHOD=GET", "REQUEST_URI=/api/v1/users/me"));
    assert_non_null(strstr(head, "Status: 401 "));
    assert_non_null(strstr(head, "\r\nWWW-Authenticate: Bearer\r\n"));
    request_release(&f.req);
    head = head_of(&f, ENV("REQUEST_METHOD=PUT", "REQUEST_URI=/api/v1/users/me"));
    assert_non_null(strstr(head, "Status: 405 "));
    assert_non_null(strstr(head, "\r\nAllow: GET, HEAD, OPTIONS\r\n"));
    request_release(&f.req);
    head = head_of(&f, ENV("REQUEST_METHOD=OPTIONS", "REQUEST_URI=/api/v1/users/me"));
    assert_non_null(strstr(head, "Status: 204 "));
    assert_null(strstr(head, "\r\nContent-Type"));
    assert_null(strstr(head, "\r\nContent-Length"));
    assert_null(strstr(head, "Access-Control"));
    request_release(&f.req);
}

static void test_preflight_is_granted_to_listed_origins_only(void **state)
{
    struct fixture f;
    (void)state;
    const char *head = head_of(&f, ENV("REQUEST_METHOD=OPTIONS", "REQUEST_URI=/api/v1/messages/dm",
                                       "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST", "HTTP_ORIGIN=https://app.example"));
    assert_non_null(strstr(head, "\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n"));
    request_release(&f.req);
    head = head_of(&f, ENV("REQUEST_METHOD=OPTIONS", "REQUEST_URI=/api/v1/messages/dm",
                           "HTTP_ACCESS_CONTROL_REQUEST_METHOD=POST", "HTTP_ORIGIN=https://evil.example"));
    assert_null(strstr(head, "Access-Control"));
    assert_non_null(strstr(head, "\r\nVary: Origin\r\n"));
    request_release(&f.req);
}

/* ---- derived usernames ---- */

static void assert_derived(const char *display_name, const char *username)
{
    char out[USERNAME_TEXT];
    account_derive_username(display_name, 0, out);
    assert_string_equal(out, username);
    for (int attempt = 0; attempt < 3; attempt++) {
        account_derive_username(display_name, attempt, out);
        assert_int_equal(validate_username((struct text){out, strlen(out)}), OK);
    }
}

static void test_username_is_derived_from_a_display_name(void **state)
{
    char out[USERNAME_TEXT], again[USERNAME_TEXT];
    (void)state;
    assert_derived("Zoe van der Berg", "zoe.van.der.berg");
    assert_derived("  A--B__C..  ", "a.b.c");
    assert_derived("O'Neil", "oneil");
    assert_derived("Élodie Ünal", "lodie.nal");
    assert_derived("0123456789012345678901234567890123456789012345678901234567890",
                   "0123456789012345678901234567890123456789");
    static const char *const nothing[] = {"x", "日本語", "😀", "..", "é é"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        account_derive_username(nothing[i], 0, out);
        assert_int_equal(strncmp(out, "user.", 5), 0);
        assert_int_equal(validate_username((struct text){out, strlen(out)}), OK);
    }
    account_derive_username("alice", 1, out);
    account_derive_username("alice", 1, again);
    assert_int_equal(strncmp(out, "alice.", 6), 0);
    assert_string_not_equal(out, again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_are_decoded_one_by_one),
        cmocka_unit_test(test_address_that_names_nothing_is_not_found),
        cmocka_unit_test(test_query_is_decoded),
        cmocka_unit_test(test_a_name_given_twice_is_refused),
        cmocka_unit_test(test_undecodable_query_is_refused),
        cmocka_unit_test(test_number_of_parameters_is_bounded),
        cmocka_unit_test(test_limit_and_offset),
        cmocka_unit_test(test_bearer_token),
        cmocka_unit_test(test_declared_media),
        cmocka_unit_test(test_request_id_is_taken_over_only_when_harmless),
        cmocka_unit_test(test_user_agent_is_cut_between_characters),
        cmocka_unit_test(test_body_by_declared_type),
        cmocka_unit_test(test_length_that_lies_is_not_believed),
        cmocka_unit_test(test_body_is_limited_whatever_is_declared),
        cmocka_unit_test(test_what_is_not_rfc_8259_is_no_json),
        cmocka_unit_test(test_key_comes_from_header_or_body),
        cmocka_unit_test(test_listed_origins_are_compared_whole),
        cmocka_unit_test(test_localhost_is_this_machine_on_any_port),
        cmocka_unit_test(test_refusal_is_answered_in_the_contracts_shape),
        cmocka_unit_test(test_headers_by_status),
        cmocka_unit_test(test_preflight_is_granted_to_listed_origins_only),
        cmocka_unit_test(test_username_is_derived_from_a_display_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
