/* Ids: the UUID of a row is derived from it and leads back to it; nothing else names a row. */
#include "shared/id.h"
#include "tests/unit/unit.h"

#include <ctype.h>
#include <stdio.h>

#define ID_MOST 0x3fffffffffffffffLL /* 62 bits */
#define CREATED 1767225600123456LL   /* 2026-01-01T00:00:00.123456Z */

static void test_a_uuid_is_the_milliseconds_and_the_id(void **state)
{
    char uuid[UUID_TEXT];
    (void)state;
    id_uuid(1, 0, uuid);
    assert_string_equal(uuid, "00000000-0000-7000-8000-000000000001");
    id_uuid(0x123456789abcdefLL, 0x0123456789abLL * 1000 + 999, uuid);
    assert_string_equal(uuid, "01234567-89ab-7000-8123-456789abcdef");
    id_uuid(ID_MOST, 0xffffffffffffLL * 1000, uuid);
    assert_string_equal(uuid, "ffffffff-ffff-7000-bfff-ffffffffffff");
}

static void test_a_uuid_leads_back_to_its_row(void **state)
{
    static const int64_t ids[] = {1, 2, 255, 65536, 1LL << 32, (1LL << 48) - 1, 1LL << 48, ID_MOST};
    static const int64_t times[] = {0, 999, 1000, CREATED, 253402300799999999LL};
    (void)state;
    for (size_t i = 0; i < LENGTH(ids); i++)
        for (size_t j = 0; j < LENGTH(times); j++) {
            char uuid[UUID_TEXT];
            struct ref ref;
            id_uuid(ids[i], times[j], uuid);
            assert_true(id_parse_uuid(uuid, &ref));
            assert_int_equal(ref.id, ids[i]);
            assert_int_equal(ref.ms, times[j] / 1000);
            assert_true(id_matches(&ref, times[j]));
        }
}

static void test_upper_case_names_the_same_row(void **state)
{
    char uuid[UUID_TEXT];
    struct ref lower, upper;
    (void)state;
    id_uuid(0xabcdefLL, CREATED, uuid);
    assert_true(id_parse_uuid(uuid, &lower));
    for (char *p = uuid; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    assert_true(id_parse_uuid(uuid, &upper));
    assert_int_equal(upper.id, lower.id);
    assert_int_equal(upper.ms, lower.ms);
}

static void test_a_uuid_of_other_making_is_read_but_names_no_row(void **state)
{
    static const char *const foreign[] = {
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479", /* version 4 */
        "019b76da-a800-7001-8000-000000000001", /* version 7 with random bits */
        "019b76da-a800-7000-c000-000000000001", /* the wrong variants */
        "019b76da-a800-7000-0000-000000000001", "019b76da-a800-6000-8000-000000000001",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(foreign); i++) {
        struct ref ref = {77, 77};
        assert_true(id_parse_uuid(foreign[i], &ref));
        assert_int_equal(ref.id, 0);
    }
}

static void test_malformed_uuids_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "1",
        "019b76da",
        "019b76da-a800-7000-8000-00000000000",
        "019b76da-a800-7000-8000-0000000000001",
        "019b76daa80070008000000000000001",
        "{19b76da-a800-7000-8000-000000000001}",
        "019b76da-a800-7000-8000-00000000000g",
        "019b76da-a800-7000-8000+000000000001",
        "019b76daa-800-7000-8000-000000000001",
        " 19b76da-a800-7000-8000-000000000001",
        "019b76da-a800-7000-8000-00000000000\n",
        "------------------------------------",
        "019b76da-a800-7000-8000-00000000000\xc3",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct ref ref = {77, 78};
        assert_false(id_parse_uuid(bad[i], &ref));
        assert_int_equal(ref.id, 77);
        assert_int_equal(ref.ms, 78);
    }
}

static void test_another_millisecond_is_another_row(void **state)
{
    char uuid[UUID_TEXT];
    struct ref ref;
    (void)state;
    id_uuid(5, CREATED, uuid);
    assert_true(id_parse_uuid(uuid, &ref));
    assert_true(id_matches(&ref, CREATED + 543)); /* still the same millisecond */
    assert_false(id_matches(&ref, CREATED + 544));
    assert_false(id_matches(&ref, CREATED - 457));
}

static void test_integers_up_to_the_last_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t id;
    } good[] = {{"1", 1}, {"10", 10}, {"4294967296", 4294967296}, {"9223372036854775807", INT64_MAX}};
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct ref ref;
        assert_true(id_parse_integer(good[i].text, &ref));
        assert_int_equal(ref.id, good[i].id);
        assert_int_equal(ref.ms, -1);
        assert_true(id_matches(&ref, CREATED)); /* an integer has no time to match */
    }
}

static void test_anything_but_a_plain_positive_integer_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "00",
        "01",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x10",
        "a",
        "1a",
        "1,000",
        "9223372036854775808",
        "9223372036854775810",
        "18446744073709551617",
        "99999999999999999999999999",
        "\xd9\xa1",
        "019b76da-a800-7000-8000-000000000001",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct ref ref = {77, 78};
        assert_false(id_parse_integer(bad[i], &ref));
        assert_int_equal(ref.id, 77);
        assert_int_equal(ref.ms, 78);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_uuid_is_the_milliseconds_and_the_id),
        cmocka_unit_test(test_a_uuid_leads_back_to_its_row),
        cmocka_unit_test(test_upper_case_names_the_same_row),
        cmocka_unit_test(test_a_uuid_of_other_making_is_read_but_names_no_row),
        cmocka_unit_test(test_malformed_uuids_are_refused),
        cmocka_unit_test(test_another_millisecond_is_another_row),
        cmocka_unit_test(test_integers_up_to_the_last_are_read),
        cmocka_unit_test(test_anything_but_a_plain_positive_integer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
