/* Access tokens: ours are taken, and nothing that merely resembles one. */
#include "shared/id.h"
#include "shared/token.h"
#include "tests/unit/unit.h"

#include <jwt.h>
#include <stdio.h>
#include <time.h>

static const struct keyring ring = {
    .count = 2,
    .keys = {{"new", "0123456789abcdef0123456789abcdef", 32}, {"old", "fedcba9876543210fedcba9876543210", 32}},
};
static const struct identity alice = {
    .user_id = 42,
    .user_created = 1767225600123000,
    .session_id = 7,
    .dialect = DIALECT_CONV,
    .scopes = SCOPES_ALL,
    .username = "alice",
};

static enum error verify(const char *text)
{
    struct identity who;
    memset(&who, 0x55, sizeof who);
    struct identity before = who;
    enum error e = token_verify(&ring, "parley", text, &who);
    if (e != OK)
        assert_memory_equal(&who, &before, sizeof who);
    return e;
}

/* Verifies a token made by libjwt's hand, and frees it. */
static enum error verify_taken(char *text)
{
    assert_non_null(text);
    enum error e = verify(text);
    free(text);
    return e;
}

static void test_what_was_issued_is_verified(void **state)
{
    (void)state;
    for (int d = 0; d < DIALECTS; d++) {
        struct identity who = alice, out;
        who.dialect = (enum dialect)d;
        char *text = token_issue(&ring, "parley", &who, 60);
        assert_non_null(text);
        assert_int_equal(token_verify(&ring, "parley", text, &out), OK);
        assert_int_equal(out.user_id, 42);
        assert_int_equal(out.user_created, alice.user_created);
        assert_int_equal(out.session_id, 7);
        assert_int_equal(out.dialect, d);
        assert_string_equal(out.username, "alice");
        assert_true(out.expires > time(NULL) + 50 && out.expires <= time(NULL) + 60);
        free(text);
    }
}

static void test_two_tokens_of_one_second_differ(void **state)
{
    char *a = token_issue(&ring, "parley", &alice, 60), *b = token_issue(&ring, "parley", &alice, 60);
    (void)state;
    assert_string_not_equal(a, b);
    free(a);
    free(b);
}

static void test_an_expired_token_is_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_taken(token_issue(&ring, "parley", &alice, 0)), ERR_UNAUTHORIZED);
    assert_int_equal(verify_taken(token_issue(&ring, "parley", &alice, -3600)), ERR_UNAUTHORIZED);
}

static void test_another_issuers_token_is_refused(void **state)
{
    (void)state;
    assert_int_equal(verify_taken(token_issue(&ring, "parley2", &alice, 60)), ERR_UNAUTHORIZED);
    assert_int_equal(verify_taken(token_issue(&ring, "Parley", &alice, 60)), ERR_UNAUTHORIZED);
}

static void test_a_token_without_a_row_behind_it_is_refused(void **state)
{
    struct identity nobody = alice, no_session = alice;
    (void)state;
    nobody.user_id = 0;
    no_session.session_id = 0;
    assert_int_equal(verify_taken(token_issue(&ring, "parley", &nobody, 60)), ERR_UNAUTHORIZED);
    assert_int_equal(verify_taken(token_issue(&ring, "parley", &no_session, 60)), ERR_UNAUTHORIZED);
}

/* ---- rotation ---- */

static void test_the_first_key_signs_and_all_verify(void **state)
{
    struct keyring old_only = {.count = 1, .keys = {ring.keys[1]}}, new_only = {.count = 1, .keys = {ring.keys[0]}};
    struct identity who;
    (void)state;
    char *text = token_issue(&old_only, "parley", &alice, 60);
    assert_int_equal(token_verify(&ring, "parley", text, &who), OK);                   /* issued before the rotation */
    assert_int_equal(token_verify(&new_only, "parley", text, &who), ERR_UNAUTHORIZED); /* key withdrawn */
    free(text);
    text = token_issue(&ring, "parley", &alice, 60);
    assert_int_equal(token_verify(&new_only, "parley", text, &who), OK);
    assert_int_equal(token_verify(&old_only, "parley", text, &who), ERR_UNAUTHORIZED);
    free(text);
}

