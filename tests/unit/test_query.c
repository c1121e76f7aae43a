/* Parameters on their way to PostgreSQL, and rows of a binary result on their way back. */
#include "shared/query.h"
#include "shared/timefmt.h"
#include "tests/unit/unit.h"

#include <endian.h>

/* ---- parameters ---- */

static void test_parameters_stand_in_the_order_they_were_given(void **state)
{
    struct query q;
    (void)state;
    query_init(&q, (enum sql)0);
    query_int(&q, INT64_MIN);
    query_int(&q, INT64_MAX);
    query_bool(&q, true);
    query_bool(&q, false);
    query_text(&q, "text");
    query_text(&q, "");
    query_text(&q, NULL);
    query_bytes(&q, "a\0b", 3);
    query_null(&q);
    assert_int_equal(q.count, 9);
    assert_string_equal(q.values[0], "-9223372036854775808");
    assert_string_equal(q.values[1], "9223372036854775807");
    assert_string_equal(q.values[2], "t");
    assert_string_equal(q.values[3], "f");
    assert_string_equal(q.values[4], "text");
    assert_string_equal(q.values[5], "");
    assert_null(q.values[6]);
    assert_memory_equal(q.values[7], "a\0b", 3);
    assert_int_equal(q.lengths[7], 3);
    assert_null(q.values[8]);
    for (int i = 0; i < q.count; i++)
        assert_int_equal(q.formats[i], i == 7);
}

static void test_a_ref_is_two_parameters(void **state)
{
    const struct ref by_uuid = {42, 1000}, by_integer = {43, -1};
    struct query q;
    (void)state;
    query_init(&q, (enum sql)0);
    query_ref(&q, &by_uuid);
    query_ref(&q, &by_integer);
    query_ref(&q, NULL);
    assert_int_equal(q.count, 6);
    assert_string_equal(q.values[0], "42");
    assert_string_equal(q.values[1], "1000");
    assert_string_equal(q.values[2], "43");
    assert_null(q.values[3]);
    assert_null(q.values[4]);
    assert_null(q.values[5]);
}

static void test_lists_are_array_literals(void **state)
{
    const int64_t numbers[] = {1, INT64_MAX, INT64_MIN, 0};
    const struct ref refs[] = {{42, 1000}, {43, -1}};
    const struct text texts[] = {{"bob", 3}, {"", 0}, {"NULL", 4}, {"a,b {c}", 7}, {"\"q\"\\", 4}, {"\xc3\xa9", 2}};
    struct arena arena;
    struct query q;
    (void)state;
    arena_init(&arena);
    query_init(&q, (enum sql)0);
    query_ints(&q, &arena, numbers, LENGTH(numbers));
    query_ints(&q, &arena, NULL, 0);
    query_refs(&q, &arena, refs, LENGTH(refs));
    query_texts(&q, &arena, texts, LENGTH(texts));
    query_texts(&q, &arena, NULL, 0);
    assert_int_equal(q.count, 6);
    assert_string_equal(q.values[0], "{1,9223372036854775807,-9223372036854775808,0}");
    assert_string_equal(q.values[1], "{}");
    assert_string_equal(q.values[2], "{42,43}");
    assert_string_equal(q.values[3], "{1000,-1}");
    assert_string_equal(q.values[4], "{\"bob\",\"\",\"NULL\",\"a,b {c}\",\"\\\"q\\\"\\\\\",\"\xc3\xa9\"}");
    assert_string_equal(q.values[5], "{}");
    arena_release(&arena);
}

static void test_a_list_of_the_longest_fits_its_room(void **state)
{
    enum { MANY = 500 }; /* past the arena's blocks, where a sanitizer sees the end */
    int64_t numbers[MANY];
    char quotes[10000];
    const struct text text = {quotes, sizeof quotes};
    struct arena arena;
    struct query q;
    (void)state;
    arena_init(&arena);
    query_init(&q, (enum sql)0);
    for (int i = 0; i < MANY; i++)
        numbers[i] = INT64_MIN;
    memset(quotes, '"', sizeof quotes);
    query_ints(&q, &arena, numbers, MANY);
    query_texts(&q, &arena, &text, 1);
    assert_int_equal(q.lengths[0], MANY * 21 + 1);
    assert_int_equal(q.lengths[1], 2 * sizeof quotes + 4);
    arena_release(&arena);
}

static void test_a_query_is_used_again_after_init(void **state)
{
    struct query q;
    (void)state;
    for (int round = 0; round < 3; round++) {
        query_init(&q, (enum sql)round);
        for (int i = 0; i < QUERY_PARAMS; i++)
            query_int(&q, i * 10);
        assert_int_equal(q.count, QUERY_PARAMS);
        assert_string_equal(q.values[QUERY_PARAMS - 1], "150");
        assert_int_equal(q.sql, round);
    }
}

/* ---- rows ---- */

enum { COLUMNS = 7 };

