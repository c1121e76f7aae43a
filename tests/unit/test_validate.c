/* The rules for what people type, each at its edges. */
#include "shared/validate.h"
#include "tests/unit/unit.h"

#include <stdio.h>

#define E_ACUTE "\xc3\xa9"
#define SMILE   "\xf0\x9f\x99\x82"

typedef enum error (*rule)(struct text);

static void all_are(rule validate, const char *const *texts, size_t count, enum error e)
{
    for (size_t i = 0; i < count; i++) {
        if (validate(text_of(texts[i])) != e)
            print_error("\"%s\"\n", texts[i]);
        assert_int_equal(validate(text_of(texts[i])), e);
    }
}

/* n times c is taken at `least` and `most`, and refused one short and one long. */
static void length_is(rule validate, char c, size_t least, size_t most, enum error e)
{
    const size_t lengths[] = {least - 1, least, most, most + 1};
    for (size_t i = 0; i < LENGTH(lengths); i++) {
        char *s = repeat(c, lengths[i]);
        assert_int_equal(validate(text_of(s)), i == 1 || i == 2 ? OK : e);
        free(s);
    }
}

static void test_text_is_cut_between_two_characters(void **state)
{
    static const size_t cuts[] = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
    (void)state;
    for (size_t i = 0; i < LENGTH(cuts); i++)
        assert_int_equal(utf8_cut("a" E_ACUTE SMILE "b", i), cuts[i]);
}

static void test_usernames(void **state)
{
    static const char *const good[] = {"bob", "Bob.Smith-2_", "...", "007"};
    static const char *const bad[] = {"", "ab", "a b", "bob!", "b@b", "bj" E_ACUTE "rn", " bob", "bob\n", "a/b"};
    (void)state;
    all_are(validate_username, good, LENGTH(good), OK);
    all_are(validate_username, bad, LENGTH(bad), ERR_USERNAME_INVALID);
    length_is(validate_username, 'x', 3, 50, ERR_USERNAME_INVALID);
}

static void test_alphanumeric_usernames_have_no_punctuation(void **state)
{
    static const char *const good[] = {"bob", "B0b"};
    static const char *const bad[] = {"", "ab", "b_b", "b.b", "b-b", "b b", "bj" E_ACUTE "rn"};
    (void)state;
    all_are(validate_username_alphanumeric, good, LENGTH(good), OK);
    all_are(validate_username_alphanumeric, bad, LENGTH(bad), ERR_USERNAME_NOT_ALPHANUMERIC);
    length_is(validate_username_alphanumeric, 'x', 3, 50, ERR_USERNAME_NOT_ALPHANUMERIC);
}

static void test_email_addresses(void **state)
{
    static const char *const good[] = {
        "a@b.c",         "first.last+tag@example.org", "!#$%&'*+-/=?^_`{|}~@example.org", "x@1.2.3.4", "x@a-b.example",
        "X@EXAMPLE.ORG", "x@xn--bcher-kva.example",
    };
    static const char *const bad[] = {
        "",
        "@",
        "a",
        "a@",
        "@b.c",
        "a@b",
        "a@b.",
        "a@.b",
        "a@b..c",
        "a@-b.c",
        "a@b-.c",
        ".a@b.c",
        "a.@b.c",
        "a..b@c.d",
        "a b@c.d",
        "a@b c.d",
        "a@b@c.d",
        "a@b.c\r\nBcc: x@y.z",
        "\"a\"@b.c",
        "a@[127.0.0.1]",
        "a(b)@c.d",
        "<a@b.c>",
        "bj" E_ACUTE "rn@b.c",
        "a@b" E_ACUTE ".c",
        "a,b@c.d",
        "a;b@c.d",
        "a@b.c,d@e.f",
        "a@b_c.d",
    };
    (void)state;
    all_are(validate_email, good, LENGTH(good), OK);
    all_are(validate_email, bad, LENGTH(bad), ERR_EMAIL_INVALID);
}

