/* Origins: a page of another site gets in only when the setting names that very site. */
#include "shared/origin.h"
#include "tests/unit/unit.h"

static void test_origins_by_setting(void **state)
{
    static const struct {
        const char *setting, *origin;
        bool allowed;
    } table[] = {
        {"", "https://a.example", false}, /* none by default */
        {" , ,", "https://a.example", false},
        {"*", "https://a.example", true},
        {"*", "null", true},
        {"https://b.example,*", "https://a.example", true},
        {"https://*.example", "https://a.example", false}, /* no patterns */
        {"*.example", "https://a.example", false},
        {"https://a.example", "https://a.example", true},
        {"https://b.example, https://a.example", "https://a.example", true},
        {"https://b.example https://a.example", "https://a.example", true},
        {",https://a.example,", "https://a.example", true},
        {"https://a.example", "http://a.example", false},
        {"https://a.example", "https://a.example:8443", false},
        {"https://a.example", "https://a.example.evil.test", false},
        {"https://a.example", "https://a.exampl", false},
        {"https://a.example", "https://evil.test/https://a.example", false},
        {"https://a.example", "", false},
        {"https://a.example", "null", false},
        {"https://a.example,https://b.example", "https://a.example,https://b.example", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(table); i++) {
        bool allowed = origin_allowed(table[i].setting, table[i].origin);
        if (allowed != table[i].allowed)
            print_error("%s %s\n", table[i].setting, table[i].origin);
        assert_int_equal(allowed, table[i].allowed);
    }
}

static void test_localhost_is_every_port_of_this_machine_and_no_other(void **state)
{
    /* clang-format off */
    static const char *const near[] = {
        "http://localhost",      "https://localhost", "http://localhost:3000",
        "http://127.0.0.1:8080", "http://[::1]",      "http://[::1]:65535",
    };
    static const char *const far[] = {
        "http://localhost.evil.test",
        "http://localhost:3000.evil.test",
        "http://localhost:",
        "http://localhost:80@evil.test",
        "http://localhostile",
        "http://127.0.0.1.evil.test",
        "http://127.0.0.10",
        "http://127.0.0.1:x",
        "http://[::1",
        "http://[::1]x",
        "http://evil.test",
        "http://evil.test:localhost",
        "ftp://localhost",
        "null",
        "",
        "http://localhost/",
        "file://",
        "http://",
    };
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < LENGTH(near); i++) {
        assert_true(origin_allowed("localhost", near[i]));
        assert_true(origin_allowed("https://a.example, localhost", near[i]));
        assert_false(origin_allowed("", near[i]));
        assert_false(origin_allowed("https://a.example", near[i]));
    }
    for (size_t i = 0; i < LENGTH(far); i++)
        assert_false(origin_allowed("localhost", far[i]));
}

static void test_a_page_of_this_server_is_at_home(void **state)
{
    static const struct {
        const char *origin, *host;
        bool same;
    } table[] = {
        {"https://chat.example", "chat.example", true},
        {"http://chat.example:8080", "chat.example:8080", true},
        {"https://chat.example", "CHAT.example", true},
        {"https://chat.example:8080", "chat.example", false},
        {"https://chat.example", "chat.example:8080", false},
        {"https://chat.example.evil.test", "chat.example", false},
        {"https://evil.test", "chat.example", false},
        {"ftp://chat.example", "chat.example", false},
        {"chat.example", "chat.example", false},
        {"null", "chat.example", false},
        {"", "", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(table); i++)
        assert_int_equal(origin_is_host(table[i].origin, table[i].host), table[i].same);
}

static void test_a_setting_is_a_list_of_origins(void **state)
{
    /* clang-format off */
    static const char *const good[] = {"", "*", "localhost", "https://chat.example.org", "http://10.0.0.1:8080",
                                       "https://[2001:db8::1]:8443", "https://a.example, http://b.example:1 ,localhost"};
    static const char *const bad[] = {"foo", "foo bar", "chat.example.org", "https://", "https:///", "https://a.example/",
                                      "https://a.example:", "https://a.example:x", "https://A.example", "ftp://a.example",
                                      "https://[2001:db8::1", "https://[", "null", "localhost:80", "**", "https://a.example;"};
    /* clang-format on */
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++)
        assert_true(origin_setting_valid(good[i]));
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (origin_setting_valid(bad[i]))
            fail_msg("%s is no origin", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins_by_setting),
        cmocka_unit_test(test_localhost_is_every_port_of_this_machine_and_no_other),
        cmocka_unit_test(test_a_page_of_this_server_is_at_home),
        cmocka_unit_test(test_a_setting_is_a_list_of_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
