/* Cursors: a pg_snapshot goes in and comes out as it was; nothing that is none is taken for one. */
#include "shared/position.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const struct {
    struct position position;
    const char *cursor;
} pairs[] = {
    {{"1:1:", NULL, 0}, "e1"},
    {{"812:812:", NULL, 0}, "e812"},
    {{"805:812:805,811", NULL, 0}, "e812_7_1"},
    {{"1:812:1", NULL, 0}, "e812_811"},
    {{"999999999999999999:999999999999999999:", NULL, 0}, "e999999999999999999"},
    {{"805:812:805", "820:820:", 1}, "e812_7-820-1"},
    {{"812:812:", "815:820:815,817", 999999999999999999}, "e812-820_5_3-999999999999999999"},
};

static void test_positions_are_written_and_read_back_exactly(void **state)
{
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        const struct position *p = &pairs[i].position;
        struct position back;
        assert_string_equal(position_text(*state, p), pairs[i].cursor);
        assert_true(position_parse(*state, pairs[i].cursor, &back));
        assert_string_equal(back.seen, p->seen);
        assert_int_equal(back.after, p->after);
        assert_int_equal(!back.upto, !p->upto);
        if (p->upto)
            assert_string_equal(back.upto, p->upto);
    }
}

static void test_what_is_no_cursor_is_refused_and_leaves_the_position(void **state)
{
    static const char *const refused[] = {
        "", "x", "e", "E1", "1", "e0", "e01", "e-1", "e+1", "e 1", "e1 ", "e1\n", "e1x", "e1.0",
        /* xips have to lie below xmax and rise, which their distances show by falling */
        "e5_", "e5_0", "e5_01", "e5_5", "e5_6", "e9_1_2", "e9_2_2", "e9__1", "e9_2_", "e9_2,1",
        /* both halves, or one */
        "e5-", "e5-6", "e5-6-", "e5-6-0", "e5-6-x", "e5-6-01", "e5--7", "e5-6_6-7", "e5_9-6-7", "e5-6-7-", "e5-6-7-8",
        /* more digits than any number of ours */
        "e1000000000000000000", "e99999999999999999999", "e5-1000000000000000000-1", "e5-6-1000000000000000000",
        "e9_1000000000000000000",
        /* ids are none */
        "5001", "0193e000-0000-7000-bfff-ffffffffffff", "e193e000-0000-7000-bfff-ffffffffffff"};
    for (size_t i = 0; i < LENGTH(refused); i++) {
        struct position p = {"kept", "kept", 7};
        if (position_parse(*state, refused[i], &p))
            fail_msg("taken for a cursor: %s", refused[i]);
        assert_string_equal(p.seen, "kept");
        assert_int_equal(p.after, 7);
    }
}

static void test_longest_cursor_is_read_and_one_byte_more_is_not(void **state)
{
    char cursor[POSITION_MOST + 8], *end = cursor + sprintf(cursor, "e99999999999999");
    struct position p;
    for (int distance = 9999; end < cursor + POSITION_MOST; distance--)
        end += sprintf(end, "_%d", distance);
    assert_int_equal(end - cursor, POSITION_MOST);
    assert_true(position_parse(*state, cursor, &p));
    strcpy(cursor + POSITION_MOST - 4, "12345"); /* a number as good, but for its length */
    assert_false(position_parse(*state, cursor, &p));
}

static void test_hundreds_of_transactions_under_way_fit_and_come_back(void **state)
{
    const long long most = 900000000000000000;
    char xip[20 * 600] = "", *end = xip;
    for (long long n = 600; n > 0; n--)
        end += sprintf(end, end == xip ? "%lld" : ",%lld", most - 2 * n);
    const char *seen = arena_printf(*state, "%lld:%lld:%s", most - 1200, most, xip);
    struct position p = {seen, NULL, 0}, back;
    const char *cursor = position_text(*state, &p);
    assert_true(strlen(cursor) < POSITION_MOST);
    assert_true(position_parse(*state, cursor, &back));
    assert_string_equal(back.seen, seen);
}

static void test_queries_get_a_snapshots_parts(void **state)
{
    assert_string_equal(snapshot_xmax(*state, "805:812:805,811"), "812");
    assert_string_equal(snapshot_xip(*state, "805:812:805,811"), "{805,811}");
    assert_string_equal(snapshot_xmax(*state, "812:812:"), "812");
    assert_string_equal(snapshot_xip(*state, "812:812:"), "{}");
}

static void test_copy_has_strings_of_its_own(void **state)
{
    char seen[] = "812:812:", upto[] = "815:820:815";
    struct position p = {seen, upto, 7}, copy = position_copy(*state, &p);
    memset(seen, 'x', strlen(seen));
    memset(upto, 'x', strlen(upto));
    assert_string_equal(copy.seen, "812:812:");
    assert_string_equal(copy.upto, "815:820:815");
    p = (struct position){0};
    assert_null(position_copy(*state, &p).seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions_are_written_and_read_back_exactly),
        cmocka_unit_test(test_what_is_no_cursor_is_refused_and_leaves_the_position),
        cmocka_unit_test(test_longest_cursor_is_read_and_one_byte_more_is_not),
        cmocka_unit_test(test_hundreds_of_transactions_under_way_fit_and_come_back),
        cmocka_unit_test(test_queries_get_a_snapshots_parts),
        cmocka_unit_test(test_copy_has_strings_of_its_own),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
