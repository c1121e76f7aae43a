/* The arena: aligned, zeroed memory of any size, gone at once. A sanitizer sees what is not freed. */
#include "shared/arena.h"
#include "tests/unit/unit.h"

static void test_an_unused_arena_costs_nothing(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    assert_null(a.blocks);
    arena_release(&a);
    arena_release(&a); /* twice is fine */
    assert_null(a.blocks);
}

static void test_every_object_is_zeroed_aligned_and_apart(void **state)
{
    static const size_t sizes[] = {1, 0, 3, 15, 16, 17, 100, 4000, 8191, 8192, 8193, 100000, 1, 8, 8000, 500};
    unsigned char *objects[LENGTH(sizes)];
    struct arena a;
    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < LENGTH(sizes); i++) {
        objects[i] = arena_alloc(&a, sizes[i]);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(objects[i][j], 0);
        memset(objects[i], (int)i + 1, sizes[i]);
    }
    for (size_t i = 0; i < LENGTH(sizes); i++)
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(objects[i][j], i + 1);
    arena_release(&a);
}

static void test_a_released_arena_may_be_used_again(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            memset(arena_alloc(&a, 64), 0xff, 64);
        arena_release(&a);
    }
    char *fresh = arena_alloc(&a, 64);
    assert_int_equal(fresh[0], 0);
    arena_release(&a);
}

static void test_strings_are_copied(void **state)
{
    struct arena a;
    char source[] = "abcdef";
    (void)state;
    arena_init(&a);
    char *whole = arena_strdup(&a, source), *part = arena_strndup(&a, source, 3), *empty = arena_strndup(&a, source, 0);
    char *nul = arena_strndup(&a, "a\0b", 3);
    memset(source, 'x', sizeof source);
    assert_string_equal(whole, "abcdef");
    assert_string_equal(part, "abc");
    assert_string_equal(empty, "");
    assert_memory_equal(nul, "a\0b", 4); /* bytes, not text: NUL inside and behind */
    assert_null(arena_strdup(&a, NULL));
    assert_null(arena_strndup(&a, NULL, 0));
    assert_null(arena_strndup(&a, NULL, 3));
    arena_release(&a);
}

static void test_printf_has_no_limit_of_its_own(void **state)
{
    struct arena a;
    char *wide = repeat('w', 20000);
    (void)state;
    arena_init(&a);
    assert_string_equal(arena_printf(&a, "%s", ""), "");
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    char *s = arena_printf(&a, "<%s>", wide);
    assert_int_equal(strlen(s), 20002);
    assert_int_equal(s[20001], '>');
    arena_release(&a);
    free(wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_unused_arena_costs_nothing),
        cmocka_unit_test(test_every_object_is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_a_released_arena_may_be_used_again),
        cmocka_unit_test(test_strings_are_copied),
        cmocka_unit_test(test_printf_has_no_limit_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