static void test_a_known_kid_with_another_secret_is_refused(void **state)
{
    struct keyring forged = {.count = 1, .keys = {ring.keys[0]}};
    (void)state;
    forged.keys[0].secret[31] ^= 1;
    assert_int_equal(verify_taken(token_issue(&forged, "parley", &alice, 60)), ERR_UNAUTHORIZED);
    memcpy(&forged.keys[0], &ring.keys[1], sizeof forged.keys[0]); /* one of our secrets, another's name */
    strcpy(forged.keys[0].id, "new");
    assert_int_equal(verify_taken(token_issue(&forged, "parley", &alice, 60)), ERR_UNAUTHORIZED);
}

/* ---- tokens that token_issue would not make ---- */

/* Claims that pass, but for the one named `without`. */
static jwt_t *claims(const char *without)
{
    static const char *const all =
        "{\"iss\":\"parley\",\"user_id\":42,\"username\":\"alice\",\"sid\":7,\"dialect\":\"conv\","
        "\"iat\":1767225600,\"exp\":4102444800,\"jti\":\"abc\"}";
    char sub[UUID_TEXT];
    jwt_t *jwt;
    id_uuid(alice.user_id, alice.user_created, sub);
    assert_int_equal(jwt_new(&jwt), 0);
    assert_int_equal(jwt_add_header(jwt, "kid", "new"), 0);
    assert_int_equal(jwt_add_grants_json(jwt, all), 0);
    assert_int_equal(jwt_add_grant(jwt, "sub", sub), 0);
    if (without)
        assert_int_equal(jwt_del_grants(jwt, without), 0);
    return jwt;
}

static char *sign_with(jwt_t *jwt, jwt_alg_t alg, const struct key *k)
{
    assert_int_equal(jwt_set_alg(jwt, alg, k ? k->secret : NULL, k ? k->len : 0), 0);
    char *text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

static char *sign(jwt_t *jwt)
{
    return sign_with(jwt, JWT_ALG_HS256, &ring.keys[0]);
}

static void test_every_claim_has_to_be_there(void **state)
{
    static const char *const names[] = {"iss", "sub", "user_id", "username", "sid", "dialect", "iat", "exp", "jti"};
    (void)state;
    assert_int_equal(verify_taken(sign(claims(NULL))), OK);
    for (size_t i = 0; i < LENGTH(names); i++) {
        enum error e = verify_taken(sign(claims(names[i])));
        if (e == OK)
            print_error("without %s\n", names[i]);
        assert_int_equal(e, ERR_UNAUTHORIZED);
    }
}

static void test_claims_of_other_types_and_values_are_refused(void **state)
{
    static const char *const others[] = {
        "{\"user_id\":43}",
        "{\"user_id\":-42}",
        "{\"user_id\":\"42\"}",
        "{\"user_id\":42.0}",
        "{\"sid\":-7}",
        "{\"sid\":\"7\"}",
        "{\"exp\":\"4102444800\"}",
        "{\"exp\":-1}",
        "{\"exp\":true}",
        "{\"iss\":1}",
        "{\"iss\":[\"parley\"]}",
        "{\"sub\":\"42\"}",
        "{\"sub\":42}",
        "{\"username\":5}",
        "{\"sub\":\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"}",
        "{\"dialect\":\"DM\"}",
        "{\"dialect\":\"\"}",
        "{\"dialect\":0}",
        "{\"sid\":null}",
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(others); i++) {
        jwt_t *jwt = claims(NULL);
        assert_int_equal(jwt_add_grants_json(jwt, others[i]), 0);
        enum error e = verify_taken(sign(jwt));
        if (e == OK)
            print_error("%s\n", others[i]);
        assert_int_equal(e, ERR_UNAUTHORIZED);
    }
}

static void test_the_algorithm_is_pinned(void **state)
{
    (void)state;
    assert_int_equal(verify_taken(sign_with(claims(NULL), JWT_ALG_NONE, NULL)), ERR_UNAUTHORIZED);
    assert_int_equal(verify_taken(sign_with(claims(NULL), JWT_ALG_HS384, &ring.keys[0])), ERR_UNAUTHORIZED);
    assert_int_equal(verify_taken(sign_with(claims(NULL), JWT_ALG_HS512, &ring.keys[0])), ERR_UNAUTHORIZED);
}

static void test_the_kid_has_to_be_one_of_ours(void **state)
{
    static const char *const kids[] = {"", "newer", "ne", "NEW", "../new"};
    (void)state;
    for (size_t i = 0; i < LENGTH(kids); i++) {
        jwt_t *jwt = claims(NULL);
        jwt_del_headers(jwt, "kid");
        jwt_add_header(jwt, "kid", kids[i]);
        assert_int_equal(verify_taken(sign(jwt)), ERR_UNAUTHORIZED);
    }
    jwt_t *without = claims(NULL);
    jwt_del_headers(without, "kid");
    assert_int_equal(verify_taken(sign(without)), ERR_UNAUTHORIZED);
}

