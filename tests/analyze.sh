#!/bin/bash
# Static analysis of the programs with gcc -fanalyzer, clang-tidy and cppcheck; `make analyze` has installed
# them. Fails when one has something to say. The policy, and what is asked of clang-tidy, is in .clang-tidy;
# what the other two are not asked stands here, with the reason.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
BUILD=${BUILD:-build}
read -ra flags <<<"-std=gnu11 -I. -I$BUILD/gen -D_GNU_SOURCE $(pkg-config --cflags json-c libjwt libpq libwebsockets)"
files=(shared/*.c fcgi-app/*.c ws-daemon/*.c courier/*.c ctl/*.c)
failed=0

# report NAME FILE: the lines in FILE are findings.
report() {
    local count
    count=$(grep -cE ': (warning|error|performance|portability):' "$2")
    printf '%-16s %3d findings in %d files\n' "$1" "$count" ${#files[@]}
    [ ! -s "$2" ] || { cat "$2"; failed=1; }
}

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# malloc-leak: memory that is reached through a parameter's member counts as lost (gcc 12). LeakSanitizer
# (make test SAN=1) and valgrind (make test VALGRIND=1) find what really leaks.
for file in "${files[@]}"; do
    gcc "${flags[@]}" -O2 -Wall -Wextra -fanalyzer -Wno-analyzer-malloc-leak -c -o /dev/null "$file"
done >"$out/gcc" 2>&1
report 'gcc -fanalyzer' "$out/gcc"

printf '%s\0' "${files[@]}" |
    xargs -0 -n 8 -P "$(nproc)" sh -c 'clang-tidy --quiet "$@" -- '"${flags[*]}"' 2>/dev/null' sh >"$out/tidy"
report clang-tidy "$out/tidy"

# The hash and list macros are looked at where they are used; their own headers are not ours.
# readdirCalled: asks for readdir_r, which POSIX has made obsolescent in favour of readdir; every program has
# one thread.
cppcheck -q -j "$(nproc)" --enable=warning,performance,portability --inline-suppr --std=c11 \
    -D_GNU_SOURCE -D__cppcheck__ -I. -I"$BUILD/gen" --library=posix --library=gnu \
    --include=/usr/include/uthash.h --include=/usr/include/utlist.h --suppress='*:/usr/include/*' \
    --suppress=readdirCalled \
    --template='{file}:{line}: {severity}: {message} [{id}]' "${files[@]}" >"$out/cppcheck" 2>&1
report cppcheck "$out/cppcheck"
exit $failed
