/* Callbacks: which addresses are public, the signature, against the example of Standard Webhooks, and a name that
 * takes its time. */
#include "courier/post.h"
#include "courier/reach.h"
#include "courier/reason.h"
#include "shared/timefmt.h"
#include "shared/validate.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

enum { NAME_S = 4 };

/* libcurl's look at a name: its servers do not answer, and the system's patience ends after NAME_S. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    (void)name, (void)service, (void)hints, (void)out;
    sleep(NAME_S);
    return EAI_AGAIN;
}

static bool allows(const char *networks, const char *address)
{
    struct reach r;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    assert_true(reach_parse(networks, &r));
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return reach_allows(&r, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return reach_allows(&r, (struct sockaddr *)&v6);
}

static void test_public_addresses_are_allowed(void **state)
{
    static const char *const good[] = {"1.1.1.1",     "9.255.255.255",   "11.0.0.0",        "100.63.255.255",
                                       "100.128.0.0", "172.15.255.255",  "172.32.0.0",      "192.167.1.1",
                                       "192.169.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450::1",
                                       "2001:200::1", "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8"};
    (void)state;
    for (size_t i = 0; i < LENGTH(good); i++)
        if (!allows("", good[i]))
            fail_msg("%s is refused", good[i]);
}

static void test_all_others_are_not(void **state)
{
    static const char *const bad[] = {"0.0.0.0",
                                      "0.1.2.3",
                                      "10.0.0.1",
                                      "100.64.0.1",
                                      "100.127.255.255",
                                      "127.0.0.1",
                                      "127.255.0.1",
                                      "169.254.169.254",
                                      "172.16.0.1",
                                      "172.31.255.255",
                                      "192.0.0.1",
                                      "192.0.2.1",
                                      "192.88.99.1",
                                      "192.168.255.1",
                                      "198.18.0.1",
                                      "198.19.255.255",
                                      "198.51.100.9",
                                      "203.0.113.9",
                                      "224.0.0.1",
                                      "239.255.255.250",
                                      "240.0.0.1",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "::127.0.0.1",
                                      "::ffff:127.0.0.1",
                                      "::ffff:10.1.2.3",
                                      "64:ff9b::a00:1",
                                      "64:ff9b:1::a00:1",
                                      "100::1",
                                      "2001::1",
                                      "2001:db8::1",
                                      "2002:7f00:1::",
                                      "3fff::1",
                                      "fc00::1",
                                      "fd12:3456::1",
                                      "fe80::1",
                                      "fec0::1",
                                      "ff02::1",
                                      "fd00:ec2::254"};
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (allows("", bad[i]))
            fail_msg("%s is allowed", bad[i]);
}

static void test_allowed_networks_end_where_they_say(void **state)
{
    (void)state;
    assert_true(allows("10.0.0.0/8, fd00::/9,127.0.0.1", "10.255.0.1"));
    assert_true(allows("10.0.0.0/8, fd00::/9,127.0.0.1", "::ffff:127.0.0.1"));
    assert_true(allows("10.0.0.0/8, fd00::/9,127.0.0.1", "fd7f::1"));
    assert_false(allows("10.0.0.0/8, fd00::/9,127.0.0.1", "fd80::1"));
    assert_false(allows("10.0.0.0/8, fd00::/9,127.0.0.1", "127.0.0.2"));
    assert_false(allows("10.0.0.0/31", "10.0.0.2"));
    assert_true(allows("0.0.0.0/0", "127.0.0.1"));
    assert_false(allows("0.0.0.0/0", "::1"));
    assert_true(allows("::/0", "127.0.0.1"));
}

static void test_what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {"localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
                                      "10/8",      "::/129",      "1.2.3.4/8x"};
    struct reach r;
    (void)state;
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (reach_parse(bad[i], &r))
            fail_msg("%s is taken", bad[i]);
}

static void test_signature_is_that_of_standard_webhooks(void **state)
{
    static const char key[] =
        "\x31\xf2\x90\xf6\xbf\x06\x29\x8a\xab\x4f\x08\xd4\x3c\x3f\x08\x2c\xf6\x48\xa3\x62\xda\x2d\xa4\xb0";
    char out[SIGNATURE_TEXT];
    (void)state;
    post_sign((struct text){key, 24}, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}", out);
    assert_string_equal(out, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_urls_are_plain_web_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "example.org",
                                      "ftp://example.org",
                                      "https://",
                                      "https:///a",
                                      "https://a@b/",
                                      "http://a:b@c",
                                      "http://a/#b",
                                      "http://a\\@b/",
                                      "http://a b",
                                      "http://\xc3\xa4/"};
    (void)state;
    assert_true(callback_url_valid(text_of("https://example.org")));
    assert_true(callback_url_valid(text_of("HTTP://example.org:8080/a/b?c=d@e")));
    assert_true(callback_url_valid(text_of("http://[2606:4700::1]/@")));
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (callback_url_valid(text_of(bad[i])))
            fail_msg("%s is taken", bad[i]);
}

/* What PostgreSQL is given is UTF-8, whatever a server's certificate says of it. */
static void test_a_reason_is_text_and_ends_between_two_characters(void **state)
{
    char *text = repeat('x', 199);
    char *cut = NULL, *stray = NULL;
    int len;
    (void)state;
    assert_true(asprintf(&cut, "%s\xc3\xa9 and more", text) > 0 && asprintf(&stray, "\xff%s", text) > 0);
    assert_string_equal(reason_of_curl(CURLE_PEER_FAILED_VERIFICATION, "a certificate", &len), "a certificate");
    assert_int_equal(len, 13);
    assert_ptr_equal(reason_of_curl(CURLE_PEER_FAILED_VERIFICATION, cut, &len), cut);
    assert_int_equal(len, 199);
    assert_string_equal(reason_of_curl(CURLE_PEER_FAILED_VERIFICATION, stray, &len),
                        curl_easy_strerror(CURLE_PEER_FAILED_VERIFICATION));
    assert_string_equal(reason_of_curl(CURLE_OPERATION_TIMEDOUT, "", &len),
                        curl_easy_strerror(CURLE_OPERATION_TIMEDOUT));
    free(text);
    free(cut);
    free(stray);
}

