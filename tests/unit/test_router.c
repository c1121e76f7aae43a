/* Routing: which handler a method and path lead to, and what the route table may hold. */
#include "fcgi-app/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static const struct route table[] = {
    {GET, "/v1/users", 0, DIALECT_P2P, NULL},
    {POST, "/v1/users", 0, DIALECT_P2P, NULL},
    {GET, "/v1/users/{int}", 0, DIALECT_P2P, NULL},
    {GET, "/v1/users/with-chat-info", 0, DIALECT_P2P, NULL},
    {DELETE, "/v1/rooms/{int}/members/{name}", 0, DIALECT_ROOMS, NULL},
    {DELETE, "/api/groups/{uuid}/members/{uuid}", 0, DIALECT_GROUPS, NULL},
    {PATCH, "/api/groups/{uuid}", 0, DIALECT_GROUPS, NULL},
};
enum { COUNT = sizeof table / sizeof *table };

#define UUID_A "0193e000-0000-7000-8000-000000000001"
#define UUID_B "0193e000-0001-7000-8000-000000000002"

/* The address's route in the table above; m keeps what its braces stood for. */
static enum error match(const char *method, const char *address, struct match *m)
{
    static struct arena a; /* released before it is used again, so the last match may look into it */
    struct target t;
    arena_release(&a);
    enum error e = target_parse(&t, &a, address);
    *m = (struct match){0};
    return e == OK ? router_match(table, COUNT, method_parse(method), &t, m) : e;
}

static void release(void)
{
    struct match m;
    assert_int_equal(match("GET", "", &m), ERR_NOT_FOUND);
}

static void assert_route(const char *method, const char *address, int index)
{
    struct match m;
    assert_int_equal(match(method, address, &m), OK);
    assert_ptr_equal(m.route, &table[index]);
    release();
}

static void assert_refused(const char *method, const char *address, enum error e)
{
    struct match m;
    assert_int_equal(match(method, address, &m), e);
    release();
}

static void test_method_and_path_choose_the_route(void **state)
{
    (void)state;
    assert_route("GET", "/v1/users", 0);
    assert_route("POST", "/v1/users", 1);
    assert_route("GET", "/v1/users/7", 2);
    assert_route("GET", "/v1/users/with-chat-info?limit=5", 3);
    assert_route("GET", "/v1/%75sers", 0);
}

static void test_head_is_get(void **state)
{
    (void)state;
    assert_route("HEAD", "/v1/users", 0);
    assert_refused("HEAD", "/api/groups/" UUID_A, ERR_METHOD);
}

static void test_braces_fill_in_refs_and_name(void **state)
{
    struct match m;
    (void)state;
    assert_int_equal(match("DELETE", "/v1/rooms/12/members/Zo%C3%AB", &m), OK);
    assert_int_equal(m.refs[0].id, 12);
    assert_int_equal(m.refs[0].ms, -1);
    assert_string_equal(m.name, "Zoë");
    assert_int_equal(match("DELETE", "/api/groups/" UUID_A "/members/" UUID_B, &m), OK);
    assert_int_equal(m.refs[0].id, 1);
    assert_int_equal(m.refs[1].id, 2);
    assert_int_equal(m.refs[1].ms - m.refs[0].ms, 1);
    release();
}

