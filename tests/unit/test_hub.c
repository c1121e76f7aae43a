/* The hub: whose sockets are here, and who is in which group. */
#include "tests/unit/unit.h"
#include "ws-daemon/hub.h"

static struct conn socket_of(int64_t user_id)
{
    return (struct conn){.me = {.user_id = user_id}};
}

static int count_sockets(const struct hub *h, int64_t user_id)
{
    int n = 0;
    for (struct conn *c = hub_user(h, user_id); c; c = c->user_next)
        n++;
    return n;
}

static bool is_member(const struct hub *h, int64_t group, int64_t user)
{
    int count, found = 0;
    const int64_t *users = hub_members(h, group, &count);
    for (int i = 0; i < count; i++)
        found += users[i] == user;
    assert_true(found <= 1);
    return found;
}

static int count_members(const struct hub *h, int64_t group)
{
    int count;
    hub_members(h, group, &count);
    return count;
}

static void test_a_user_has_the_sockets_that_joined(void **state)
{
    struct hub *h = hub_new();
    struct conn a = socket_of(1), b = socket_of(1), c = socket_of(2);
    (void)state;
    assert_null(hub_user(h, 1));
    assert_int_equal(hub_join(h, &a, 10), OK);
    assert_int_equal(hub_join(h, &b, 10), OK);
    assert_int_equal(hub_join(h, &c, 10), OK);
    assert_ptr_equal(hub_user(h, 1), &a);
    assert_ptr_equal(a.user_next, &b);
    assert_null(b.user_next);
    assert_ptr_equal(hub_user(h, 2), &c);
    assert_null(hub_user(h, 3));
    hub_leave(h, &a);
    hub_leave(h, &b);
    hub_leave(h, &c);
    hub_free(h);
}

static void test_sockets_leave_in_any_order(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (size_t i = 0; i < LENGTH(orders); i++) {
        struct hub *h = hub_new();
        struct conn c[3] = {socket_of(1), socket_of(1), socket_of(1)};
        for (int j = 0; j < 3; j++)
            assert_int_equal(hub_join(h, &c[j], 10), OK);
        for (int j = 0; j < 3; j++) {
            hub_leave(h, &c[orders[i][j]]);
            assert_int_equal(count_sockets(h, 1), 2 - j);
        }
        assert_null(hub_user(h, 1));
        hub_free(h);
    }
}

static void test_leaving_twice_or_without_joining_changes_nothing(void **state)
{
    struct hub *h = hub_new();
    struct conn a = socket_of(1), b = socket_of(1), stranger = socket_of(2);
    (void)state;
    assert_int_equal(hub_join(h, &a, 10), OK);
    hub_leave(h, &b); /* the same user, never joined */
    hub_leave(h, &stranger);
    assert_int_equal(count_sockets(h, 1), 1);
    assert_int_equal(hub_join(h, &b, 10), OK);
    hub_leave(h, &a);
    hub_leave(h, &a);
    assert_int_equal(count_sockets(h, 1), 1);
    assert_ptr_equal(hub_user(h, 1), &b);
    assert_int_equal(hub_join(h, &a, 10), OK); /* and comes back */
    assert_int_equal(count_sockets(h, 1), 2);
    hub_leave(h, &a);
    hub_leave(h, &b);
    hub_free(h);
}

static void test_a_user_has_a_bounded_number_of_sockets(void **state)
{
    struct hub *h = hub_new();
    struct conn a = socket_of(1), b = socket_of(1), c = socket_of(1), other = socket_of(2);
    (void)state;
    assert_int_equal(hub_join(h, &a, 2), OK);
    assert_int_equal(hub_join(h, &b, 2), OK);
    assert_int_equal(hub_join(h, &c, 2), ERR_TOO_MANY_SOCKETS);
    hub_leave(h, &c); /* as the daemon does when it closes the refused one */
    assert_int_equal(count_sockets(h, 1), 2);
    assert_int_equal(hub_join(h, &other, 2), OK); /* another user's are another's */
    hub_leave(h, &a);
    assert_int_equal(hub_join(h, &c, 2), OK);
    hub_leave(h, &b);
    hub_leave(h, &c);
    hub_leave(h, &other);
    hub_free(h);
}

static void test_many_users_are_told_apart(void **state)
{
    enum { USERS = 2000 };
    static struct conn sockets[USERS];
    struct hub *h = hub_new();
    (void)state;
    for (int i = 0; i < USERS; i++) {
        sockets[i] = socket_of((int64_t)i << 20);
        assert_int_equal(hub_join(h, &sockets[i], 1), OK);
    }
    for (int i = 0; i < USERS; i += 2)
        hub_leave(h, &sockets[i]);
    for (int i = 0; i < USERS; i++)
        assert_ptr_equal(hub_user(h, (int64_t)i << 20), i % 2 ? &sockets[i] : NULL);
    hub_free(h); /* with people still in it: their sockets are not the hub's */
    hub_free(NULL);
}

/* ---- groups ---- */

