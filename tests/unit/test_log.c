/* The log: a line stays one line, readable in both forms, whatever is put into it. */
#include "shared/log.h"
#include "shared/validate.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>

enum { LINE_MOST = 2048 };

/* Writes one event and returns its line without the newline. */
static const char *line_of(struct caught *c, bool json, const struct log_field *fields)
{
    log_setup("unit", LOG_INFO, json);
    stderr_catch(c);
    log_write(LOG_WARN, "something_happened", fields);
    stderr_release(c);
    size_t len = strlen(c->text);
    assert_true(len > 0 && len <= LINE_MOST);
    assert_ptr_equal(strchr(c->text, '\n'), c->text + len - 1);
    c->text[len - 1] = 0;
    assert_true(utf8_valid(c->text, len - 1));
    return c->text;
}

#define FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {0}})

/* The member of a JSON line, which has to be one. */
static struct json_object *parsed(const char *line)
{
    struct json_object *root = json_tokener_parse(line);
    if (!root)
        print_error("%s\n", line);
    assert_true(json_object_is_type(root, json_type_object));
    return root;
}

static const char *member(struct json_object *root, const char *name)
{
    return json_object_get_string(json_object_object_get(root, name));
}

static void test_a_line_tells_when_how_grave_who_and_what(void **state)
{
    struct caught c;
    char expected[200];
    (void)state;
    const char *line = line_of(&c, false, FIELDS(log_int("user", 42), log_text("reason", "closed")));
    snprintf(expected, sizeof expected,
             "Z level=warn program=unit pid=%ld event=something_happened user=42 reason=closed", (long)getpid());
    assert_memory_equal(line, "time=2", 6);
    assert_string_equal(strchr(line, 'Z'), expected);
}

static void test_the_same_in_json(void **state)
{
    struct caught c;
    (void)state;
    struct json_object *root = parsed(line_of(&c, true, FIELDS(log_int("user", -42), log_text("reason", "closed"))));
    assert_string_equal(member(root, "level"), "warn");
    assert_string_equal(member(root, "program"), "unit");
    assert_string_equal(member(root, "event"), "something_happened");
    assert_string_equal(member(root, "reason"), "closed");
    assert_int_equal(json_object_get_int64(json_object_object_get(root, "user")), -42);
    assert_int_equal(json_object_get_int64(json_object_object_get(root, "pid")), getpid());
    assert_int_equal(json_object_object_length(root), 7);
    json_object_put(root);
}

static const struct {
    const char *value, *kv; /* as key=value shows it */
    const char *json;       /* as JSON reads it back; NULL: the value itself */
} values[] = {
    {"plain", "plain", NULL},
    {"/a/b?c", "/a/b?c", NULL},
    {"", "\"\"", NULL},
    {"two words", "\"two words\"", NULL},
    {"a=b", "\"a=b\"", NULL},
    {"say \"hi\"", "\"say \\\"hi\\\"\"", NULL},
    {"back\\slash", "\"back\\\\slash\"", NULL},
    {"x\nlevel=error event=forged", "\"x\\u000alevel=error event=forged\"", NULL},
    {"tab\tcr\resc\x1b[31m", "\"tab\\u0009cr\\u000desc\\u001b[31m\"", NULL},
    {"del\x7f", "\"del\\u007f\"", NULL},
    {"h\xc3\xa9 \xf0\x9f\x99\x82", "\"h\xc3\xa9 \xf0\x9f\x99\x82\"", NULL},
    {"h\xc3\xa9", "h\xc3\xa9", NULL},
    {"latin\xe9 1", "\"latin\\u00e9 1\"", "latin\xc3\xa9 1"}, /* stray bytes cannot spoil the line */
    {"latin\xe9", "\"latin\\u00e9\"", "latin\xc3\xa9"},
    {"\xff\xfe", "\"\\u00ff\\u00fe\"", "\xc3\xbf\xc3\xbe"},
    {"cut\xf0\x9f", "\"cut\\u00f0\\u009f\"", "cut\xc3\xb0\xc2\x9f"},
};

static void test_values_are_escaped_in_both_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(values); i++) {
        struct caught c;
        char expected[200];
        snprintf(expected, sizeof expected, " event=something_happened value=%s after=1", values[i].kv);
        const char *line = line_of(&c, false, FIELDS(log_text("value", values[i].value), log_int("after", 1)));
        assert_string_equal(strstr(line, " event="), expected);
        struct json_object *root = parsed(
            line_of(&c, true, FIELDS(log_text("value", values[i].value), log_int("after", 1))));
        assert_string_equal(member(root, "value"), values[i].json ? values[i].json : values[i].value);
        json_object_put(root);
    }
}

static void test_a_missing_text_is_an_empty_one(void **state)
{
    struct caught c;
    const char *none = NULL;
    (void)state;
    assert_non_null(strstr(line_of(&c, false, FIELDS(log_text("reason", none))), " reason=\"\""));
}