static void test_malformed_id_is_another_path(void **state)
{
    (void)state;
    assert_refused("GET", "/v1/users/0", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/users/-7", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/users/7x", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/users/" UUID_A, ERR_NOT_FOUND);
    assert_refused("PATCH", "/api/groups/7", ERR_NOT_FOUND);
    assert_refused("PATCH", "/api/groups/" UUID_A "0", ERR_NOT_FOUND);
    assert_refused("DELETE", "/v1/rooms/12/members/", ERR_NOT_FOUND);
}

static void test_other_spellings_are_other_paths(void **state)
{
    (void)state;
    assert_refused("GET", "/v1/users/", ERR_NOT_FOUND);
    assert_refused("GET", "//v1/users", ERR_NOT_FOUND);
    assert_refused("GET", "/v1//users", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/Users", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/user", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/users7", ERR_NOT_FOUND);
    assert_refused("GET", "/v1", ERR_NOT_FOUND);
    assert_refused("GET", "/v1/users/7/8", ERR_NOT_FOUND);
    assert_refused("GET", "/v1%2Fusers", ERR_NOT_FOUND);
    assert_refused("GET", "/", ERR_NOT_FOUND);
}

static void test_other_method_is_told_the_paths_methods(void **state)
{
    struct match m;
    (void)state;
    assert_int_equal(match("DELETE", "/v1/users", &m), ERR_METHOD);
    assert_int_equal(m.methods, GET | POST);
    assert_int_equal(match("BREW", "/v1/users/5", &m), ERR_METHOD);
    assert_int_equal(m.methods, GET);
    assert_int_equal(match("OPTIONS", "/api/groups/" UUID_A, &m), ERR_METHOD);
    assert_int_equal(m.methods, PATCH);
    release();
}

static void test_methods_as_text(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    assert_string_equal(methods_text(GET | DELETE, &a), "GET, HEAD, DELETE, OPTIONS");
    assert_string_equal(methods_text(POST, &a), "POST, OPTIONS");
    arena_release(&a);
}

/* ---- the real table ---- */

/* Braces hold a known type; at most two refs and one name, as struct request has room for. */
static void check_pattern(const char *pattern)
{
    int refs = 0, names = 0, segments = 0;
    assert_int_equal(*pattern, '/');
    for (const char *p = pattern; *p; p++) {
        segments += *p == '/';
        if (*p != '{')
            continue;
        assert_int_equal(p[-1], '/');
        size_t len = strcspn(p, "/");
        if (len == 6 && !strncmp(p, "{uuid}", len))
            refs++;
        else if (len == 5 && !strncmp(p, "{int}", len))
            refs++;
        else if (len == 6 && !strncmp(p, "{name}", len))
            names++;
        else
            fail_msg("unknown type in %s", pattern);
    }
    assert_true(refs <= 2 && names <= 1 && segments <= TARGET_SEGMENTS);
}

static void test_every_line_of_the_table_is_well_formed(void **state)
{
    int count;
    const struct route *all = routes(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        const struct route *r = &all[i];
        check_pattern(r->pattern);
        assert_non_null(r->handle);
        assert_false(r->guards & FORM && !(r->guards & BODY));
        assert_false(r->guards & AUTH && r->guards & AUTH_TOKEN);
        assert_false(r->method == GET && r->guards & BODY);
        /* /api shows UUIDs, /v1 integers, and the tokens issued there say so */
        bool integers = !strncmp(r->pattern, "/v1/", 4);
        assert_int_equal(dialect_integers(r->dialect), integers);
        assert_null(strstr(r->pattern, integers ? "{uuid}" : "{int}"));
    }
}

static void test_no_endpoint_stands_in_the_table_twice(void **state)
{
    int count;
    const struct route *all = routes(&count);
    (void)state;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (all[i].method == all[j].method && !strcmp(all[i].pattern, all[j].pattern))
                fail_msg("%s stands there twice", all[i].pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method_and_path_choose_the_route),
        cmocka_unit_test(test_head_is_get),
        cmocka_unit_test(test_braces_fill_in_refs_and_name),
        cmocka_unit_test(test_malformed_id_is_another_path),
        cmocka_unit_test(test_other_spellings_are_other_paths),
        cmocka_unit_test(test_other_method_is_told_the_paths_methods),
        cmocka_unit_test(test_methods_as_text),
        cmocka_unit_test(test_every_line_of_the_table_is_well_formed),
        cmocka_unit_test(test_no_endpoint_stands_in_the_table_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
