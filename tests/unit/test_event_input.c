/* What a request for events asks for: its parameters and headers, and what is wrong with them. */
#include "shared/event_input.h"
#include "tests/unit/unit.h"

static void test_accept_is_the_first_type_of_ours(void **state)
{
    static const struct {
        const char *header;
        enum accept accept;
    } headers[] = {
        {NULL, ACCEPT_JSON},
        {"", ACCEPT_JSON},
        {"*/*", ACCEPT_JSON},
        {"text/html", ACCEPT_JSON},
        {"text/*", ACCEPT_JSON},
        {"text/plain", ACCEPT_TEXT},
        {"TEXT/Plain", ACCEPT_TEXT},
        {"text/plain; charset=utf-8", ACCEPT_TEXT},
        {"text/plain;q=0.5", ACCEPT_TEXT},
        {"text/event-stream", ACCEPT_STREAM},
        {"text/html, text/plain, text/event-stream", ACCEPT_TEXT},
        {"text/html,text/event-stream,text/plain", ACCEPT_STREAM},
        {"application/json, text/event-stream", ACCEPT_JSON},
        {",,, \t,text/plain", ACCEPT_TEXT},
        {"text/plainer", ACCEPT_JSON},
        {"text/plain/x", ACCEPT_JSON},
        {"x;text/plain", ACCEPT_JSON},
        {";;;;", ACCEPT_JSON},
        {",", ACCEPT_JSON},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(headers); i++)
        if (accept_of(headers[i].header) != headers[i].accept)
            fail_msg("Accept: %s", headers[i].header);
}

/* A query as a worker reads it. */
static enum error request_for(struct arena *a, const char *query, const char *last_event_id, struct input *in,
                              struct event_request *out)
{
    struct target t;
    *in = (struct input){0};
    assert_int_equal(target_parse(&t, a, arena_printf(a, "/api/v1/events?%s", query)), OK);
    assert_int_equal(target_parse_query(&t, a, in), OK);
    return event_request_read(&t, a, in, last_event_id, out);
}

static void test_without_parameters_it_is_all_from_the_present_at_once(void **state)
{
    struct event_request ask;
    struct input in;
    assert_int_equal(request_for(*state, "", NULL, &in, &ask), OK);
    assert_null(ask.from.seen);
    assert_null(ask.consumer);
    assert_null(ask.filter.conversation);
    assert_int_equal(ask.limit, 50);
    assert_int_equal(ask.wait, 0);
    assert_non_null(strstr(ask.filter.kinds, "member_added"));
}

static void test_parameters_are_read_and_bounded(void **state)
{
    struct event_request ask;
    struct input in;
    assert_int_equal(request_for(*state,
                                 "after=e812_7&wait=9999999999999999999999&limit=9999&type=delivery_ack,message"
                                 "&conversation=0193e000-0000-7000-8000-00000000138b",
                                 NULL, &in, &ask),
                     OK);
    assert_string_equal(ask.from.seen, "805:812:805");
    assert_int_equal(ask.wait, WAIT_MOST_S);
    assert_int_equal(ask.limit, 100);
    assert_string_equal(ask.filter.kinds, "{delivered,read,message}");
    assert_ptr_equal(ask.filter.conversation, &ask.conversation);
    assert_int_equal(ask.conversation.id, 0x138b);
}

static void test_last_event_id_is_newer_than_any_parameter(void **state)
{
    struct event_request ask;
    struct input in;
    assert_int_equal(request_for(*state, "after=e5", "e812", &in, &ask), OK);
    assert_string_equal(ask.from.seen, "812:812:");
    assert_int_equal(request_for(*state, "consumer=backup-bot", "e812", &in, &ask), OK);
    assert_string_equal(ask.from.seen, "812:812:");
    assert_string_equal(ask.consumer, "backup-bot");
    assert_int_equal(request_for(*state, "after=e5", "nonsense", &in, &ask), ERR_CURSOR);
    assert_int_equal(request_for(*state, "after=e5", "", &in, &ask), ERR_CURSOR);
}

static void test_what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *query;
        enum error e;
        const char *names; /* in the sentence */
    } wrong[] = {
        {"limit=0", ERR_INVALID_PARAMETER, "limit"},
        {"limit=", ERR_INVALID_PARAMETER, "limit"},
        {"limit=1.5", ERR_INVALID_PARAMETER, "limit"},
        {"wait=-1", ERR_INVALID_PARAMETER, "wait"},
        {"wait=soon", ERR_INVALID_PARAMETER, "wait"},
        {"conversation=", ERR_INVALID_PARAMETER, "conversation"},
        {"conversation=1011", ERR_INVALID_PARAMETER, "conversation"},
        {"type=", ERR_INVALID_PARAMETER, "type"},
        {"type=message,", ERR_INVALID_PARAMETER, "type"},
        {"type=,message", ERR_INVALID_PARAMETER, "type"},
        {"type=read", ERR_INVALID_PARAMETER, "read"}, /* the database's word, not the wire's */
        {"type=message}", ERR_INVALID_PARAMETER, "message}"},
        {"type=message%2cgossip", ERR_INVALID_PARAMETER, "gossip"},
        {"after=e5&consumer=x", ERR_INVALID_PARAMETER, "exclude"},
        {"after=", ERR_CURSOR, "cursor"},
        {"after=e0", ERR_CURSOR, "cursor"},
        {"after=5001", ERR_CURSOR, "cursor"},
        {"consumer=", ERR_CONSUMER_INVALID, "name"},
        {"consumer=a+b", ERR_CONSUMER_INVALID, "name"},
        {"consumer=../x", ERR_CONSUMER_INVALID, "name"},
        {"consumer=%C3%BC", ERR_CONSUMER_INVALID, "name"},
        {"consumer=1234567890123456789012345678901234567890123456789012345678901234x", ERR_CONSUMER_INVALID, "name"},
    };
    for (size_t i = 0; i < LENGTH(wrong); i++) {
        struct event_request ask;
        struct input in;
        enum error e = request_for(*state, wrong[i].query, NULL, &in, &ask);
        if (e != wrong[i].e || !strstr(input_sentence(&in, e), wrong[i].names))
            fail_msg("%s: %s, \"%s\"", wrong[i].query, error_code(e), input_sentence(&in, e));
    }
}

static void test_long_type_is_cut_in_the_sentence(void **state)
{
    char *long_type = repeat('x', 5000);
    struct event_request ask;
    struct input in;
    enum error e = request_for(*state, arena_printf(*state, "type=%s", long_type), NULL, &in, &ask);
    assert_int_equal(e, ERR_INVALID_PARAMETER);
    assert_true(strlen(input_sentence(&in, e)) < 100);
    free(long_type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_is_the_first_type_of_ours),
        cmocka_unit_test(test_without_parameters_it_is_all_from_the_present_at_once),
        cmocka_unit_test(test_parameters_are_read_and_bounded),
        cmocka_unit_test(test_last_event_id_is_newer_than_any_parameter),
        cmocka_unit_test(test_what_is_wrong_is_named),
        cmocka_unit_test(test_long_type_is_cut_in_the_sentence),
    };
    return cmocka_run_group_tests(tests, arena_set_up, arena_tear_down);
}
