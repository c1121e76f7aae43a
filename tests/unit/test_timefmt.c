/* Times: RFC 3339 out, RFC 3339 in whatever its offset, and nothing else. */
#include "shared/timefmt.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define SECOND    1000000LL
#define DAY       (86400 * SECOND)
#define YEAR_2026 1767225600000000LL /* 2026-01-01T00:00:00Z */

static const struct {
    int64_t us;
    const char *text;
} moments[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {1, "1970-01-01T00:00:00.000001Z"},
    {-1, "1969-12-31T23:59:59.999999Z"},
    {-SECOND, "1969-12-31T23:59:59.000000Z"},
    {YEAR_2026 + 123456, "2026-01-01T00:00:00.123456Z"},
    {946684800 * SECOND, "2000-01-01T00:00:00.000000Z"},
    {1709164800 * SECOND, "2024-02-29T00:00:00.000000Z"}, /* leap day */
    {951782400 * SECOND, "2000-02-29T00:00:00.000000Z"},  /* of a century */
    {2147483648 * SECOND, "2038-01-19T03:14:08.000000Z"},
    {253402300799 * SECOND + 999999, "9999-12-31T23:59:59.999999Z"},
    {-62167219200 * SECOND, "0000-01-01T00:00:00.000000Z"},
};

static void test_moments_are_written_and_read_back_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(moments); i++) {
        char text[TIME_TEXT];
        int64_t us, rest;
        time_format(moments[i].us, text);
        if (moments[i].us >= -SECOND) /* gmtime writes the year 0 as it likes */
            assert_string_equal(text, moments[i].text);
        assert_true(time_parse(moments[i].text, &us, &rest));
        assert_int_equal(us, moments[i].us);
        assert_int_equal(rest, -1);
    }
}

static void test_the_ends_of_the_range_fit_the_buffer(void **state)
{
    char text[TIME_TEXT];
    (void)state;
    time_format(INT64_MAX, text);
    assert_string_equal(text, "294247-01-10T04:00:54.775807Z");
    time_format(TIME_NONE, text);
    assert_true(strlen(text) < TIME_TEXT);
}

static void test_now_lies_between_this_program_and_the_year_9999(void **state)
{
    int64_t now = time_now();
    (void)state;
    assert_true(now > YEAR_2026 - 365 * DAY && now < 253402300800 * SECOND);
    assert_true(time_now() >= now);
}

static void test_offsets_are_taken_off(void **state)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"2026-01-01T00:00:00Z", 0},      {"2026-01-01t00:00:00z", 0},
        {"2026-01-01 00:00:00Z", 0},      {"2026-01-01T00:00:00+00:00", 0},
        {"2026-01-01T00:00:00-00:00", 0}, {"2026-01-01T01:00:00+01:00", 0},
        {"2026-01-01T01:00:00 01:00", 0}, /* the plus as a query leaves it */
        {"2025-12-31T18:30:00-05:30", 0}, {"2026-01-01T23:59:00+23:59", 0},
        {"2025-12-31T00:01:00-23:59", 0}, {"2026-01-01T00:00:00.5+01:00", -3600 * SECOND + SECOND / 2},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++) {
        int64_t us, rest;
        assert_true(time_parse(good[i].text, &us, &rest));
        assert_int_equal(us - YEAR_2026, good[i].us);
    }
}

static void test_digits_behind_the_microseconds_are_kept_apart(void **state)
{
    static const struct {
        const char *fraction;
        int64_t us, rest;
    } good[] = {
        {"", 0, -1},
        {".1", 100000, -1},
        {".000001", 1, -1},
        {".123456", 123456, -1},
        {".1234560", 123456, 0},
        {".1234567", 123456, 7},
        {".123456007", 123456, 7},
        {".000000123", 0, 123},
        {".123456999999999999999999", 123456, 999999999999999999}, /* eighteen of them */
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++) {
        char text[64];
        int64_t us, rest;
        snprintf(text, sizeof text, "2026-01-01T00:00:00%sZ", good[i].fraction);
        assert_true(time_parse(text, &us, &rest));
        assert_int_equal(us - YEAR_2026, good[i].us);
        assert_int_equal(rest, good[i].rest);
    }
}

static void test_leap_days_exist_in_leap_years_only(void **state)
{
    int64_t us, rest;
    (void)state;
    assert_true(time_parse("2024-02-29T00:00:00Z", &us, &rest));
    assert_true(time_parse("2000-02-29T00:00:00Z", &us, &rest));
    assert_false(time_parse("2026-02-29T00:00:00Z", &us, &rest));
    assert_false(time_parse("2100-02-29T00:00:00Z", &us, &rest));
    assert_false(time_parse("2024-02-30T00:00:00Z", &us, &rest));
}

static void test_garbage_is_refused_and_leaves_the_outputs_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "Z",
        "now",
        "2026",
        "2026-01-01",
        "2026-01-01T",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1",
        "2026-01-01T00:00:00,1Z",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00Z ",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00+01",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "2026-01-01T00:00:00+1:00",
        "2026-1-01T00:00:00Z",
        "26-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "-026-01-01T00:00:00Z",
        "+026-01-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-99T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026/01/01T00:00:00Z",
        "2026-01-01T00:00:00.1234567890123456789012345Z", /* more digits than can be kept */
        "1767225600",
        "2026-01-01X00:00:00Z",
        "Thu, 01 Jan 2026 00:00:00 GMT",
        "2026-01-01T00:00:00\xe2\x88\x92"
        "01:00",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++) {
        int64_t us = 77, rest = 78;
        assert_false(time_parse(bad[i], &us, &rest));
        assert_int_equal(us, 77);
        assert_int_equal(rest, 78);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_are_written_and_read_back_exactly),
        cmocka_unit_test(test_the_ends_of_the_range_fit_the_buffer),
        cmocka_unit_test(test_now_lies_between_this_program_and_the_year_9999),
        cmocka_unit_test(test_offsets_are_taken_off),
        cmocka_unit_test(test_digits_behind_the_microseconds_are_kept_apart),
        cmocka_unit_test(test_leap_days_exist_in_leap_years_only),
        cmocka_unit_test(test_garbage_is_refused_and_leaves_the_outputs_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
