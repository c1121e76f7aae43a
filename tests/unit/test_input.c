/* Bodies and frames: strict JSON and nothing near it, forms, and members read by type. */
#include "shared/input.h"
#include "tests/unit/unit.h"

#include <json-c/json.h>
#include <stdio.h>

/* Parses a copy of exactly len bytes, so that a sanitizer sees any look behind them. */
static enum error parse_bytes(struct input *in, const char *bytes, size_t len)
{
    char *exact = malloc(len + !len);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    enum error e = input_parse(in, exact, len);
    free(exact);
    return e;
}

static enum error parse(struct input *in, const char *text)
{
    return parse_bytes(in, text, strlen(text));
}

static void each_is(const char *const *texts, size_t count, enum error expected)
{
    for (size_t i = 0; i < count; i++) {
        struct input in;
        enum error e = parse(&in, texts[i]);
        if (e != expected)
            print_error("%s\n", texts[i]);
        assert_int_equal(e, expected);
        assert_int_equal(in.root != NULL, e == OK);
        input_release(&in);
    }
}

static void test_objects_are_taken(void **state)
{
    static const char *const good[] = {
        "{}",
        " {} ",
        "\r\n\t{\r\n\t}\r\n\t",
        "{\"a\":1}",
        "{ \"a\" : [ 1 , -2.5e+3 , true , false , null ] }",
        "{\"\":\"\"}",
        "{\"a\":{\"b\":{}}}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}",
        "{\"a\":\"\xf0\x9f\x99\x82\"}",
        "{\"a\":\"it's {[,:]} # // \\\\\"}",
        "{\"a\":0}",
        "{\"a\":-0}",
        "{\"a\":0.5}",
        "{\"a\":1E5}",
        "{\"a\":1e-5}",
    };
    (void)state;
    each_is(good, LENGTH(good), OK);
}

static void test_what_is_no_object_is_an_invalid_body(void **state)
{
    static const char *const others[] = {"[]", "[{}]", "\"x\"", "1", "-1.5", "true", "false", "null", " null "};
    (void)state;
    each_is(others, LENGTH(others), ERR_INVALID_BODY);
}

static void test_what_is_no_json_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{'a':1}",
        "{\"a\":'b'}",
        "{a:1}",
        "{\"a\":b}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-Infinity}",
        "{\"a\":True}",
        "{\"a\":TRUE}",
        "{\"a\":nul}",
        "{\"a\":nulll}",
        "{\"a\":undefined}",
        "{/* c */}",
        "{} // c",
        "{\"a\":1}#",
        "{\"a\":0x10}",
        "{\"a\":\"b}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12G4\"}",
        "{\"a\":\"\\",
        "{\"a\":\"\\u",
        "{\"a\":\"\\u004",
        "{\"a\":\"b\nc\"}",
        "{\"a\":\"b\tc\"}",
        "{\"a\n\":1}",
        "\xef\xbb\xbf{}",
    };
    (void)state;
    each_is(bad, LENGTH(bad), ERR_BAD_JSON);
}

static void test_numbers_are_written_as_json_says(void **state)
{
    static const char *const bad[] = {
        "{\"a\":01}",  "{\"a\":-01}",  "{\"a\":00}",   "{\"a\":+1}",  "{\"a\":.5}",    "{\"a\":1.}",
        "{\"a\":-}",   "{\"a\":1e}",   "{\"a\":1e+}",  "{\"a\":--1}", "{\"a\":1.2.3}", "{\"a\":1e2e3}",
        "{\"a\":1-2}", "{\"a\":[01]}", "{\"a\":[1.]}", "{\"a\":-.5}", "{\"a\":1.e5}",
    };
    (void)state;
    each_is(bad, LENGTH(bad), ERR_BAD_JSON);
}

static void test_bytes_behind_the_object_are_refused(void **state)
{
    static const char *const bad[] = {"{}{}", "{} {}", "{}x", "{},", "{}]", "{}}", "{}0", "{}\"", "{} null"};
    struct input in;
    (void)state;
    each_is(bad, LENGTH(bad), ERR_BAD_JSON);
    assert_int_equal(parse_bytes(&in, "{}\0", 3), ERR_BAD_JSON);
    assert_int_equal(parse_bytes(&in, "{}\0x", 4), ERR_BAD_JSON);
    assert_int_equal(parse_bytes(&in, "{}", 1), ERR_BAD_JSON); /* len counts, not the text */
}

static void test_nul_bytes_are_refused_everywhere(void **state)
{
    static const char body[] = "{\"a\":\"bc\"}";
    (void)state;
    for (size_t i = 0; i < sizeof body - 1; i++) {
        struct input in;
        char copy[sizeof body];
        memcpy(copy, body, sizeof body);
        copy[i] = 0;
        assert_int_equal(parse_bytes(&in, copy, sizeof body - 1), ERR_BAD_JSON);
    }
}

static void test_invalid_utf8_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xc3\"}",
        "{\"\xe2\x82\":1}",
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "\xff",
        "{}\xc3\xa9",
    };
    (void)state;
    each_is(bad, LENGTH(bad), ERR_BAD_JSON);
}

