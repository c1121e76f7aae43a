/* Settings: every mistake stops the start with a sentence that names the setting. */
#include "shared/config.h"
#include "tests/unit/unit.h"

/* Texts of a configuration live as long as the process, and so do these. */
static struct config parsed[64];
static int used;

/* Reads the file; *wrong gets what was printed ("" when nothing), freed by the next call. */
static bool read_file(const char *content, struct config **out, const char **wrong)
{
    static char said[2048];
    FILE *in = fmemopen((void *)content, strlen(content) + !*content, "r");
    FILE *errors = fmemopen(said, sizeof said, "w");
    assert_true(in && errors && used < (int)LENGTH(parsed));
    *out = &parsed[used++];
    bool ok = config_read_file(in, "parley.conf", errors, *out);
    fclose(in);
    fclose(errors); /* ends what was said with a NUL */
    *wrong = said;
    return ok;
}

static struct config *good(const char *content)
{
    struct config *c;
    const char *wrong;
    assert_true(read_file(content, &c, &wrong));
    return c;
}

/* The file is refused by one line that holds `sentence`. */
static void bad(const char *content, const char *sentence)
{
    struct config *c;
    const char *wrong;
    assert_false(read_file(content, &c, &wrong));
    if (!strstr(wrong, sentence))
        print_error("%s", wrong);
    assert_non_null(strstr(wrong, sentence));
    assert_ptr_equal(strchr(wrong, '\n'), wrong + strlen(wrong) - 1);
}

static void test_what_is_not_set_has_its_default(void **state)
{
    struct config *c = good("\n");
    (void)state;
    assert_int_equal(c->bcrypt_cost, 12);
    assert_int_equal(c->access_ttl, 3600);
    assert_int_equal(c->access_ttl_v1, 8 * 86400);
    assert_int_equal(c->message_max, 16384);
    assert_int_equal(c->body_max, 1 << 20);
    assert_string_equal(c->listen_database_url, "");
    assert_string_equal(c->cors_origins, "");
    assert_string_equal(c->log_format, "kv");
}

static void test_comments_and_blank_lines_are_skipped(void **state)
{
    struct config *c = good("# FCGI_WORKERS=9\n;x\n\n   \t\n  # indented\r\n\tFCGI_WORKERS=7\r\n#last");
    (void)state;
    assert_int_equal(c->fcgi_workers, 7);
}

static void test_values_are_taken_as_they_stand(void **state)
{
    struct config *c = good("DATABASE_URL=host=/run dbname=a=b # no comment\nISSUER=\nWS_LISTEN='\nKEY_FILE=\"x'\n");
    (void)state;
    assert_string_equal(c->database_url, "host=/run dbname=a=b # no comment");
    assert_string_equal(c->issuer, "");
    assert_string_equal(c->ws_listen, "'");
    assert_string_equal(c->key_file, "\"x'");
}

static void test_quotes_around_a_value_are_taken_off(void **state)
{
    struct config *c = good("ISSUER=\"my parley\"\nCORS_ORIGINS='*'\nFCGI_WORKERS=\"3\"\nWS_LISTEN=\"\"\n");
    (void)state;
    assert_string_equal(c->issuer, "my parley");
    assert_string_equal(c->cors_origins, "*");
    assert_int_equal(c->fcgi_workers, 3);
    assert_string_equal(c->ws_listen, "");
}

static void test_the_last_of_two_lines_counts(void **state)
{
    (void)state;
    assert_int_equal(good("FCGI_WORKERS=2\nFCGI_WORKERS=5\n")->fcgi_workers, 5);
}

static void test_an_unknown_setting_is_named_with_its_line(void **state)
{
    (void)state;
    bad("# one\nFCGI_WORKERS=2\nFCGI_WORKER=3\n", "parley.conf:3: unknown setting FCGI_WORKER\n");
    bad("fcgi_workers=3\n", "unknown setting fcgi_workers");
    bad("=3\n", "unknown setting");
    bad("ISSUER\n", "parley.conf:1: expected KEY=value");
    bad("export ISSUER=x\n", "unknown setting export ISSUER");
}

static void test_a_bad_number_is_named_with_its_range(void **state)
{
    static const char *const values[] = {
        "",           "x",   "4x",   "12.0",   "1e1", "0x10", "3", "-12", "18", "99999999999999999999",
        "4294967308", "12 ", "\"12", "twelve",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(values); i++) {
        char line[64];
        snprintf(line, sizeof line, "BCRYPT_COST=%s\n", values[i]);
        bad(line, "BCRYPT_COST has to be a whole number from 4 to 17, not ");
    }
    assert_int_equal(good("BCRYPT_COST=4")->bcrypt_cost, 4);
    assert_int_equal(good("BCRYPT_COST=17")->bcrypt_cost, 17);
}

