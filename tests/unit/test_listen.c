/* Sockets that listen: what one is called, whoever opened it. */
#include "shared/listen.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static void test_sockets_name_is_where_it_listens(void **state)
{
    char directory[] = "/tmp/parley-unit-XXXXXX", path[64], name[LISTEN_NAME_SIZE];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/sock", directory);
    int fd = listen_open(path, "SETTING");
    listen_name(fd, name);
    assert_string_equal(name, path);
    close(fd);
    unlink(path);
    rmdir(directory);
}

static void test_port_that_the_kernel_chose_is_in_the_name(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    char where[64], name[LISTEN_NAME_SIZE];
    (void)state;
    for (size_t i = 0; i < LENGTH(hosts); i++) {
        snprintf(where, sizeof where, "%s:0", hosts[i]);
        int fd = listen_open(where, "SETTING");
        if (fd < 0 && i == 1)
            continue; /* no IPv6 here */
        listen_name(fd, name);
        char *colon = strrchr(name, ':');
        assert_non_null(colon);
        assert_in_range(atoi(colon + 1), 1, 65535);
        *colon = '\0';
        assert_string_equal(name, hosts[i]);
        close(fd);
    }
}

static void test_what_is_no_socket_has_no_name(void **state)
{
    char name[LISTEN_NAME_SIZE] = "old";
    (void)state;
    listen_name(-1, name);
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets_name_is_where_it_listens),
        cmocka_unit_test(test_port_that_the_kernel_chose_is_in_the_name),
        cmocka_unit_test(test_what_is_no_socket_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
