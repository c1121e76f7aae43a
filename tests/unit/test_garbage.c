/* Torture: whatever bytes arrive, the parsers answer yes or no, look at nothing behind them, and a
 * yes means what it says. Seeds are bent at random, always the same way: the generator is ours. */
#include "shared/id.h"
#include "shared/input.h"
#include "shared/timefmt.h"
#include "shared/validate.h"
#include "tests/unit/unit.h"

#include <json-c/json.h>
#include <stdio.h>
#include <strings.h>

enum { ROUNDS = 10000, MOST = 160 };

/* xorshift64* (Vigna, 2016) */
static uint64_t draw(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * 0x2545f4914f6cdd1dULL;
}

/* Bends a copy of a seed: bytes changed, dropped, doubled, cut, or replaced altogether. */
static size_t bend(uint64_t *random, const char *seed, char out[MOST])
{
    static const char likely[] =
        "\0\"\\{}[]:,0123456789-+.eEuTZtrulfasn \n\x7f\x80\xc0\xd8\xed\xf4\xff";
    size_t len = strlen(seed);
    memcpy(out, seed, len);
    if (draw(random) % 16 == 0)
        for (len = draw(random) % 40; len && draw(random) % 64;)
            out[draw(random) % len] = (char)draw(random);
    for (uint64_t n = draw(random) % 4; n && len && len < MOST - 8; n--) {
        size_t at = draw(random) % len;
        switch (draw(random) % 5) {
        case 0: out[at] = likely[draw(random) % (sizeof likely - 1)]; break;
        case 1: out[at] = (char)draw(random); break;
        case 2: memmove(out + at, out + at + 1, --len - at); break;
        case 3: memmove(out + at + 1, out + at, len++ - at); break;
        default: len = at; break;
        }
    }
    return len;
}

typedef void (*check)(const char *bytes, size_t len);

/* Every seed, and ROUNDS bent ones, each in memory of exactly its size (NUL behind it or not). */
static void torture(const char *const *seeds, size_t count, bool nul, check subject)
{
    uint64_t random = 0x9e3779b97f4a7c15ULL;
    for (size_t i = 0; i < ROUNDS; i++) {
        char bent[MOST] = "";
        size_t len = i < count ? strlen(seeds[i]) : bend(&random, seeds[i % count], bent);
        char *exact = malloc(len + 1 - (!nul && len));
        assert_non_null(exact);
        memcpy(exact, i < count ? seeds[i] : bent, len);
        if (nul)
            exact[len] = 0;
        subject(exact, nul ? strlen(exact) : len);
        free(exact);
    }
}

/* ---- JSON ---- */

/* An object that was taken is written and taken again, and is then the same. */
static void check_json(const char *bytes, size_t len)
{
    struct input in, again;
    size_t written;
    enum error e = input_parse(&in, bytes, len);
    assert_true(e == OK || e == ERR_BAD_JSON || e == ERR_INVALID_BODY);
    assert_int_equal(in.root != NULL, e == OK);
    if (e != OK) {
        input_release(&in);
        return;
    }
    assert_true(json_object_is_type(in.root, json_type_object));
    assert_true(utf8_valid(bytes, len) && !memchr(bytes, 0, len));
    const char *text = json_object_to_json_string_length(in.root, JSON_C_TO_STRING_PLAIN, &written);
    if (!strstr(text, "Infinity")) { /* 1e999, which json-c cannot write */
        assert_int_equal(input_parse(&again, text, written), OK);
        assert_true(json_object_equal(in.root, again.root));
        input_release(&again);
    }
    input_release(&in);
}