static void test_surrogates_come_in_pairs(void **state)
{
    static const char *const bad[] = {
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ude42\"}",
        "{\"a\":\"\\ud83dx\"}",
        "{\"a\":\"\\ud83d\\n\"}",
        "{\"a\":\"\\ude42\\ud83d\"}",
        "{\"a\":\"\\ud83d\\ud83d\\ude42\"}",
        "{\"a\":\"\\ud83d\\u0041\"}",
        "{\"a\":\"\\ud83d\\ude42\\ude42\"}",
        "{\"\\udc00\":1}",
        "{\"a\":\"\\ud83d\",\"b\":\"\\ude42\"}",
        "{\"a\":\"\\uDBFF\"}",
        "{\"a\":\"\\uDFFF\"}",
    };
    struct input in;
    struct text t;
    (void)state;
    each_is(bad, LENGTH(bad), ERR_BAD_JSON);
    assert_int_equal(parse(&in, "{\"a\":\"\\ud83d\\uDE42\\\\ud83d\"}"), OK);
    assert_int_equal(input_text(&in, "a", &t), OK);
    assert_string_equal(t.s, "\xf0\x9f\x99\x82\\ud83d");
    input_release(&in);
}

/* n objects, one in another, around a number. */
static enum error parse_nested(int n, bool close)
{
    struct input in;
    char *body = malloc((size_t)n * 6 + 2), *p = body;
    assert_non_null(body);
    for (int i = 0; i < n; i++)
        p = stpcpy(p, "{\"a\":");
    *p++ = '1';
    for (int i = 0; close && i < n; i++)
        *p++ = '}';
    enum error e = parse_bytes(&in, body, (size_t)(p - body));
    input_release(&in);
    free(body);
    return e;
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse_nested(31, true), OK);
    assert_int_equal(parse_nested(33, true), ERR_BAD_JSON);
    assert_int_equal(parse_nested(10000, true), ERR_BAD_JSON);
    assert_int_equal(parse_nested(10000, false), ERR_BAD_JSON);
}

/* A list of n empty objects. */
static enum error parse_many(int n)
{
    struct input in;
    char *body = malloc((size_t)n * 3 + 10), *p = stpcpy(body, "{\"a\":[{}");
    for (int i = 1; i < n; i++)
        p = stpcpy(p, ",{}");
    p = stpcpy(p, "]}");
    enum error e = parse_bytes(&in, body, (size_t)(p - body));
    input_release(&in);
    free(body);
    return e;
}

static void test_the_number_of_values_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(parse_many(2000), OK);
    assert_int_equal(parse_many(2100), ERR_BAD_JSON);
    assert_int_equal(parse_many(300000), ERR_BAD_JSON);
}

static void test_the_last_of_two_members_with_one_name_counts(void **state)
{
    struct input in;
    struct text t;
    (void)state;
    assert_int_equal(parse(&in, "{\"a\":\"1\",\"b\":\"x\",\"a\":\"2\"}"), OK);
    assert_int_equal(input_text(&in, "a", &t), OK);
    assert_string_equal(t.s, "2");
    input_release(&in);
}

static void test_texts_are_strings_kept_to_the_byte(void **state)
{
    static const char *const wrong[] = {"1", "1.5", "true", "[]", "[\"x\"]", "{}", "\"a\\u0000b\"", "\"\\u0000\""};
    struct input in;
    struct text t;
    (void)state;
    assert_int_equal(parse(&in, "{\"a\":\"  x\\n \",\"e\":\"\",\"n\":null}"), OK);
    assert_int_equal(input_text(&in, "a", &t), OK);
    assert_string_equal(t.s, "  x\n ");
    assert_int_equal(t.len, 5);
    assert_int_equal(input_text(&in, "e", &t), OK);
    assert_true(t.s && !t.len);
    assert_int_equal(input_text_optional(&in, "n", &t), OK);
    assert_null(t.s);
    assert_int_equal(input_text_optional(&in, "z", &t), OK);
    assert_null(t.s);
    assert_true(input_has(&in, "a") && !input_has(&in, "n") && !input_has(&in, "z"));
    assert_int_equal(input_text(&in, "n", &t), ERR_MISSING_FIELD);
    assert_string_equal(input_sentence(&in, ERR_MISSING_FIELD), "n is required");
    input_release(&in);
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"field\":%s}", wrong[i]);
        assert_int_equal(parse(&in, body), OK);
        assert_int_equal(input_text(&in, "field", &t), ERR_INVALID_FIELD);
        assert_non_null(strstr(input_sentence(&in, ERR_INVALID_FIELD), "field "));
        assert_int_equal(input_text_optional(&in, "field", &t), ERR_INVALID_FIELD);
        input_release(&in);
    }
}

static void test_a_nul_in_a_members_name_does_not_shorten_it(void **state)
{
    struct input in;
    (void)state;
    if (parse(&in, "{\"content\\u0000x\":\"hi\"}") == OK)
        assert_false(input_has(&in, "content"));
    input_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_are_taken),
        cmocka_unit_test(test_what_is_no_object_is_an_invalid_body),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_numbers_are_written_as_json_says),
        cmocka_unit_test(test_bytes_behind_the_object_are_refused),
        cmocka_unit_test(test_nul_bytes_are_refused_everywhere),
        cmocka_unit_test(test_invalid_utf8_is_refused),
        cmocka_unit_test(test_surrogates_come_in_pairs),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_the_number_of_values_is_bounded),
        cmocka_unit_test(test_the_last_of_two_members_with_one_name_counts),
        cmocka_unit_test(test_texts_are_strings_kept_to_the_byte),
        cmocka_unit_test(test_a_nul_in_a_members_name_does_not_shorten_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
