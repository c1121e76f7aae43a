/* What is counted at the door: networks, sockets by address, revoked sessions. */
#include "shared/address.h"
#include "shared/timefmt.h"
#include "tests/unit/unit.h"
#include "ws-daemon/addresses.h"
#include "ws-daemon/revoked.h"

static void test_an_address_counts_as_its_network(void **state)
{
    static const char *const pairs[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:DB8:1:2::", "2001:db8:1:2::/64"},
        {"2001:db8::1", "2001:db8::/64"},
        {"::1", "::/64"},
        {"unix:", "unix:"},
        {"", ""},
        {NULL, ""},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::/64"},
        {"2001:db8::1%eth0-and-a-scope-name-that-goes-on-and-on-and-on-for-ever-and-ever",
         "2001:db8::1%eth0-and-a-scope-name-that-goes-on-and-on-and-on-fo"},
    };
    char network[NETWORK_TEXT];
    (void)state;
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        address_network(pairs[i][0], network);
        assert_string_equal(network, pairs[i][1]);
    }
}

static void test_sockets_are_counted_by_network(void **state)
{
    struct addresses *all = addresses_new();
    (void)state;
    struct address *a = address_join(all, "192.0.2.7", 2), *b = address_join(all, "::ffff:192.0.2.7", 2);
    assert_non_null(a);
    assert_ptr_equal(a, b);
    assert_null(address_join(all, "192.0.2.7", 2));
    struct address *other = address_join(all, "192.0.2.8", 2);
    assert_non_null(other);
    address_leave(all, b);
    assert_ptr_equal(address_join(all, "192.0.2.7", 2), a);
    address_leave(all, a);
    address_leave(all, a);
    address_leave(all, other);
    address_leave(all, NULL);
    a = address_join(all, "192.0.2.7", 1); /* everybody had left */
    assert_non_null(a);
    assert_null(address_join(all, "192.0.2.7", 1));
    addresses_free(all);
    addresses_free(NULL);
}

static struct identity session(int64_t id)
{
    return (struct identity){.user_id = 7, .session_id = id};
}

static void test_a_revoked_session_is_forgotten_when_no_token_of_it_is_left(void **state)
{
    struct config config = {.access_ttl = 100, .access_ttl_v1 = 1000};
    struct revoked *r = revoked_new(&config);
    struct identity one = session(1), two = session(2);
    double now = time_seconds();
    (void)state;
    revoked_add_session(r, 1);
    revoked_add_session(r, 2);
    revoked_add_session(r, 1);
    assert_int_equal(revoked_count(r), 2);
    revoked_forget(r, now + 999);
    assert_int_equal(revoked_check(r, &one), ERR_UNAUTHORIZED);
    assert_int_equal(revoked_check(r, &two), ERR_UNAUTHORIZED);
    revoked_forget(r, now + 1010);
    assert_int_equal(revoked_check(r, &one), OK);
    assert_int_equal(revoked_count(r), 0);
    revoked_free(r);
}

static void test_a_disabled_user_is_remembered_until_enabled(void **state)
{
    struct config config = {.access_ttl = 10, .access_ttl_v1 = 10};
    struct revoked *r = revoked_new(&config);
    struct identity who = session(7); /* a session with the number of the user */
    (void)state;
    revoked_add_user(r, 7);
    revoked_forget(r, time_seconds() + 1e9);
    assert_int_equal(revoked_check(r, &who), ERR_DISABLED);
    revoked_remove_user(r, 7);
    revoked_remove_user(r, 7);
    assert_int_equal(revoked_check(r, &who), OK);
    revoked_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_counts_as_its_network),
        cmocka_unit_test(test_sockets_are_counted_by_network),
        cmocka_unit_test(test_a_revoked_session_is_forgotten_when_no_token_of_it_is_left),
        cmocka_unit_test(test_a_disabled_user_is_remembered_until_enabled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
