/* UTF-8 and percent-encoding: what is well-formed, told apart from what merely looks so. */
#include "shared/validate.h"
#include "tests/unit/unit.h"

#define V(s, valid, characters)                                                                                        \
    {                                                                                                                  \
        s, sizeof s - 1, valid, characters                                                                             \
    }

static void test_the_table_of_utf8(void **state)
{
    static const struct {
        const char *s;
        size_t len;
        bool valid;
        size_t characters;
    } table[] = {
        V("", true, 0),
        V("abc", true, 3),
        V("a\0b", true, 3),
        V("\x7f", true, 1),
        V("\xc2\x80", true, 1),
        V("\xdf\xbf", true, 1),
        V("\xe0\xa0\x80", true, 1),
        V("\xed\x9f\xbf", true, 1), /* the last before the surrogates */
        V("\xee\x80\x80", true, 1), /* the first behind them */
        V("\xef\xbf\xbf", true, 1), /* a noncharacter is a character */
        V("\xf0\x90\x80\x80", true, 1),
        V("\xf4\x8f\xbf\xbf", true, 1), /* U+10FFFF */
        V("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82z", true, 5),
        V("\x80", false, 0), /* continuations without a lead */
        V("\xbf", false, 0),
        V("a\x80", false, 0),
        V("\xc3\xa9\x80", false, 0),
        V("\xc3", false, 0), /* sequences that end too soon */
        V("\xc3"
          "a",
          false, 0),
        V("\xe2\x82", false, 0),
        V("\xe2\x82"
          "a",
          false, 0),
        V("\xe2"
          "a\xac",
          false, 0),
        V("\xf0\x9f\x99", false, 0),
        V("\xf0\x9f\x99"
          "a",
          false, 0),
        V("\xc0\x80", false, 0), /* overlong */
        V("\xc0\xaf", false, 0),
        V("\xc1\xbf", false, 0),
        V("\xe0\x80\xaf", false, 0),
        V("\xe0\x9f\xbf", false, 0),
        V("\xf0\x80\x80\xaf", false, 0),
        V("\xf0\x8f\xbf\xbf", false, 0),
        V("\xed\xa0\x80", false, 0), /* surrogates, alone and in pairs */
        V("\xed\xbf\xbf", false, 0),
        V("\xed\xa0\xbd\xed\xb9\x82", false, 0),
        V("\xf4\x90\x80\x80", false, 0), /* beyond U+10FFFF */
        V("\xf5\x80\x80\x80", false, 0),
        V("\xf8\x88\x80\x80\x80", false, 0),
        V("\xfe", false, 0),
        V("\xff", false, 0),
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(table); i++) {
        char *exact = malloc(table[i].len + !table[i].len); /* nothing behind it to lean on */
        assert_non_null(exact);
        memcpy(exact, table[i].s, table[i].len);
        assert_int_equal(utf8_valid(exact, table[i].len), table[i].valid);
        if (table[i].valid)
            assert_int_equal(utf8_length(exact, table[i].len), table[i].characters);
        free(exact);
    }
}

/* How many strings of `len` bytes that begin with `lead` are valid. */
static int count_valid(unsigned char lead, size_t len)
{
    unsigned char s[3] = {lead, 0, 0};
    int valid = 0;
    for (int i = 0; i < (len == 2 ? 256 : 65536); i++) {
        s[1] = (unsigned char)(i & 0xff);
        s[2] = (unsigned char)(i >> 8);
        valid += utf8_valid((char *)s, len);
    }
    return valid;
}

static void test_exactly_the_sequences_of_the_standard_are_valid(void **state)
{
    int two = 0, three = 0;
    (void)state;
    for (int lead = 0x80; lead <= 0xff; lead++)
        two += count_valid((unsigned char)lead, 2);
    for (int lead = 0xe0; lead <= 0xef; lead++)
        three += count_valid((unsigned char)lead, 3);
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

static void test_url_decode(void **state)
{
    static const struct {
        const char *in;
        bool plus;
        const char *out; /* NULL: refused */
        size_t len;
    } table[] = {
        {"", true, "", 0},
        {"abc", true, "abc", 3},
        {"a+b", true, "a b", 3},
        {"a+b", false, "a+b", 3},
        {"a%2Bb", true, "a+b", 3},
        {"%41%4a%4A", true, "AJJ", 3},
        {"%25%32%35", true, "%25", 3}, /* decoded once */
        {"%00", true, "\0", 1},
        {"%ff", true, "\xff", 1},
        {"100%", true, NULL, 0},
        {"%", true, NULL, 0},
        {"%4", true, NULL, 0},
        {"a%4", true, NULL, 0},
        {"%4g", true, NULL, 0},
        {"%g4", true, NULL, 0},
        {"% 4", true, NULL, 0},
        {"%+4", true, NULL, 0},
        {"%%41", true, NULL, 0},
        {"%u0041", true, NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(table); i++) {
        size_t len = strlen(table[i].in), out_len = 0;
        char *in = malloc(len + !len), *out = malloc(len + 1);
        assert_true(in && out);
        memcpy(in, table[i].in, len);
        assert_int_equal(url_decode(in, len, table[i].plus, out, &out_len), table[i].out != NULL);
        if (table[i].out) {
            assert_int_equal(out_len, table[i].len);
            assert_memory_equal(out, table[i].out, out_len + 1);
        }
        free(in);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_of_utf8),
        cmocka_unit_test(test_exactly_the_sequences_of_the_standard_are_valid),
        cmocka_unit_test(test_url_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
