/* Members of bodies that name rows, alone and in arrays, and bodies that came as forms. */
#include "shared/input.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define UUID    "019b76da-a800-7000-8000-00000000002a"
#define UUID_MS 0x019b76daa800LL

static void parse(struct input *in, const char *format, const char *value)
{
    char body[512];
    int len = snprintf(body, sizeof body, format, value);
    assert_int_equal(input_parse(in, body, (size_t)len), OK);
}

static enum error ref_of(const char *value, bool integers, struct ref *out)
{
    struct input in;
    parse(&in, "{\"id\":%s}", value);
    enum error e = input_ref(&in, "id", integers, out);
    if (e == ERR_INVALID_FIELD)
        assert_string_equal(input_sentence(&in, e),
                            integers ? "id has to be a positive integer" : "id has to be a UUID");
    input_release(&in);
    return e;
}

static void test_api_rows_are_named_by_uuid(void **state)
{
    static const char *const bad[] = {
        "42",
        "\"42\"",
        "0",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"x\"",
        "\"" UUID "0\"",
        "\" " UUID "\"",
        "\"" UUID "\\u0000\"",
        "\"" UUID "\\u0000x\"",
        "[\"" UUID "\"]",
    };
    struct ref ref;
    (void)state;
    assert_int_equal(ref_of("\"" UUID "\"", false, &ref), OK);
    assert_int_equal(ref.id, 42);
    assert_int_equal(ref.ms, UUID_MS);
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_int_equal(ref_of(bad[i], false, &ref), ERR_INVALID_FIELD);
    assert_int_equal(ref_of("null", false, &ref), ERR_MISSING_FIELD);
}

static void test_v1_rows_are_named_by_integer(void **state)
{
    static const char *const bad[] = {
        "0",
        "-1",
        "1.0",
        "1.5",
        "1e2",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"0\"",
        "\"-1\"",
        "\"4 2\"",
        "\"42\\u0000\"",
        "\"42\\u0000x\"",
        "\"" UUID "\"",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551617",
        "99999999999999999999999999999999",
        "1e400",
        "[42]",
    };
    struct ref ref;
    (void)state;
    assert_int_equal(ref_of("42", true, &ref), OK);
    assert_int_equal(ref.id, 42);
    assert_int_equal(ref.ms, -1);
    assert_int_equal(ref_of("\"42\"", true, &ref), OK);
    assert_int_equal(ref.id, 42);
    assert_int_equal(ref_of("9223372036854775806", true, &ref), OK);
    for (size_t i = 0; i < LENGTH(bad); i++)
        assert_int_equal(ref_of(bad[i], true, &ref), ERR_INVALID_FIELD);
}

static void test_an_optional_row_may_be_absent_but_not_wrong(void **state)
{
    struct input in;
    struct ref ref;
    bool present = true;
    (void)state;
    parse(&in, "{\"n\":null,\"id\":\"%s\",\"bad\":5}", UUID);
    assert_int_equal(input_ref_optional(&in, "none", false, &ref, &present), OK);
    assert_false(present);
    assert_int_equal(input_ref_optional(&in, "n", false, &ref, &present), OK);
    assert_false(present);
    assert_int_equal(input_ref_optional(&in, "id", false, &ref, &present), OK);
    assert_true(present && ref.id == 42);
    assert_int_equal(input_ref_optional(&in, "bad", false, &ref, &present), ERR_INVALID_FIELD);
    input_release(&in);
}

