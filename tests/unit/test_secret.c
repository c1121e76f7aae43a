/* Secrets nobody guesses, and passwords that match only themselves. */
#include "shared/secret.h"
#include "tests/unit/unit.h"

enum { COST = 4, SECRETS = 2000 };

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void test_secrets_are_unique_url_safe_text(void **state)
{
    static char secrets[SECRETS][SECRET_TEXT];
    (void)state;
    for (int i = 0; i < SECRETS; i++) {
        secret_make(secrets[i]);
        assert_int_equal(strlen(secrets[i]), SECRET_TEXT - 1);
        assert_int_equal(strspn(secrets[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                         SECRET_TEXT - 1);
    }
    qsort(secrets, SECRETS, sizeof *secrets, by_text);
    for (int i = 1; i < SECRETS; i++)
        assert_string_not_equal(secrets[i - 1], secrets[i]);
}

/* 43 characters of 6 bits hold 258, so the last has two to spare; all others take every value. */
static void test_every_character_of_a_secret_varies(void **state)
{
    bool seen[SECRET_TEXT - 1][128] = {0};
    (void)state;
    for (int i = 0; i < SECRETS; i++) {
        char secret[SECRET_TEXT];
        secret_make(secret);
        for (int j = 0; j < SECRET_TEXT - 1; j++)
            seen[j][(int)secret[j]] = true;
    }
    for (int j = 0; j < SECRET_TEXT - 1; j++) {
        int values = 0;
        for (int c = 0; c < 128; c++)
            values += seen[j][c];
        assert_int_equal(values, j < SECRET_TEXT - 2 ? 64 : 16);
    }
}

static void test_the_hash_is_sha256(void **state)
{
    static const unsigned char abc[SECRET_HASH] = {
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
        0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    };
    unsigned char hash[SECRET_HASH];
    (void)state;
    secret_hash("abc", hash);
    assert_memory_equal(hash, abc, sizeof hash);
}

static void test_a_password_matches_its_own_hash_only(void **state)
{
    static const char *const passwords[] = {"correct horse", "        ", "p\xc3\xa4ssw\xc3\xb6rd", "%s%n\\\"'"};
    char hash[PASSWORD_HASH];
    (void)state;
    for (size_t i = 0; i < LENGTH(passwords); i++) {
        assert_true(password_hash(passwords[i], COST, hash));
        assert_memory_equal(hash, "$2b$04$", 7);
        for (size_t j = 0; j < LENGTH(passwords); j++)
            assert_int_equal(password_matches(passwords[j], hash, COST), i == j);
    }
    assert_true(password_hash("Correct horse", COST, hash));
    assert_false(password_matches("correct horse", hash, COST));
    assert_false(password_matches("Correct horse ", hash, COST));
    assert_false(password_matches("", hash, COST));
}

static void test_one_password_has_many_hashes(void **state)
{
    char a[PASSWORD_HASH], b[PASSWORD_HASH];
    (void)state;
    assert_true(password_hash("correct horse", COST, a));
    assert_true(password_hash("correct horse", COST, b));
    assert_string_not_equal(a, b);
    assert_true(password_matches("correct horse", a, COST) && password_matches("correct horse", b, COST));
}

static void test_all_72_bytes_of_a_password_count(void **state)
{
    char *password = repeat('x', 72), hash[PASSWORD_HASH];
    (void)state;
    assert_true(password_hash(password, COST, hash));
    assert_true(password_matches(password, hash, COST));
    password[71] = 'y';
    assert_false(password_matches(password, hash, COST));
    free(password);
}

static void test_nobodys_password_never_matches(void **state)
{
    (void)state;
    assert_false(password_matches("correct horse", NULL, COST));
    assert_false(password_matches("", NULL, COST));
}

static void test_what_is_no_hash_never_matches(void **state)
{
    static const char *const odd[] = {"", "*", "*0", "*1", "x", "correct horse", "$2b$", "$2b$04$short"};
    (void)state;
    for (size_t i = 0; i < LENGTH(odd); i++)
        assert_false(password_matches("correct horse", odd[i], COST));
}

static void test_a_hash_outlives_a_change_of_cost(void **state)
{
    char hash[PASSWORD_HASH];
    (void)state;
    assert_true(password_hash("correct horse", 5, hash));
    assert_true(password_matches("correct horse", hash, COST));
}

static void test_an_impossible_cost_is_refused(void **state)
{
    char hash[PASSWORD_HASH];
    (void)state;
    assert_false(password_hash("correct horse", 3, hash));
    assert_false(password_hash("correct horse", 32, hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_unique_url_safe_text),
        cmocka_unit_test(test_every_character_of_a_secret_varies),
        cmocka_unit_test(test_the_hash_is_sha256),
        cmocka_unit_test(test_a_password_matches_its_own_hash_only),
        cmocka_unit_test(test_one_password_has_many_hashes),
        cmocka_unit_test(test_all_72_bytes_of_a_password_count),
        cmocka_unit_test(test_nobodys_password_never_matches),
        cmocka_unit_test(test_what_is_no_hash_never_matches),
        cmocka_unit_test(test_a_hash_outlives_a_change_of_cost),
        cmocka_unit_test(test_an_impossible_cost_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
