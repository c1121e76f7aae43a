#!/bin/bash
# The Debian package as an administrator meets it, on a fresh Debian 12 that is really booted (debootstrap,
# systemd-nspawn). Behind `make deb-test`; needs root and a network, and takes some minutes.
#   tests/deb-inside.sh: an older package is installed with its defaults and used, upgraded to PACKAGE under traffic,
#                        removed and purged. The older one is built from the last commit without the newest
#                        migration, so that the upgrade really migrates.
#   tests/walk.sh:       PACKAGE and nothing else, and everything its documents say, tried as its users would.
# Each says what it saw, and fails with the first thing that is not as it should be.
#
# Usage: tests/deb.sh PACKAGE.deb [deb-inside|walk]...    DEB_BASE=DIR keeps the fresh Debian in DIR for the next
#        time, OLD=COMMIT upgrades from another one, KEEP=1 leaves the machines behind
set -euo pipefail
cd "$(dirname "$0")/.."
package=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- deb-inside walk
work=$(mktemp -d /var/tmp/parley-deb-XXXXXX)
base=${DEB_BASE:-$work/base}
follow=

cleanup() {
    [ -z "$follow" ] || kill "$follow" 2>/dev/null || true
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf --one-file-system "$work"; fi
}
trap cleanup EXIT

say() { echo "deb-test: $*"; }

# quietly LOG COMMAND...: what it says is of interest when it fails.
quietly() {
    local log=$work/$1
    shift
    "$@" >"$log" 2>&1 || { tail "$log"; exit 1; }
}

# ---- the package that is upgraded from: $work/old.deb

# The last commit without the newest migration, whatever that was called meanwhile.
before_newest() {
    local files=(db/[0-9]*.sql) number commit
    number=$(basename "${files[-1]}" | cut -d _ -f 1)
    for commit in $(git log --format=%H -- db); do
        git ls-tree --name-only "$commit" db/ | grep -q "^db/${number}_" || break
    done
    echo "$commit"
}

build_old() {
    local old tree=$work/old/parley
    old=${OLD:-$(before_newest)}
    say "building the package of $(git log -1 --format='%h, "%s"' "$old")"
    mkdir -p "$tree"
    git archive "$old" | tar -x -C "$tree"
    cp -r "$tree/ctl/debian" "$tree/debian"
    sed -i '1s/(.*)/(0.0.1~before)/' "$tree/debian/changelog"
    quietly build.log bash -c 'cd "$1" && dpkg-buildpackage --build=binary --unsigned-changes' - "$tree"
    mv "$work"/old/parley_*.deb "$work/old.deb"
    rm -r "$work/old"
}

# ---- a fresh Debian, as small as one that boots can be

make_base() {
    say "making a fresh Debian 12"
    quietly debootstrap.log debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,curl bookworm "$base"
}

# ---- machine NAME [PACKAGE…]: boots, does tests/NAME.sh and powers off. It has no network then, so what it wants is
# fetched before: what Parley depends on and recommends, and these besides.

machine() {
    local root=$work/$1
    cp -a --reflink=auto "$base" "$root"
    mkdir "$root/test"
    cp "$package" "$root/test/parley.deb"
    [ ! -e "$work/old.deb" ] || cp "$work/old.deb" "$root/test/old.deb"
    say "fetching what it depends on and recommends"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    quietly fetch.log chroot "$root" sh -c 'apt-get -q update && apt-get -qy --download-only install /test/parley.deb nginx systemd-sysv'
    [ $# = 1 ] || quietly fetch.log chroot "$root" apt-get -qy --download-only --no-install-recommends install "${@:2}"
    install -m 755 "tests/$1.sh" "$root/test/inside"
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    cat >"$root/etc/systemd/system/deb-test.service" <<-EOF
	[Unit]
	After=multi-user.target
	SuccessAction=poweroff-force
	FailureAction=poweroff-force
	[Service]
	Type=exec
	ExecStart=/test/inside
	StandardOutput=file:/test/output
	StandardError=file:/test/output
	EOF
    ln -s ../deb-test.service "$root/etc/systemd/system/multi-user.target.wants/deb-test.service"
    say "booting it for tests/$1.sh"
    touch "$root/test/output"
    tail -f "$root/test/output" &
    follow=$!
    timeout 900 systemd-nspawn -q -D "$root" -M "parley-test-$$" --register=no --keep-unit --private-network --resolv-conf=off -b \
        </dev/null >"$work/console.log" 2>&1 || true
    sleep 1
    kill $follow
    follow=
    [ "$(tail -n 1 "$root/test/output")" = "all well" ] || { tail -n 20 "$work/console.log"; exit 1; }
    [ -n "${KEEP:-}" ] || rm -rf --one-file-system "$root"
}

[ -e "$base/etc/debian_version" ] || make_base
for name; do
    case $name in
    deb-inside) build_old; machine deb-inside ;;
    walk) machine walk jq cron apache2 php-fpm python3 ;;
    *) say "there is no test $name"; exit 64 ;;
    esac
done