/* ---- tampering ---- */

static void test_a_payload_under_another_signature_is_refused(void **state)
{
    struct identity eve = alice;
    char mixed[2048];
    (void)state;
    eve.user_id = 43;
    char *a = token_issue(&ring, "parley", &alice, 60), *b = token_issue(&ring, "parley", &eve, 60);
    int head = (int)(strrchr(a, '.') - a);
    snprintf(mixed, sizeof mixed, "%.*s%s", head, a, strrchr(b, '.'));
    assert_int_equal(verify(mixed), ERR_UNAUTHORIZED);
    free(a);
    free(b);
}

static void test_any_changed_character_is_noticed(void **state)
{
    char *text = token_issue(&ring, "parley", &alice, 60);
    size_t last = strlen(text) - 1; /* its low bits are padding: another character may decode alike */
    (void)state;
    for (size_t i = 0; i < last; i++) {
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(verify(text), ERR_UNAUTHORIZED);
        text[i] = was;
    }
    assert_int_equal(verify(text), OK);
    free(text);
}

static void test_any_shortened_token_is_refused(void **state)
{
    char *text = token_issue(&ring, "parley", &alice, 60);
    (void)state;
    for (size_t len = strlen(text); len-- > 0;) {
        text[len] = 0;
        assert_int_equal(verify(text), ERR_UNAUTHORIZED);
    }
    free(text);
}

static void test_garbage_is_refused(void **state)
{
    static const char *const garbage[] = {
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "Bearer x",
        "e30.e30.",
        "e30.e30.e30",
        "\xff.\xff.\xff",
        "=.=.=",
        "{}.{}.{}",
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6Im5ldyJ9.e30.",
        "eyJhbGciOiJIUzI1NiIsImtpZCI6Im5ldyJ9..",
        "eyJhbGciOjF9.e30.x",
        "W10.W10.x",
        "bnVsbA.bnVsbA.x",
    };
    char *huge = repeat('e', 1 << 16);
    (void)state;
    for (size_t i = 0; i < LENGTH(garbage); i++)
        assert_int_equal(verify(garbage[i]), ERR_UNAUTHORIZED);
    assert_int_equal(verify(huge), ERR_UNAUTHORIZED);
    huge[100] = huge[200] = '.';
    assert_int_equal(verify(huge), ERR_UNAUTHORIZED);
    free(huge);
}

static void test_dialects_have_names(void **state)
{
    (void)state;
    for (int d = 0; d < DIALECTS; d++) {
        enum dialect back = DIALECTS;
        assert_true(dialect_parse(dialect_name((enum dialect)d), &back));
        assert_int_equal(back, d);
    }
    enum dialect untouched = DIALECT_ROOMS;
    assert_false(dialect_parse("", &untouched) || dialect_parse("dm ", &untouched) || dialect_parse("DM", &untouched));
    assert_int_equal(untouched, DIALECT_ROOMS);
    assert_true(dialect_integers(DIALECT_P2P) && dialect_integers(DIALECT_ROOMS));
    assert_false(dialect_integers(DIALECT_DM) || dialect_integers(DIALECT_CONV) || dialect_integers(DIALECT_GROUPS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_issued_is_verified),
        cmocka_unit_test(test_two_tokens_of_one_second_differ),
        cmocka_unit_test(test_an_expired_token_is_refused),
        cmocka_unit_test(test_another_issuers_token_is_refused),
        cmocka_unit_test(test_a_token_without_a_row_behind_it_is_refused),
        cmocka_unit_test(test_the_first_key_signs_and_all_verify),
        cmocka_unit_test(test_a_known_kid_with_another_secret_is_refused),
        cmocka_unit_test(test_every_claim_has_to_be_there),
        cmocka_unit_test(test_claims_of_other_types_and_values_are_refused),
        cmocka_unit_test(test_the_algorithm_is_pinned),
        cmocka_unit_test(test_the_kid_has_to_be_one_of_ours),
        cmocka_unit_test(test_a_payload_under_another_signature_is_refused),
        cmocka_unit_test(test_any_changed_character_is_noticed),
        cmocka_unit_test(test_any_shortened_token_is_refused),
        cmocka_unit_test(test_garbage_is_refused),
        cmocka_unit_test(test_dialects_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
