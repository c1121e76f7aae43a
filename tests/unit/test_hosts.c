/* The hosts of a database URL: each is the first one once, whatever their lists look like. */
#include "shared/hosts.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct {
    const char *url;
    unsigned turn;
    const char *host, *hostaddr, *port; /* NULL: left to the URL */
} cases[] = {
    {"host=a,b,c dbname=x", 0, "a,b,c", NULL, NULL},
    {"host=a,b,c dbname=x", 1, "b,c,a", NULL, NULL},
    {"host=a,b,c dbname=x", 5, "c,a,b", NULL, NULL},
    {"host=a,b port=1,2", 1, "b,a", NULL, "2,1"},
    {"host=a,b port=1", 1, "b,a", NULL, NULL},
    {"host=a,b port=1,2,3", 1, "b,a", NULL, NULL}, /* libpq refuses it */
    {"host=a,b hostaddr=10.0.0.1,10.0.0.2", 1, "b,a", "10.0.0.2,10.0.0.1", NULL},
    {"hostaddr=10.0.0.1,10.0.0.2 port=1,", 1, NULL, "10.0.0.2,10.0.0.1", ",1"},
    {"host=/run/a,,b", 1, ",b,/run/a", NULL, NULL},
    {"postgresql://u:p@a:1,[::1]:2/x?target_session_attrs=read-write", 1, "::1,a", NULL, "2,1"},
    {"host=a dbname=x", 1, NULL, NULL, NULL},
    {"dbname=x", 3, NULL, NULL, NULL},
    {"x", 3, NULL, NULL, NULL},
    {"", 3, NULL, NULL, NULL},
    {"host='a", 3, NULL, NULL, NULL},
};

static void assert_same(const char *got, const char *wanted)
{
    assert_int_equal(got != NULL, wanted != NULL);
    if (wanted)
        assert_string_equal(got, wanted);
}

static void test_each_turn_begins_with_another_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct hosts h;
        hosts_init(&h, cases[i].url, cases[i].turn);
        assert_same(h.host, cases[i].host);
        assert_same(h.hostaddr, cases[i].hostaddr);
        assert_same(h.port, cases[i].port);
        hosts_release(&h);
    }
}

static void test_they_are_counted(void **state)
{
    (void)state;
    assert_int_equal(hosts_count("host=a,b,c"), 3);
    assert_int_equal(hosts_count("postgresql://a,b/x"), 2);
    assert_int_equal(hosts_count("host=a hostaddr=10.0.0.1,10.0.0.2"), 2);
    assert_int_equal(hosts_count("host=a"), 1);
    assert_int_equal(hosts_count("dbname=x"), 1);
    assert_int_equal(hosts_count("host='a"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_turn_begins_with_another_host),
                                       cmocka_unit_test(test_they_are_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