static void test_formats_and_levels_are_words_of_a_list(void **state)
{
    static const char *const levels[] = {"debug", "info", "notice", "warn", "error"};
    (void)state;
    bad("LOG_FORMAT=xml\n", "LOG_FORMAT has to be kv or json, not \"xml\"");
    bad("LOG_FORMAT=\n", "LOG_FORMAT has to be");
    bad("LOG_LEVEL=loud\n", "LOG_LEVEL has to be debug, info, notice, warn or error, not \"loud\"");
    bad("LOG_LEVEL=WARN\n", "LOG_LEVEL has to be");
    assert_string_equal(good("LOG_FORMAT=json\n")->log_format, "json");
    for (size_t i = 0; i < LENGTH(levels); i++) {
        char line[64];
        snprintf(line, sizeof line, "LOG_LEVEL=%s\n", levels[i]);
        assert_string_equal(good(line)->log_level, levels[i]);
    }
}

static void test_the_help_names_every_setting(void **state)
{
    static const char *const keys[] = {
#define TEXT(field, key, def, help)             #key,
#define INT(field, key, def, least, most, help) #key,
        CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
    };
    char help[16384];
    FILE *out = fmemopen(help, sizeof help, "w");
    (void)state;
    assert_non_null(out);
    config_help(out, "some-program");
    fclose(out);
    assert_non_null(strstr(help, "usage: some-program"));
    for (size_t i = 0; i < LENGTH(keys); i++) {
        char start[64];
        snprintf(start, sizeof start, "\n  %s | ", keys[i]);
        assert_non_null(strstr(help, start));
    }
}

static void test_defaults_are_within_their_ranges(void **state)
{
    (void)state;
#define TEXT(field, key, def, help)             assert_true(*(help) != 0);
#define INT(field, key, def, least, most, help) assert_true((def) >= (least) && (def) <= (most) && *(help) != 0);
    CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
}

/* ---- the command line and the environment ---- */

static enum config_result load(struct caught *c, char **argv, struct config **out)
{
    int argc = 0;
    bool check = false;
    while (argv[argc])
        argc++;
    *out = &parsed[used++];
    stderr_catch(c);
    enum config_result result = config_load("unit", argc, argv, *out, &check);
    stderr_release(c);
    return result;
}

static void test_the_environment_wins_over_the_file(void **state)
{
    char path[] = "/tmp/parley-config-XXXXXX";
    char *argv[] = {"unit", "--config", path, NULL};
    int fd = mkstemp(path);
    struct config *c;
    struct caught caught;
    (void)state;
    assert_true(fd >= 0 && write(fd, "FCGI_WORKERS=5\nBCRYPT_COST=5\n", 29) == 29);
    close(fd);
    setenv("BCRYPT_COST", "6", 1);
    enum config_result result = load(&caught, argv, &c);
    unsetenv("BCRYPT_COST");
    unlink(path);
    assert_int_equal(result, CONFIG_OK);
    assert_int_equal(c->fcgi_workers, 5);
    assert_int_equal(c->bcrypt_cost, 6);
}

static void test_mistakes_of_the_command_line_and_environment_stop_the_start(void **state)
{
    char *unknown[] = {"unit", "--frob", NULL}, *missing[] = {"unit", "--config", "/nonexistent/x", NULL};
    char *none[] = {"unit", NULL}, *bare[] = {"unit", "--config", NULL};
    struct config *c;
    struct caught caught;
    (void)state;
    assert_int_equal(load(&caught, unknown, &c), CONFIG_BAD);
    assert_non_null(strstr(caught.text, "--frob"));
    assert_int_equal(load(&caught, missing, &c), CONFIG_BAD);
    assert_non_null(strstr(caught.text, "/nonexistent/x"));
    assert_int_equal(load(&caught, bare, &c), CONFIG_BAD);
    setenv("OUTBOX_MAX", "many", 1);
    enum config_result result = load(&caught, none, &c);
    unsetenv("OUTBOX_MAX");
    assert_int_equal(result, CONFIG_BAD);
    assert_non_null(strstr(caught.text, "OUTBOX_MAX"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_set_has_its_default),
        cmocka_unit_test(test_comments_and_blank_lines_are_skipped),
        cmocka_unit_test(test_values_are_taken_as_they_stand),
        cmocka_unit_test(test_quotes_around_a_value_are_taken_off),
        cmocka_unit_test(test_the_last_of_two_lines_counts),
        cmocka_unit_test(test_an_unknown_setting_is_named_with_its_line),
        cmocka_unit_test(test_a_bad_number_is_named_with_its_range),
        cmocka_unit_test(test_formats_and_levels_are_words_of_a_list),
        cmocka_unit_test(test_the_help_names_every_setting),
        cmocka_unit_test(test_defaults_are_within_their_ranges),
        cmocka_unit_test(test_the_environment_wins_over_the_file),
        cmocka_unit_test(test_mistakes_of_the_command_line_and_environment_stop_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
