/* A connection to PostgreSQL while that is away, and while the clock is set: what waits, waits by a time that
 * nobody sets. */
#include "shared/db.h"
#include "shared/log.h"
#include "tests/unit/unit.h"

#include <sys/syscall.h>
#include <time.h>

static time_t set_by; /* seconds by which somebody has set the clock */

/* The programs' and ours, instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, out);
    if (!failed && clock == CLOCK_REALTIME)
        out->tv_sec += set_by;
    return failed;
}

static void test_the_next_attempt_does_not_wait_for_a_clock_that_was_set_back(void **state)
{
    static const struct config config = {.database_url = "host=/nowhere", .statement_timeout = 1000};
    struct db db;
    struct query q;
    (void)state;
    log_setup("test", LOG_ERROR, false);
    db_init(&db, &config);
    query_init(&q, SQL_SCHEMA_VERSION);
    set_by = 0;
    assert_int_equal(db_execute(&db, &q), ERR_UNAVAILABLE);
    assert_int_equal(db.failures, 1);
    assert_int_equal(db_execute(&db, &q), ERR_UNAVAILABLE);
    assert_int_equal(db.failures, 1); /* it is too early to try again */
    set_by = -3600;
    usleep(200000);
    assert_int_equal(db_execute(&db, &q), ERR_UNAVAILABLE);
    assert_int_equal(db.failures, 2);
    db_release(&db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_attempt_does_not_wait_for_a_clock_that_was_set_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