static void test_arrays_of_rows_are_bounded_and_of_one_form(void **state)
{
    struct input in;
    struct ref refs[3];
    int count;
    (void)state;
    parse(&in,
          "{\"three\":[1,\"2\",3],\"four\":[1,2,3,4],\"none\":[],\"null\":null,\"one\":1,"
          "\"mixed\":[1,\"%s\"],\"hole\":[1,null],\"deep\":[[1]]}",
          UUID);
    assert_int_equal(input_refs(&in, "three", true, refs, 3, &count), OK);
    assert_int_equal(count, 3);
    assert_true(refs[0].id == 1 && refs[1].id == 2 && refs[2].id == 3);
    assert_int_equal(input_refs(&in, "four", true, refs, 3, &count), ERR_INVALID_FIELD);
    assert_string_equal(input_sentence(&in, ERR_INVALID_FIELD), "four may have at most 3 elements");
    assert_int_equal(input_refs(&in, "none", true, refs, 3, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(input_refs(&in, "null", true, refs, 3, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(input_refs(&in, "absent", true, refs, 3, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(input_refs(&in, "one", true, refs, 3, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_refs(&in, "mixed", true, refs, 3, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_refs(&in, "mixed", false, refs, 3, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_refs(&in, "hole", true, refs, 3, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_refs(&in, "deep", true, refs, 3, &count), ERR_INVALID_FIELD);
    input_release(&in);
}

static void test_arrays_of_texts_are_bounded(void **state)
{
    struct input in;
    struct text texts[2];
    int count;
    (void)state;
    parse(&in,
          "{\"two\":[\"bob\",\"%s\"],\"three\":[\"a\",\"b\",\"c\"],\"wrong\":[\"a\",1],\"text\":\"a\","
          "\"nul\":[\"a\\u0000\"],\"hole\":[null]}",
          "eve");
    assert_int_equal(input_texts(&in, "two", texts, 2, &count), OK);
    assert_int_equal(count, 2);
    assert_string_equal(texts[0].s, "bob");
    assert_string_equal(texts[1].s, "eve");
    assert_int_equal(input_texts(&in, "three", texts, 2, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_texts(&in, "wrong", texts, 2, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_texts(&in, "text", texts, 2, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_texts(&in, "nul", texts, 2, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_texts(&in, "hole", texts, 2, &count), ERR_INVALID_FIELD);
    assert_int_equal(input_texts(&in, "absent", texts, 2, &count), OK);
    assert_int_equal(count, 0);
    input_release(&in);
}

static void test_a_request_without_a_body_has_no_members(void **state)
{
    struct input in;
    struct text t;
    (void)state;
    input_empty(&in);
    assert_int_equal(input_text(&in, "a", &t), ERR_MISSING_FIELD);
    assert_string_equal(input_sentence(&in, ERR_MISSING_FIELD), "a is required");
    input_release(&in);
    input_release(&in); /* twice is fine */
}

static void test_the_table_speaks_when_there_is_no_detail(void **state)
{
    struct input in;
    (void)state;
    input_empty(&in);
    assert_string_equal(input_sentence(&in, ERR_NOT_FOUND), error_sentence(ERR_NOT_FOUND));
    char *name = repeat('n', 1000); /* a detail is cut, never written past its end */
    assert_int_equal(input_fail(&in, ERR_NOT_FOUND, "%s", name), ERR_NOT_FOUND);
    assert_int_equal(strlen(input_sentence(&in, ERR_NOT_FOUND)), sizeof in.detail - 1);
    free(name);
    input_release(&in);
}

/* ---- forms ---- */

static enum error parse_form(struct input *in, const char *form)
{
    size_t len = strlen(form);
    char *exact = malloc(len + !len);
    assert_non_null(exact);
    memcpy(exact, form, len);
    enum error e = input_parse_form(in, exact, len);
    free(exact);
    return e;
}

static void test_forms_give_texts(void **state)
{
    static const struct {
        const char *form, *a; /* the member a; NULL: absent */
    } good[] = {
        {"", NULL},
        {"a=1", "1"},
        {"b=2&a=1", "1"},
        {"a=", ""},
        {"a", ""},
        {"a&b", ""},
        {"=1", NULL},
        {"&&a=1&", "1"},
        {"a=b=c", "b=c"},
        {"a=x+y%2Bz", "x y+z"},
        {"%61=1", "1"},
        {"a=%C3%A9", "\xc3\xa9"},
        {"a=\xc3\xa9", "\xc3\xa9"},
        {"a=%26%3D", "&="},
        {"A=1", NULL},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct input in;
        struct text t;
        assert_int_equal(parse_form(&in, good[i].form), OK);
        assert_int_equal(input_text_optional(&in, "a", &t), OK);
        if (good[i].a)
            assert_string_equal(t.s, good[i].a);
        else
            assert_null(t.s);
        input_release(&in);
    }
}

static void test_malformed_forms_are_refused(void **state)
{
    static const char *const bad[] = {
        "a=%", "a=%4", "a=%zz", "%=1", "%4=1", "a=%ff", "%ff=1", "a=\xff", "a=%ed%a0%80", "%00=1", "a%00b=1",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct input in;
        assert_int_equal(parse_form(&in, bad[i]), ERR_INVALID_BODY);
        input_release(&in);
    }
}

static void test_a_field_given_twice_is_refused_and_named(void **state)
{
    struct input in;
    (void)state;
    assert_int_equal(parse_form(&in, "label=f&scopes=read&scopes=send"), ERR_INVALID_BODY);
    assert_string_equal(in.detail, "scopes is given twice");
    input_release(&in);
    assert_int_equal(parse_form(&in, "a&%61="), ERR_INVALID_BODY);
    assert_string_equal(in.detail, "a is given twice");
    input_release(&in);
    assert_int_equal(parse_form(&in, "=1&=2"), OK); /* no names, no fields */
    input_release(&in);
}

static void test_a_form_holds_a_nul_no_more_than_json_does(void **state)
{
    struct input in;
    struct text t;
    struct ref ref;
    (void)state;
    assert_int_equal(parse_form(&in, "a=x%00y&id=42%00"), OK);
    assert_int_equal(input_text(&in, "a", &t), ERR_INVALID_FIELD);
    assert_int_equal(input_ref(&in, "id", true, &ref), ERR_INVALID_FIELD);
    input_release(&in);
}

static void test_a_form_has_at_most_a_hundred_fields(void **state)
{
    char form[1000] = "";
    struct input in;
    (void)state;
    for (int i = 0; i < 100; i++)
        sprintf(form + strlen(form), "a%d=1&", i);
    assert_int_equal(parse_form(&in, form), OK);
    input_release(&in);
    strcat(form, "b=1");
    assert_int_equal(parse_form(&in, form), ERR_INVALID_BODY);
    input_release(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_api_rows_are_named_by_uuid),
        cmocka_unit_test(test_v1_rows_are_named_by_integer),
        cmocka_unit_test(test_an_optional_row_may_be_absent_but_not_wrong),
        cmocka_unit_test(test_arrays_of_rows_are_bounded_and_of_one_form),
        cmocka_unit_test(test_arrays_of_texts_are_bounded),
        cmocka_unit_test(test_a_request_without_a_body_has_no_members),
        cmocka_unit_test(test_the_table_speaks_when_there_is_no_detail),
        cmocka_unit_test(test_forms_give_texts),
        cmocka_unit_test(test_malformed_forms_are_refused),
        cmocka_unit_test(test_a_field_given_twice_is_refused_and_named),
        cmocka_unit_test(test_a_form_holds_a_nul_no_more_than_json_does),
        cmocka_unit_test(test_a_form_has_at_most_a_hundred_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