static void test_what_was_learned_is_known(void **state)
{
    const int64_t users[] = {3, 1, 2};
    struct hub *h = hub_new();
    (void)state;
    assert_false(hub_knows(h, 10));
    assert_int_equal(count_members(h, 10), 0);
    hub_learn(h, 10, users, 3);
    assert_true(hub_knows(h, 10));
    assert_false(hub_knows(h, 11));
    assert_int_equal(count_members(h, 10), 3);
    assert_true(is_member(h, 10, 1) && is_member(h, 10, 2) && is_member(h, 10, 3));
    hub_learn(h, 10, users, 1); /* learned anew: what was known is replaced */
    assert_int_equal(count_members(h, 10), 1);
    hub_forget(h, 10);
    hub_forget(h, 10);
    assert_false(hub_knows(h, 10));
    hub_free(h);
}

static void test_a_group_without_members_is_known_too(void **state)
{
    struct hub *h = hub_new();
    (void)state;
    hub_learn(h, 10, NULL, 0);
    assert_true(hub_knows(h, 10));
    assert_int_equal(count_members(h, 10), 0);
    hub_member_added(h, 10, 1);
    assert_true(is_member(h, 10, 1));
    hub_free(h);
}

static void test_members_come_and_go(void **state)
{
    const int64_t users[] = {1, 2, 3};
    struct hub *h = hub_new();
    (void)state;
    hub_learn(h, 10, users, 3);
    hub_member_added(h, 10, 2); /* present already: told twice */
    assert_int_equal(count_members(h, 10), 3);
    hub_member_removed(h, 10, 1);
    hub_member_removed(h, 10, 1);
    hub_member_removed(h, 10, 99);
    assert_int_equal(count_members(h, 10), 2);
    assert_false(is_member(h, 10, 1));
    for (int64_t user = 100; user < 200; user++)
        hub_member_added(h, 10, user);
    assert_int_equal(count_members(h, 10), 102);
    for (int64_t user = 100; user < 200; user++) {
        assert_true(is_member(h, 10, user));
        hub_member_removed(h, 10, user);
    }
    hub_member_removed(h, 10, 2);
    hub_member_removed(h, 10, 3);
    assert_int_equal(count_members(h, 10), 0);
    assert_true(hub_knows(h, 10)); /* empty, and known to be */
    hub_free(h);
}

/* Half a truth would be taken for the whole: an event about an unknown group teaches nothing. */
static void test_an_unknown_group_stays_unknown(void **state)
{
    struct hub *h = hub_new();
    (void)state;
    hub_member_added(h, 10, 1);
    hub_member_removed(h, 10, 1);
    assert_false(hub_knows(h, 10));
    assert_int_equal(count_members(h, 10), 0);
    hub_free(h);
}

static void test_the_cache_of_members_is_bounded(void **state)
{
    enum { CROWD = 300000 };
    int64_t *users = malloc(CROWD * sizeof *users);
    struct hub *h = hub_new();
    (void)state;
    assert_non_null(users);
    for (int i = 0; i < CROWD; i++)
        users[i] = i + 1;
    int known = 0;
    for (int64_t group = 1; group <= 10; group++) {
        hub_trim(h);
        hub_learn(h, group, users, CROWD);
        assert_true(hub_knows(h, group)); /* the newest always is */
        assert_int_equal(count_members(h, group), CROWD);
    }
    for (int64_t group = 1; group <= 10; group++)
        known += hub_knows(h, group);
    assert_true(known <= 4); /* a million members in all, and one group more */
    hub_free(h);
    free(users);
}

static void test_learning_a_group_forgets_no_other(void **state)
{
    enum { CROWD = 600000 };
    int64_t *users = calloc(CROWD, sizeof *users);
    struct hub *h = hub_new();
    (void)state;
    assert_non_null(users);
    for (int i = 0; i < CROWD; i++)
        users[i] = i + 1;
    for (int64_t group = 1; group <= 3; group++)
        hub_learn(h, group, users, CROWD);
    for (int64_t group = 1; group <= 3; group++) /* as a batch that needs them all counts on */
        assert_int_equal(count_members(h, group), CROWD);
    hub_trim(h);
    assert_false(hub_knows(h, 1));
    hub_free(h);
    free(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_user_has_the_sockets_that_joined),
        cmocka_unit_test(test_sockets_leave_in_any_order),
        cmocka_unit_test(test_leaving_twice_or_without_joining_changes_nothing),
        cmocka_unit_test(test_a_user_has_a_bounded_number_of_sockets),
        cmocka_unit_test(test_many_users_are_told_apart),
        cmocka_unit_test(test_what_was_learned_is_known),
        cmocka_unit_test(test_a_group_without_members_is_known_too),
        cmocka_unit_test(test_members_come_and_go),
        cmocka_unit_test(test_an_unknown_group_stays_unknown),
        cmocka_unit_test(test_the_cache_of_members_is_bounded),
        cmocka_unit_test(test_learning_a_group_forgets_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