static void test_a_line_is_bounded_and_whole_whatever_is_put_into_it(void **state)
{
    static const char *const units[] = {"x",   "x ", "\"", "\n", "\xc3\xa9", "\xf0\x9f\x99\x82", " \xf0\x9f\x99\x82",
                                        "\xff"};
    (void)state;
    for (size_t i = 0; i < LENGTH(units); i++)
        for (int pad = 0; pad < 10; pad++) {
            char big[5000] = "", *p = big;
            struct caught c;
            for (int j = 0; j < pad; j++)
                *p++ = 'p';
            while (p < big + sizeof big - 8)
                p = stpcpy(p, units[i]);
            const struct log_field *fields = FIELDS(
                log_text("first", "1"), log_text("big", big), log_text("big2", big), log_int("number", INT64_MIN),
                log_text("", big), log_text("a", ""), log_text("b", " "), log_text("c", "c"), log_text("d", "=="),
                log_text("e", big), log_text("f", "f f"), log_text("g", ""), log_text("h", ""), log_text("i", ""));
            const char *line = line_of(&c, false, fields);
            assert_non_null(strstr(line, " first=1 "));
            struct json_object *root = parsed(line_of(&c, true, fields));
            assert_string_equal(member(root, "first"), "1");
            json_object_put(root);
        }
}

static void test_keys_too_long_for_the_line_are_left_out(void **state)
{
    char *key = repeat('k', 3000);
    struct caught c;
    (void)state;
    const struct log_field *fields = FIELDS(log_text(key, "x"), log_int("after", 1));
    assert_non_null(strstr(line_of(&c, false, fields), "event=something_happened after=1"));
    struct json_object *root = parsed(line_of(&c, true, fields));
    assert_string_equal(member(root, "after"), "1");
    json_object_put(root);
    free(key);
}

static void test_lines_below_the_level_are_not_written(void **state)
{
    struct caught c;
    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++)
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            log_setup("unit", (enum log_level)least, false);
            stderr_catch(&c);
            log_event((enum log_level)level, "x");
            stderr_release(&c);
            assert_int_equal(*c.text != 0, level >= least);
        }
}

static void test_levels_have_names(void **state)
{
    static const char *const names[] = {"debug", "info", "notice", "warn", "error"};
    enum log_level level;
    (void)state;
    for (size_t i = 0; i < LENGTH(names); i++) {
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("", &level) || log_level_parse("Info", &level) || log_level_parse("inf", &level));
}

static void test_what_is_kept_is_not_written(void **state)
{
    struct caught c;
    char why[16] = "";
    (void)state;
    log_setup("unit", LOG_WARN, false);
    log_keep(why, sizeof why);
    stderr_catch(&c);
    log_event(LOG_NOTICE, "below", log_text("reason", "nobody asked"));
    assert_string_equal(why, "");
    log_event(LOG_WARN, "something", log_int("user", 42), log_text("reason", "refused\nand more"));
    assert_string_equal(why, "refused");
    log_event(LOG_ERROR, "something", log_text("hint", "0123456789abcdefghij"));
    assert_string_equal(why, "0123456789abcde");
    log_event(LOG_ERROR, "bare");
    assert_string_equal(why, "bare");
    log_keep(NULL, 0);
    stderr_release(&c);
    assert_string_equal(c.text, "");
}

/* Whoever reads the log stands still, as journald can: nobody waits for it, and it is told what it missed. */
static void test_a_reader_that_stands_still_holds_nobody_up(void **state)
{
    struct caught c;
    char full[4096] = "", drained[32768];
    (void)state;
    log_setup("unit", LOG_INFO, false);
    stderr_catch(&c);
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, sizeof full);
    ssize_t put = write(STDERR_FILENO, full, sizeof full);
    log_event(LOG_INFO, "missed");
    log_event(LOG_INFO, "missed");
    ssize_t got = read(c.pipe[0], drained, sizeof drained);
    log_event(LOG_INFO, "heard");
    ssize_t told = read(c.pipe[0], drained, sizeof drained - 1);
    log_event(LOG_INFO, "heard");
    stderr_release(&c);
    assert_true(put == sizeof full && got == put && told > 0);
    drained[told] = 0;
    assert_non_null(strstr(drained, "event=heard lines_dropped=2\n"));
    assert_non_null(strstr(c.text, "event=heard\n"));
}

static void test_a_full_disk_holds_nobody_up(void **state)
{
    struct caught c;
    (void)state;
    log_setup("unit", LOG_INFO, false);
    stderr_catch(&c);
    int end = dup(STDERR_FILENO), full = open("/dev/full", O_WRONLY);
    dup2(full, STDERR_FILENO);
    log_event(LOG_INFO, "missed");
    dup2(end, STDERR_FILENO);
    close(end);
    close(full);
    log_event(LOG_INFO, "heard");
    stderr_release(&c);
    assert_true(full >= 0);
    assert_non_null(strstr(c.text, "event=heard lines_dropped=1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_tells_when_how_grave_who_and_what),
        cmocka_unit_test(test_the_same_in_json),
        cmocka_unit_test(test_values_are_escaped_in_both_forms),
        cmocka_unit_test(test_a_missing_text_is_an_empty_one),
        cmocka_unit_test(test_a_line_is_bounded_and_whole_whatever_is_put_into_it),
        cmocka_unit_test(test_keys_too_long_for_the_line_are_left_out),
        cmocka_unit_test(test_lines_below_the_level_are_not_written),
        cmocka_unit_test(test_levels_have_names),
        cmocka_unit_test(test_what_is_kept_is_not_written),
        cmocka_unit_test(test_a_reader_that_stands_still_holds_nobody_up),
        cmocka_unit_test(test_a_full_disk_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
