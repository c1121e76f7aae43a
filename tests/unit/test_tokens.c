/* The tokens of scripts that a daemon keeps: those that are good, and no others for long. */
#include "tests/unit/unit.h"
#include "ws-daemon/daemon.h"
#include "ws-daemon/revoked.h"
#include "ws-daemon/tokens.h"

#include "shared/secret.h"
#include "shared/token_store.h"

#include <endian.h>
#include <time.h>

enum { COLUMNS = 9, USER = 7, OTHER = 8 };
static char secrets[4][SCRIPT_TOKEN_TEXT];

static void put_int(PGresult *res, int row, int column, int64_t n)
{
    uint64_t bytes = htobe64((uint64_t)n);
    PQsetvalue(res, row, column, (char *)&bytes, sizeof bytes);
}

/* A row as SQL_TOKEN_IDENTITIES has it: token number row + 1, good for so many seconds. */
static void put_token(PGresult *res, int row, int64_t user, int lifetime)
{
    unsigned char hash[SECRET_HASH];
    script_token_make(secrets[row]);
    secret_hash(secrets[row], hash);
    PQsetvalue(res, row, 0, (char *)hash, sizeof hash);
    put_int(res, row, 1, row + 1);
    put_int(res, row, 2, user);
    put_int(res, row, 3, 0);
    PQsetvalue(res, row, 4, (char[]){"alice"}, 5);
    put_int(res, row, 5, SCOPE_READ);
    PQsetvalue(res, row, 6, NULL, -1);
    put_int(res, row, 7, time(NULL) + lifetime);
    PQsetvalue(res, row, 8, (char[]){0}, 1);
}

static void test_what_is_good_no_more_is_forgotten(void **state)
{
    struct daemon d = {.config = {.access_ttl = 60, .access_ttl_v1 = 60}};
    struct identity who;
    PGresAttDesc columns[COLUMNS];
    char name[] = "column";
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    (void)state;
    for (int i = 0; i < COLUMNS; i++)
        columns[i] = (PGresAttDesc){.name = name, .format = 1};
    assert_true(PQsetResultAttrs(res, COLUMNS, columns));
    put_token(res, 0, USER, 3600);
    put_token(res, 1, USER, 3600);
    put_token(res, 2, USER, -1); /* has expired */
    put_token(res, 3, OTHER, 3600);
    d.revoked = revoked_new(&d.config);
    d.tokens = tokens_new();
    tokens_loaded(d.tokens, res);
    PQclear(res);
    assert_int_equal(tokens_count(d.tokens), 4);

    tokens_ended(d.tokens, 2);
    tokens_ended(d.tokens, 4); /* as its user is disabled, which comes to be known a moment later */
    tokens_forget(&d, 100);
    tokens_forget(&d, 101);
    assert_int_equal(tokens_count(d.tokens), 4);
    revoked_add_user(d.revoked, OTHER);
    tokens_forget(&d, 161);
    assert_int_equal(tokens_count(d.tokens), 2);
    assert_int_equal(tokens_check(&d, secrets[1], SCOPE_READ, false, &who), ERR_UNAUTHORIZED);
    assert_int_equal(tokens_check(&d, secrets[2], SCOPE_READ, false, &who), ERR_UNAUTHORIZED);
    assert_int_equal(tokens_check(&d, secrets[3], SCOPE_READ, false, &who), ERR_DISABLED);

    revoked_remove_user(d.revoked, OTHER);
    tokens_forget(&d, 222);
    tokens_forget(&d, 283);
    assert_int_equal(tokens_count(d.tokens), 1);
    tokens_free(d.tokens);
    revoked_free(d.revoked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_good_no_more_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
