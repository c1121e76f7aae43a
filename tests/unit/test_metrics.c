/* What is counted is shown, by all processes together, in a form that Prometheus reads. */
#include "shared/metrics.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/wait.h>

static const char *method(int i)
{
    return i ? "POST" : "GET";
}

static const char *pattern(int i)
{
    return i ? "/two" : "/one";
}

static const struct metric_routes two = {2, method, pattern};

static void assert_shown(const char *line, bool expected)
{
    size_t len;
    char *text = metrics_text(&len);
    assert_int_equal(len, strlen(text));
    char *whole = NULL;
    assert_true(asprintf(&whole, "\n%s\n", line) > 0);
    assert_int_equal(strstr(text, whole) != NULL, expected);
    free(whole);
    free(text);
}

static void nothing_counts_before_the_start(void **state)
{
    (void)state;
    metric_add(METRIC_MESSAGES, 0, 1);
    metric_error(ERR_NOT_FOUND);
    assert_int_equal(metric_get(METRIC_MESSAGES, 0), 0);
}

static int start(void **state)
{
    (void)state;
    metrics_start(POOL, &two);
    return 0;
}

static void every_status_of_an_error_has_a_series(void **state)
{
    char line[200];
    (void)state;
    for (int e = OK + 1; e < ERROR_COUNT; e++) {
        metric_request(0, error_status((enum error)e), 10);
        snprintf(line, sizeof line, "parley_http_requests_total{method=\"GET\",route=\"/one\",status=\"%d\"} 1",
                 error_status((enum error)e));
        assert_shown(line, true);
        start(NULL);
    }
}

static void a_request_is_counted_once_in_its_bucket(void **state)
{
    (void)state;
    metric_request(1, 201, 1000);
    metric_request(1, 201, 1001);
    metric_request(2, 404, 99000000);
    assert_shown("parley_http_requests_total{method=\"POST\",route=\"/two\",status=\"201\"} 2", true);
    assert_shown("parley_http_requests_total{method=\"-\",route=\"-\",status=\"404\"} 1", true);
    assert_shown("parley_http_request_duration_seconds_bucket{method=\"POST\",route=\"/two\",le=\"0.001\"} 1", true);
    assert_shown("parley_http_request_duration_seconds_bucket{method=\"POST\",route=\"/two\",le=\"0.0025\"} 2", true);
    assert_shown("parley_http_request_duration_seconds_bucket{method=\"-\",route=\"-\",le=\"10\"} 0", true);
    assert_shown("parley_http_request_duration_seconds_bucket{method=\"-\",route=\"-\",le=\"+Inf\"} 1", true);
    assert_shown("parley_http_request_duration_seconds_sum{method=\"POST\",route=\"/two\"} 0.002001", true);
    assert_shown("parley_http_request_duration_seconds_count{method=\"-\",route=\"-\"} 1", true);
    assert_shown("parley_http_request_duration_seconds_count{method=\"GET\",route=\"/one\"} 0",
                 false); /* not met yet */
}

static void a_span_below_zero_counts_as_none(void **state)
{
    (void)state;
    metrics_start(DAEMON, NULL);
    metric_observe(METRIC_DELIVERY, 0, -5000000); /* two hosts' clocks differ */
    assert_shown("parley_message_delivery_seconds_bucket{le=\"0.001\"} 1", true);
    assert_shown("parley_message_delivery_seconds_sum 0.000000", true);
}

static void errors_with_one_code_are_one_series(void **state)
{
    (void)state;
    metric_error(ERR_RATE_LIMITED);
    metric_error(ERR_LOGIN_THROTTLED);
    metric_error(OK);
    assert_shown("parley_errors_total{code=\"rate_limited\"} 2", true);
    assert_shown("parley_limits_hit_total{limit=\"frame_rate\"} 1", true);
    assert_shown("parley_limits_hit_total{limit=\"login_tries\"} 1", true);
    assert_shown("parley_limits_hit_total{limit=\"outbox\"} 0", true);
}

static void sockets_close_for_a_reason(void **state)
{
    (void)state;
    metrics_start(DAEMON, NULL);
    metric_socket_closed(OK, false);
    metric_socket_closed(OK, true);
    metric_socket_closed(ERR_TOO_SLOW, false);
    assert_shown("parley_sockets_closed_total{reason=\"peer\"} 1", true);
    assert_shown("parley_sockets_closed_total{reason=\"silent\"} 1", true);
    assert_shown("parley_sockets_closed_total{reason=\"too_slow\"} 1", true);
}

static void a_program_shows_its_own_families_alone(void **state)
{
    (void)state;
    assert_shown("# TYPE parley_pool_workers gauge", true);
    assert_shown("# TYPE parley_sockets gauge", false);
    metrics_start(COURIER, NULL);
    assert_shown("# TYPE parley_pool_workers gauge", false);
    assert_shown("# TYPE parley_mail_queue gauge", true);
}

static void processes_add_to_the_same_number(void **state)
{
    enum { PROCESSES = 4, TIMES = 20000 };
    (void)state;
    for (int i = 0; i < PROCESSES; i++)
        if (!fork()) {
            for (int n = 0; n < TIMES; n++)
                metric_add(METRIC_MESSAGES, 0, 1);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    assert_int_equal(metric_get(METRIC_MESSAGES, 0), PROCESSES * TIMES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_counts_before_the_start),
        cmocka_unit_test_setup(every_status_of_an_error_has_a_series, start),
        cmocka_unit_test_setup(a_request_is_counted_once_in_its_bucket, start),
        cmocka_unit_test(a_span_below_zero_counts_as_none),
        cmocka_unit_test_setup(errors_with_one_code_are_one_series, start),
        cmocka_unit_test(sockets_close_for_a_reason),
        cmocka_unit_test_setup(a_program_shows_its_own_families_alone, start),
        cmocka_unit_test_setup(processes_add_to_the_same_number, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
