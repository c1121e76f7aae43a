#!/bin/bash
# All tests: the unit programs in $BUILD/unit, then the tests of the real stack, then one closing line.
# `make test` has installed and built everything. Arguments stand in for the `tests` that pytest gets,
# as in tests/run.sh tests/test_dm.py -k history
# With VALGRIND=1, unit programs, daemons and workers run under memcheck: thirty times slower, so the tests
# of one stack are a file for each dialect unless others are named.
#
# Fails when a test fails, when a sanitizer speaks in a unit test (the stack's logs are read by the
# tests themselves), or when a process that a test started is still there at the end.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
export BUILD=${BUILD:-build}
WORKERS=${WORKERS:-3}           # pytest processes; the stacks mostly wait, so more than the cores
runner=()
passed=0 failed=0 skipped=0

# Everything started from here on carries this in its environment, PostgreSQL's processes excepted,
# which are children of one that does.
PARLEY_TEST_RUN=$$-$(date +%s)
export PARLEY_TEST_RUN
report=$(mktemp -d)
trap 'rm -rf "$report"' EXIT

# A cmocka program prints one line a test; a crash prints none, and counts as one failure.
run_unit() {
    local name=${1##*/} log=$report/unit.log status=0 ok bad
    timeout 300 "${runner[@]}" "$1" >"$log" 2>&1 || status=$?
    ok=$(grep -c '^\[       OK \]' "$log")
    bad=$(sed -n 's/^\[  FAILED  \] \([0-9]\+\) test.*/\1/p' "$log" | tail -n 1)
    [ $status -eq 0 ] || [ "${bad:-0}" -gt 0 ] || bad=1
    passed=$((passed + ok)) failed=$((failed + ${bad:-0}))
    printf 'unit %-24s %3d passed%s\n' "$name" "$ok" "${bad:+, $bad FAILED (exit $status)}"
    [ -z "$bad" ] || cat "$log"
}

# attribute NAME: one of the figures of pytest's JUnit file, 0 when there is none.
attribute() {
    local value
    value=$(grep -o '<testsuite [^>]*' "$report/junit.xml" 2>/dev/null | grep -o " $1=\"[0-9]*" | tr -dc 0-9)
    echo "${value:-0}"
}

run_stack_tests() {
    local status=0 errors bad
    /usr/bin/python3 -m pytest "${@:-tests}" -q -n "$WORKERS" --junitxml="$report/junit.xml" || status=$?
    errors=$(attribute errors) bad=$(attribute failures)
    skipped=$(attribute skipped)
    passed=$((passed + $(attribute tests) - errors - bad - skipped))
    [ $((errors + bad)) -gt 0 ] || [ $status -eq 0 ] || bad=1
    failed=$((failed + errors + bad))
}

# The processes the tests started that are still there; they get a moment to end.
leftovers() {
    local try found=
    for ((try = 0; try < 50; try++)); do
        found=$(env -u PARLEY_TEST_RUN grep -lzsx "PARLEY_TEST_RUN=$PARLEY_TEST_RUN" /proc/[0-9]*/environ)
        [ -n "$found" ] || return 0
        sleep 0.1
    done
    local file pid
    for file in $found; do
        pid=${file//[^0-9]/}
        echo "left over: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)"
        kill -KILL "$pid" 2>/dev/null
    done
    failed=$((failed + 1))
}

if [ -n "${VALGRIND:-}" ]; then
    export VALGRIND=$PWD/tests/valgrind.supp
    WORKERS=1
    export PYTEST_TIMEOUT=3600
    runner=(valgrind -q --leak-check=full --show-leak-kinds=definite --error-exitcode=9
        --suppressions="$VALGRIND")
    [ $# -gt 0 ] || set -- tests/test_dm_socket.py tests/test_conv_socket.py tests/test_p2p_socket.py \
        tests/test_rooms_socket.py tests/test_groups_socket.py
fi
for program in "$BUILD"/unit/*; do
    [ ! -f "$program" ] || run_unit "$program"
done
[ -z "$(find tests -name 'test_*.py')" ] || run_stack_tests "$@"
leftovers

echo
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ] && [ $passed -gt 0 ]