/* It is one loop for all: a name whose servers are silent must not hold the others up. */
static void test_a_name_that_does_not_resolve_holds_nobody_up(void **state)
{
    static const struct config config = {.callback_timeout = 1};
    struct reach reach = {.count = 0};
    struct arena a;
    struct callback_post d = {.id = 1, .url = "http://silent.example.org/", .secret = text_of("secret")};
    char reason[REASON_TEXT];
    CURLM *multi = curl_multi_init();
    CURLMsg *m = NULL;
    int running, left;
    double began = time_seconds(), turn = 0;
    (void)state;
    arena_init(&a);
    d.change.event.kind = "member_added";
    struct post *p = post_new(&config, &reach, &a, &d);
    curl_multi_add_handle(multi, p->curl);
    while (!m && time_seconds() < began + 2 * NAME_S) {
        double turned = time_seconds();
        curl_multi_perform(multi, &running);
        m = curl_multi_info_read(multi, &left);
        turn = time_seconds() - turned > turn ? time_seconds() - turned : turn;
        curl_multi_poll(multi, NULL, 0, 50, NULL);
    }
    assert_non_null(m);
    assert_int_equal(post_outcome(p, m->data.result, reason), 0);
    double removed = time_seconds();
    curl_multi_remove_handle(multi, p->curl);
    post_free(p);
    turn = time_seconds() - removed > turn ? time_seconds() - removed : turn;
    curl_multi_cleanup(multi);
    assert_true(turn < NAME_S / 2); /* waiting for the name takes all of NAME_S */
    assert_true(time_seconds() < began + NAME_S - 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_addresses_are_allowed),
        cmocka_unit_test(test_all_others_are_not),
        cmocka_unit_test(test_allowed_networks_end_where_they_say),
        cmocka_unit_test(test_what_is_no_network_is_refused),
        cmocka_unit_test(test_signature_is_that_of_standard_webhooks),
        cmocka_unit_test(test_urls_are_plain_web_addresses),
        cmocka_unit_test(test_a_reason_is_text_and_ends_between_two_characters),
        cmocka_unit_test(test_a_name_that_does_not_resolve_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
