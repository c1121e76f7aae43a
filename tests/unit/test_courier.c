/* Mail: nothing from outside starts a header line of its own, and delays grow. */
#include "courier/message.h"
#include "courier/outbox.h"
#include "courier/sendmail.h"
#include "tests/unit/unit.h"

static void test_mailboxes(void **state)
{
    static const struct {
        const char *text, *name, *address; /* address NULL: none */
    } table[] = {
        {"a@example.org", "", "a@example.org"},
        {"<a@example.org>", "", "a@example.org"},
        {"Parley <a@example.org>", "Parley", "a@example.org"},
        {"A < B <a@example.org>", "A < B", "a@example.org"},
        {"\xc3\x87"
         "af\xc3\xa9 <a@example.org>",
         "\xc3\x87"
         "af\xc3\xa9",
         "a@example.org"},
        {"", NULL, NULL},
        {"a", NULL, NULL},
        {"Parley", NULL, NULL},
        {"Parley <a>", NULL, NULL},
        {"Parley <a@example.org", NULL, NULL},
        {"Parley <a@example.org> x", NULL, NULL},
        {"Parley <>", NULL, NULL},
        {"\xff <a@example.org>", NULL, NULL},
        {"A\nBcc: b@example.org <a@example.org>", NULL, NULL},
        {"A\r <a@example.org>", NULL, NULL},
        {"a@example.org, b@example.org", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(table); i++) {
        struct arena a;
        struct mailbox m;
        arena_init(&a);
        assert_int_equal(mailbox_parse(table[i].text, &a, &m), table[i].address != NULL);
        if (table[i].address) {
            assert_string_equal(m.name, table[i].name);
            assert_string_equal(m.address, table[i].address);
        }
        arena_release(&a);
    }
}

/* Renders with one part replaced; NULL when it is refused. */
static const char *render(struct arena *a, const char *name, const char *to, const char *subject, const char *body)
{
    struct envelope e = {{name, "parley@example.org"}, to, 7, INT64_C(1763719200000000)};
    struct letter l = {subject, body, ""};
    struct text out = {0};
    return message_render(&e, &l, a, &out) ? out.s : NULL;
}

static void test_a_message(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    assert_string_equal(render(&a, "Par\"ley\\", "bob@example.org", "Hi", "one\ntwo\n"),
                        "Date: Fri, 21 Nov 2025 10:00:00 +0000\n"
                        "From: \"Par\\\"ley\\\\\" <parley@example.org>\n"
                        "To: bob@example.org\n"
                        "Subject: Hi\n"
                        "Message-ID: <mail.7.1763719200000000@example.org>\n"
                        "Auto-Submitted: auto-generated\n"
                        "MIME-Version: 1.0\n"
                        "Content-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 7bit\n"
                        "\n"
                        "one\ntwo\n");
    const char *utf8 = render(&a,
                              "\xc3\x87"
                              "af\xc3\xa9",
                              "bob@example.org", "Hi", "\xc3\xa9\n");
    assert_non_null(strstr(utf8, "\nFrom: =?utf-8?B?w4dhZsOp?=\n <parley@example.org>\n"));
    assert_non_null(strstr(utf8, "\nContent-Transfer-Encoding: base64\n\nw6kK\n"));
    arena_release(&a);
}

static void test_long_names_become_several_words(void **state)
{
    struct arena a;
    char name[181] = "";
    (void)state;
    arena_init(&a);
    for (int i = 0; i < 60; i++)
        strcat(name, "\xe2\x82\xac"); /* three bytes: no word may end inside */
    const char *from = strstr(render(&a, name, "bob@example.org", "Hi", ""), "From: ");
    for (int i = 0; i < 5; i++) {
        assert_true(strcspn(from, "\n") <= 76);
        assert_int_equal(strncmp(from + (i ? 1 : 6), "=?utf-8?B?4oKs", 14), 0);
        from += strcspn(from, "\n") + 1;
    }
    assert_int_equal(strncmp(from, " <parley@example.org>\n", 22), 0);
    arena_release(&a);
}

static void test_no_part_breaks_out_of_its_line(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    assert_null(render(&a, "A\nBcc: c@example.org", "bob@example.org", "Hi", ""));
    assert_null(render(&a, "", "bob@example.org\r\nBcc: c@example.org", "Hi", ""));
    assert_null(render(&a, "", "bob@example.org, c@example.org", "Hi", ""));
    assert_null(render(&a, "", "bob", "Hi", ""));
    assert_null(render(&a, "", "bob@example.org", "Hi\nX: y", ""));
    assert_null(render(&a, "", "bob@example.org", "H\xc3\xa9", ""));
    arena_release(&a);
}

static void test_crlf(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    assert_string_equal(message_crlf(text_of("a\n\nb\n"), &a).s, "a\r\n\r\nb\r\n");
    assert_int_equal(message_crlf(text_of("\n\n"), &a).len, 4);
    assert_string_equal(message_crlf(text_of(""), &a).s, "");
    arena_release(&a);
}

static void test_delays_double_up_to_an_hour(void **state)
{
    (void)state;
    assert_int_equal(outbox_delay_ms(1, 30, 0), 22500);
    assert_int_equal(outbox_delay_ms(1, 30, 255), 37500);
    assert_int_equal(outbox_delay_ms(2, 30, 0), 45000);
    assert_int_equal(outbox_delay_ms(8, 30, 0), 2700000);
    assert_int_equal(outbox_delay_ms(1000000, 30, 255), 4500000);
    assert_int_equal(outbox_delay_ms(1, 3600, 0), 2700000);
}

static void test_words_of_a_command(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    char **w = sendmail_words("  /usr/sbin/sendmail -t  -i ", &a);
    assert_string_equal(w[0], "/usr/sbin/sendmail");
    assert_string_equal(w[1], "-t");
    assert_string_equal(w[2], "-i");
    assert_null(w[3]);
    assert_null(sendmail_words("", &a)[0]);
    assert_null(sendmail_words("   ", &a)[0]);
    assert_string_equal(sendmail_words("a b c d", &a)[3], "d");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mailboxes),
        cmocka_unit_test(test_a_message),
        cmocka_unit_test(test_long_names_become_several_words),
        cmocka_unit_test(test_no_part_breaks_out_of_its_line),
        cmocka_unit_test(test_crlf),
        cmocka_unit_test(test_delays_double_up_to_an_hour),
        cmocka_unit_test(test_words_of_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
