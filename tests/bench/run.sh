#!/bin/sh
# `make bench`: builds the benchmark's own programs and runs it. Arguments: see bench.py --help.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
BUILD=${BUILD:-build}
case $BUILD in /*) out=$BUILD ;; *) out=$top/$BUILD ;; esac
export BUILD BENCH_PROGRAMS="$out/bench"
# A make of its own: the caller's flags (SAN=1, -n, -j) are not meant for these programs.
env -u MAKEFLAGS -u MAKEOVERRIDES make -s -C "$here" OUT="$BENCH_PROGRAMS"
exec /usr/bin/python3 "$here/bench.py" "$@"