/* A result as a server would send it: two rows of integer, boolean, time, text, bytes and two more. */
static PGresult *binary_result(void)
{
    char names[COLUMNS][2] = {"a", "b", "c", "d", "e", "f", "g"};
    PGresAttDesc columns[COLUMNS];
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    assert_non_null(r);
    memset(columns, 0, sizeof columns);
    for (int i = 0; i < COLUMNS; i++) {
        columns[i].name = names[i];
        columns[i].format = 1;
    }
    assert_true(PQsetResultAttrs(r, COLUMNS, columns));
    return r;
}

static void set(PGresult *r, int row, int column, const void *bytes, int len)
{
    assert_true(PQsetvalue(r, row, column, (char *)bytes, len));
}

static void set_int(PGresult *r, int row, int column, int64_t value)
{
    uint64_t n = htobe64((uint64_t)value);
    set(r, row, column, &n, sizeof n);
}

static void set_null(PGresult *r, int row, int column)
{
    set(r, row, column, NULL, -1);
}

static void test_columns_are_read_from_left_to_right(void **state)
{
    struct arena arena;
    PGresult *r = binary_result();
    (void)state;
    arena_init(&arena);
    set_int(r, 0, 0, 0x0102030405060708);
    set(r, 0, 1, "\1", 1);
    set_int(r, 0, 2, 0); /* 2000-01-01 */
    set(r, 0, 3, "h\xc3\xa9llo", 6);
    set(r, 0, 4, "a\0b", 3);
    set_int(r, 0, 5, -1);
    set(r, 0, 6, "\0", 1);
    struct row row = row_at(r, 0, &arena);
    assert_int_equal(row_int(&row), 0x0102030405060708);
    assert_true(row_bool(&row));
    assert_int_equal(row_time(&row), 946684800000000);
    const char *text = row_text(&row);
    struct text bytes = row_bytes(&row);
    assert_int_equal(row_int(&row), -1);
    assert_false(row_bool(&row));
    PQclear(r); /* texts live on in the arena */
    assert_string_equal(text, "h\xc3\xa9llo");
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.s, "a\0b", 4);
    arena_release(&arena);
}

static void test_nulls_are_read_as_the_header_says(void **state)
{
    struct arena arena;
    PGresult *r = binary_result();
    (void)state;
    arena_init(&arena);
    for (int i = 0; i < COLUMNS - 1; i++)
        set_null(r, 0, i);
    set_int(r, 0, COLUMNS - 1, 77);
    struct row row = row_at(r, 0, &arena);
    assert_true(row_is_null(&row) && row_is_null(&row)); /* looks, does not move on */
    assert_int_equal(row_int(&row), 0);
    assert_false(row_bool(&row));
    assert_true(row_time(&row) == TIME_NONE);
    assert_null(row_text(&row));
    struct text bytes = row_bytes(&row);
    assert_true(!bytes.s && !bytes.len);
    assert_true(row_is_null(&row));
    assert_int_equal(row_int(&row), 0);
    assert_false(row_is_null(&row));
    assert_int_equal(row_int(&row), 77);
    PQclear(r);
    arena_release(&arena);
}

static void test_an_empty_text_is_not_null(void **state)
{
    struct arena arena;
    PGresult *r = binary_result();
    (void)state;
    arena_init(&arena);
    set(r, 0, 0, "", 0);
    struct row row = row_at(r, 0, &arena);
    const char *s = row_text(&row);
    assert_non_null(s);
    assert_string_equal(s, "");
    PQclear(r);
    arena_release(&arena);
}

static void test_rows_are_told_apart(void **state)
{
    struct arena arena;
    PGresult *r = binary_result();
    (void)state;
    arena_init(&arena);
    for (int i = 0; i < 3; i++)
        set_int(r, i, 0, i * 100);
    for (int i = 2; i >= 0; i--) {
        struct row row = row_at(r, i, &arena);
        assert_int_equal(row_int(&row), i * 100);
    }
    PQclear(r);
    arena_release(&arena);
}

static void test_times_are_exact_to_the_microsecond(void **state)
{
    static const struct {
        int64_t stored;
        const char *text;
    } times[] = {
        {1, "2000-01-01T00:00:00.000001Z"},
        {-1, "1999-12-31T23:59:59.999999Z"},
        {820540800123456, "2026-01-01T00:00:00.123456Z"},
    };
    PGresult *r = binary_result();
    (void)state;
    for (size_t i = 0; i < LENGTH(times); i++) {
        char text[TIME_TEXT];
        set_int(r, (int)i, 0, times[i].stored);
        struct row row = row_at(r, (int)i, NULL);
        time_format(row_time(&row), text);
        assert_string_equal(text, times[i].text);
    }
    PQclear(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_stand_in_the_order_they_were_given),
        cmocka_unit_test(test_a_ref_is_two_parameters),
        cmocka_unit_test(test_lists_are_array_literals),
        cmocka_unit_test(test_a_list_of_the_longest_fits_its_room),
        cmocka_unit_test(test_a_query_is_used_again_after_init),
        cmocka_unit_test(test_columns_are_read_from_left_to_right),
        cmocka_unit_test(test_nulls_are_read_as_the_header_says),
        cmocka_unit_test(test_an_empty_text_is_not_null),
        cmocka_unit_test(test_rows_are_told_apart),
        cmocka_unit_test(test_times_are_exact_to_the_microsecond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
