#!/bin/bash
# Runs fuzz targets one after the other, each FUZZ_S seconds, from the seeds in tests/fuzz/corpus/ and from
# whatever earlier runs found worth keeping (build-fuzz/corpus/). Prints a table. An input that made a
# target fail is left in build-fuzz/found/; mend the fault, then move it to tests/fuzz/corpus/<target>/,
# where `make test` replays it from then on.
# `make fuzz` has built everything. Usage: tests/fuzz/run.sh TARGET...
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
FUZZ_S=${FUZZ_S:-30}
build=build-fuzz failed=0
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}
mkdir -p $build/found

echo "libFuzzer, $FUZZ_S s each, ASan and UBSan"
printf '%-14s %11s %9s %7s %7s %9s %s\n' target executions 'per s' edges inputs 'peak MB' result
for target in "$@"; do
    log=$build/$target.log kept=$build/corpus/$target result=ok
    mkdir -p "$kept"
    $build/fuzz/"$target" -max_total_time="$FUZZ_S" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -dict=tests/fuzz/words.dict \
        -artifact_prefix=$build/found/"$target"- -print_final_stats=1 "$kept" tests/fuzz/corpus/"$target" >"$log" 2>&1 || {
        result="FAILED: $build/$target.log"
        failed=$((failed + 1))
    }
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    last=$(grep -E '^#[0-9]+.* cov: ' "$log" | tail -n 1)
    printf '%-14s %11s %9s %7s %7s %9s %s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
        "$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' <<<"$last")" "$(sed -n 's/.* corp: \([0-9]*\).*/\1/p' <<<"$last")" \
        "$(stat peak_rss_mb)" "$result"
done
[ $failed -eq 0 ]