static void test_email_addresses_are_bounded(void **state)
{
    static const struct {
        int local, label, labels; /* local@label.label…; x */
        enum error e;
    } cases[] = {
        {64, 10, 1, OK}, {65, 10, 1, ERR_EMAIL_INVALID}, /* local part */
        {1, 63, 1, OK},  {1, 64, 1, ERR_EMAIL_INVALID},  /* label */
        {62, 47, 4, OK}, {63, 47, 4, ERR_EMAIL_INVALID}, /* 62 + 1 + 4 * 48 - 1 = 254 */
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char address[512];
        int n = snprintf(address, sizeof address, "%.*s@", cases[i].local,
                         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        for (int label = 0; label < cases[i].labels; label++) {
            memset(address + n, 'y', (size_t)cases[i].label);
            n += cases[i].label;
            address[n++] = '.';
        }
        if (cases[i].labels > 1)
            address[n - 1] = 0; /* the last label ends the address */
        else
            strcpy(address + n, "z"); /* a short one does */
        assert_int_equal(validate_email(text_of(address)), cases[i].e);
    }
}

static void test_passwords_count_characters_below_and_bytes_above(void **state)
{
    (void)state;
    length_is(validate_password, 'x', 8, 72, ERR_PASSWORD_WEAK);
    assert_int_equal(validate_password(text_of("        ")), OK);
    assert_int_equal(validate_password(text_of(SMILE SMILE)), ERR_PASSWORD_WEAK); /* 8 bytes, 2 characters */
    assert_int_equal(validate_password(text_of(SMILE SMILE SMILE SMILE SMILE SMILE SMILE SMILE)), OK);
    assert_int_equal(validate_password(text_of("")), ERR_PASSWORD_WEAK);
}

static void test_names_are_one_to_a_hundred_characters(void **state)
{
    static const char *const good[] = {"x", " x ", "Bj" E_ACUTE "rn", SMILE, "a b"};
    static const char *const bad[] = {"", " ", "\t\r\n "};
    char wide[101 * 4 + 1] = "";
    (void)state;
    all_are(validate_display_name, good, LENGTH(good), OK);
    all_are(validate_display_name, bad, LENGTH(bad), ERR_DISPLAY_NAME_INVALID);
    all_are(validate_name, good, LENGTH(good), OK);
    all_are(validate_name, bad, LENGTH(bad), ERR_NAME_INVALID);
    length_is(validate_display_name, 'x', 1, 100, ERR_DISPLAY_NAME_INVALID);
    length_is(validate_name, 'x', 1, 100, ERR_NAME_INVALID);
    for (int i = 0; i < 100; i++)
        strcat(wide, SMILE);
    assert_int_equal(validate_display_name(text_of(wide)), OK);
    strcat(wide, SMILE);
    assert_int_equal(validate_display_name(text_of(wide)), ERR_DISPLAY_NAME_INVALID);
}

static void test_a_message_has_content_or_media(void **state)
{
    const struct text none = {0};
    const struct text url = text_of("https://example.org/a.png");
    (void)state;
    assert_int_equal(validate_message(none, none, 10), ERR_CONTENT_EMPTY);
    assert_int_equal(validate_message(text_of(""), none, 10), ERR_CONTENT_EMPTY);
    assert_int_equal(validate_message(text_of("0123456789"), none, 10), OK);
    assert_int_equal(validate_message(text_of("0123456789a"), none, 10), ERR_CONTENT_TOO_LONG);
    assert_int_equal(validate_message(text_of(" "), none, 10), OK); /* never trimmed */
    assert_int_equal(validate_message(none, url, 10), OK);
    assert_int_equal(validate_message(text_of(""), url, 10), OK);
    assert_int_equal(validate_message(text_of("hi"), url, 10), OK);
    assert_int_equal(validate_message(text_of("hi"), text_of("x"), 10), ERR_MEDIA_URL_INVALID);
    assert_int_equal(validate_message(none, text_of("x"), 10), ERR_MEDIA_URL_INVALID);
}

static enum error validate_media_url(struct text t)
{
    return validate_message((struct text){0}, t, 1);
}

static void test_media_urls_are_http_or_https(void **state)
{
    static const char *const good[] = {
        "http://x",      "HTTPS://EXAMPLE.ORG",          "https://example.org:8443/a?b=c#d",
        "http://[::1]/", "https://example.org/" E_ACUTE,
    };
    static const char *const bad[] = {
        "",           "http://",      "https://",   "http:///x",           "https://?x",
        "https://#x", "http:x",       "ftp://x/y",  "javascript:alert(1)", "data:text/html,x",
        "//x/y",      "/x",           " http://x",  "http://x y",          "http://x\n",
        "http://x\t", "http://x\x7f", "httpss://x",
    };
    char *longest = repeat('x', 2049);
    (void)state;
    all_are(validate_media_url, good, LENGTH(good), OK);
    all_are(validate_media_url, bad, LENGTH(bad), ERR_MEDIA_URL_INVALID);
    memcpy(longest, "http://", 7);
    assert_int_equal(validate_media_url(text_of(longest)), ERR_MEDIA_URL_INVALID);
    longest[2048] = 0;
    assert_int_equal(validate_media_url(text_of(longest)), OK);
    free(longest);
}

static void test_client_keys_are_printable(void **state)
{
    static const char *const good[] = {"1", "a b", "f47ac10b-58cc-4372-a567-0e02b2c3d479", E_ACUTE, "\"{}\\"};
    static const char *const bad[] = {"", "a\n", "\t", "\x1f", "\x7f", "\xc3", "a\xff"};
    (void)state;
    all_are(validate_client_key, good, LENGTH(good), OK);
    all_are(validate_client_key, bad, LENGTH(bad), ERR_CLIENT_KEY_INVALID);
    length_is(validate_client_key, 'k', 1, 200, ERR_CLIENT_KEY_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_cut_between_two_characters),
        cmocka_unit_test(test_usernames),
        cmocka_unit_test(test_alphanumeric_usernames_have_no_punctuation),
        cmocka_unit_test(test_email_addresses),
        cmocka_unit_test(test_email_addresses_are_bounded),
        cmocka_unit_test(test_passwords_count_characters_below_and_bytes_above),
        cmocka_unit_test(test_names_are_one_to_a_hundred_characters),
        cmocka_unit_test(test_a_message_has_content_or_media),
        cmocka_unit_test(test_media_urls_are_http_or_https),
        cmocka_unit_test(test_client_keys_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