static void test_json(void **state)
{
    static const char *const seeds[] = {
        "{\"recipient_id\":\"019b76da-a800-7000-8000-00000000002a\",\"content\":\"Hello!\"}",
        "{\"a\":[1,-2.5e+3,true,false,null,{}],\"b\":{\"c\":\"\\u00e9\\ud83d\\ude42\\n\\\\\"}}",
        "{\"type\":\"message\",\"n\":9223372036854775807,\"client_msg_id\":\"x\\\"y\",\"z\":0.5}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        " \r\n\t{ \"k\" : \"\xf0\x9f\x99\x82\xc3\xa9\" , \"k\" : 1e999 } ",
        "{\"\\u0000\":\"\\uD83D\\uDE42\",\"-\":-0}",
    };
    (void)state;
    torture(seeds, LENGTH(seeds), false, check_json);
}

/* ---- forms and percent-encoding ---- */

static void check_form(const char *bytes, size_t len)
{
    struct input in;
    enum error e = input_parse_form(&in, bytes, len);
    assert_true(e == OK || e == ERR_INVALID_BODY);
    assert_non_null(in.root);
    if (e == OK) {
        json_object_object_foreach(in.root, name, value)
        {
            const char *s = json_object_get_string(value);
            assert_true(*name && utf8_valid(name, strlen(name)));
            assert_true(utf8_valid(s, (size_t)json_object_get_string_len(value)));
        }
    }
    input_release(&in);
    char *out = malloc(len + 1);
    size_t out_len = len;
    assert_non_null(out);
    if (url_decode(bytes, len, true, out, &out_len))
        assert_true(out_len <= len && !out[out_len]);
    free(out);
}

static void test_forms(void **state)
{
    static const char *const seeds[] = {
        "username=alice&email=a%40b.c&password=correct+horse",
        "a=%C3%A9&b=%00&c=%F0%9F%99%82&c=x&d",
        "&&=&a=&%61==b&",
    };
    (void)state;
    torture(seeds, LENGTH(seeds), false, check_form);
}

/* ---- times ---- */

/* A time that was taken is written in our form, which is taken for the same moment. */
static void check_time(const char *text, size_t len)
{
    int64_t us = 77, rest = 78, again, none;
    char written[TIME_TEXT];
    (void)len;
    if (!time_parse(text, &us, &rest)) {
        assert_true(us == 77 && rest == 78);
        return;
    }
    assert_true(rest >= -1 && rest <= 999999999999999999);
    assert_true(us >= -62167219200LL * 1000000 - 86400000000 &&
                us < 253402300800LL * 1000000 + 86400000000);
    if (us < -62135596800LL * 1000000 || us >= 253402300800LL * 1000000)
        return; /* an offset led out of the years 1 to 9999 */
    time_format(us, written);
    if (us >= -30610224000LL * 1000000) { /* from the year 1000 on strftime writes four digits */
        assert_true(time_parse(written, &again, &none));
        assert_true(again == us && none == -1);
    }
}

static void test_times(void **state)
{
    static const char *const seeds[] = {
        "2026-01-01T00:00:00.123456Z", "2024-02-29T23:59:59.123456789012345678901234+05:30",
        "1969-12-31t00:00:00-23:59",   "9999-12-31 23:59:59.9 01:00",
        "0000-01-01T00:00:00Z",
    };
    (void)state;
    torture(seeds, LENGTH(seeds), true, check_time);
}

/* ---- ids ---- */

/* An id that was taken is written again, and reads as it came (but for upper case). */
static void check_id(const char *text, size_t len)
{
    struct ref integer = {77, 78}, uuid = {77, 78};
    char written[64];
    if (id_parse_integer(text, &integer)) {
        assert_true(integer.id > 0 && integer.ms == -1);
        snprintf(written, sizeof written, "%lld", (long long)integer.id);
        assert_string_equal(written, text);
    } else {
        assert_true(integer.id == 77 && integer.ms == 78);
    }
    if (!id_parse_uuid(text, &uuid)) {
        assert_true(uuid.id == 77 && uuid.ms == 78);
        return;
    }
    assert_int_equal(len, UUID_TEXT - 1);
    assert_true(uuid.ms >= 0 && uuid.id >= 0);
    if (uuid.id) {
        id_uuid(uuid.id, uuid.ms * 1000, written);
        assert_int_equal(strcasecmp(written, text), 0);
    }
}

static void test_ids(void **state)
{
    static const char *const seeds[] = {
        "019b76da-a800-7000-8000-00000000002a",
        "FFFFFFFF-FFFF-7000-BFFF-FFFFFFFFFFFF",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "42",
        "9223372036854775807",
        "9223372036854775808",
        "00",
    };
    (void)state;
    torture(seeds, LENGTH(seeds), true, check_id);
}

/* ---- what people type ---- */

/* No rule looks behind its text. Their answers are test_validate's. */
static void check_rules(const char *text, size_t len)
{
    struct text t = {text, len};
    int refused = 0;
    if (!utf8_valid(text, len))
        return;
    refused += validate_username(t) != OK;
    refused += validate_username_alphanumeric(t) != OK;
    refused += validate_email(t) != OK;
    refused += validate_display_name(t) != OK;
    refused += validate_password(t) != OK;
    refused += validate_client_key(t) != OK;
    refused += validate_message(t, t, 100) != OK;
    assert_true(refused > 0); /* a URL is no user's name */
    assert_true(utf8_length(text, len) <= len);
}

static void test_rules(void **state)
{
    static const char *const seeds[] = {
        "alice",
        "first.last+tag@mail.example.org",
        "Bj\xc3\xb6rn \xf0\x9f\x99\x82",
        "https://example.org/a?b#c",
        "a@b.",
        "@",
    };
    (void)state;
    torture(seeds, LENGTH(seeds), true, check_rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json), cmocka_unit_test(test_forms), cmocka_unit_test(test_times),
        cmocka_unit_test(test_ids),  cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
