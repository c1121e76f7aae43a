/* The error table: every row fit to be shown by every surface. */
#include "shared/error.h"
#include "tests/unit/unit.h"

static void test_every_error_has_a_code_of_lower_case_and_underscores(void **state)
{
    (void)state;
    for (enum error e = OK + 1; e < ERROR_COUNT; e++) {
        const char *code = error_code(e);
        size_t len = strlen(code);
        assert_true(len > 0 && len < 40);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_"), len);
        assert_true(*code >= 'a' && *code <= 'z' && code[len - 1] != '_');
        assert_null(strstr(code, "__"));
    }
}

static void test_every_error_has_one_sentence(void **state)
{
    (void)state;
    for (enum error e = OK + 1; e < ERROR_COUNT; e++) {
        const char *s = error_sentence(e);
        size_t len = strlen(s);
        assert_true(len > 8 && len < 120);
        assert_true(s[len - 1] != '.' && s[len - 1] != ' ' && *s != ' ');
        for (size_t i = 0; i < len; i++)
            assert_true(s[i] >= ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\'); /* needs no escape */
        assert_null(strstr(s, "  "));
    }
}

static void test_every_error_has_a_status_we_send(void **state)
{
    (void)state;
    for (enum error e = OK + 1; e < ERROR_COUNT; e++) {
        int status = error_status(e);
        assert_true(status >= 400 && status <= 599);
        assert_string_not_equal(status_title(status), "Error");
    }
}

static void test_close_codes_may_be_sent(void **state)
{
    (void)state;
    for (enum error e = OK + 1; e < ERROR_COUNT; e++) {
        int close_code = error_close(e);
        /* RFC 6455, 7.4: 1004 to 1006 are never sent, 1016 to 2999 are not assigned. */
        bool standard = close_code >= 1000 && close_code <= 1015 && (close_code < 1004 || close_code > 1006);
        assert_true(!close_code || standard || (close_code >= 4000 && close_code <= 4999));
    }
}

static void test_one_code_means_one_close_code(void **state)
{
    (void)state;
    for (enum error a = OK + 1; a < ERROR_COUNT; a++)
        for (enum error b = a + 1; b < ERROR_COUNT; b++)
            if (error_close(a) && error_close(b))
                assert_true(error_close(a) != error_close(b) || !strcmp(error_code(a), error_code(b)));
}

/* What clients were promised by the published documents. */
static void test_the_promised_numbers(void **state)
{
    static const struct {
        enum error e;
        int status, close_code;
        const char *code;
    } promised[] = {
        {ERR_UNAUTHORIZED, 401, 4001, "unauthorized"},
        {ERR_DISABLED, 403, 4003, "account_disabled"},
        {ERR_TOO_SLOW, 503, 4008, "too_slow"},
        {ERR_RATE_LIMITED, 429, 4009, "rate_limited"},
        {ERR_TOO_MANY_SOCKETS, 429, 4010, "too_many_sockets"},
        {ERR_GOING_AWAY, 503, 1001, "going_away"},
        {ERR_BODY_TOO_LARGE, 413, 1009, "body_too_large"},
        {ERR_MEDIA_TYPE, 415, 1003, "unsupported_media_type"},
        {ERR_USERNAME_TAKEN, 400, 0, "username_taken"},
        {ERR_USERNAME_CONFLICT, 409, 0, "username_taken"},
        {ERR_IDEMPOTENCY_CONFLICT, 409, 0, "idempotency_conflict"},
        {ERR_UNAVAILABLE, 503, 0, "unavailable"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(promised); i++) {
        assert_int_equal(error_status(promised[i].e), promised[i].status);
        assert_int_equal(error_close(promised[i].e), promised[i].close_code);
        assert_string_equal(error_code(promised[i].e), promised[i].code);
    }
    assert_string_equal(error_sentence(ERR_CREDENTIALS), "invalid credentials");
}

static void test_what_is_no_error_reads_as_an_internal_one(void **state)
{
    static const enum error odd[] = {OK, (enum error) - 1, ERROR_COUNT, (enum error)100000};
    (void)state;
    for (size_t i = 0; i < LENGTH(odd); i++) {
        assert_int_equal(error_status(odd[i]), 500);
        assert_string_equal(error_code(odd[i]), "internal_error");
        assert_ptr_equal(error_sentence(odd[i]), error_sentence(ERR_INTERNAL));
        assert_int_equal(error_close(odd[i]), 1011);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_error_has_a_code_of_lower_case_and_underscores),
        cmocka_unit_test(test_every_error_has_one_sentence),
        cmocka_unit_test(test_every_error_has_a_status_we_send),
        cmocka_unit_test(test_close_codes_may_be_sent),
        cmocka_unit_test(test_one_code_means_one_close_code),
        cmocka_unit_test(test_the_promised_numbers),
        cmocka_unit_test(test_what_is_no_error_reads_as_an_internal_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
