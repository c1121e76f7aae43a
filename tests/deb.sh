#!/bin/bash
# The Debian package as an administrator meets it, on a fresh Debian 12 that is really booted (debootstrap,
# systemd-nspawn): installed with its defaults, used, upgraded under traffic, purged. Behind `make deb-test`; needs
# root and a network, and takes some minutes. Says what it saw, one line a check; fails with the first that fails.
#
# Usage: tests/deb.sh PACKAGE.deb       DEB_BASE=DIR keeps the fresh Debian in DIR for the next time
set -euo pipefail
cd "$(dirname "$0")/.."
package=$(realpath "$1")
work=$(mktemp -d /var/tmp/parley-deb-XXXXXX)
base=${DEB_BASE:-$work/base}
root=$work/root

cleanup() {
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf --one-file-system "$work"; fi
}
trap cleanup EXIT

say() { echo "deb-test: $*"; }

# ---- a fresh Debian, as small as one that boots can be

if [ ! -e "$base/etc/debian_version" ]; then
    say "making a fresh Debian 12"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,curl bookworm "$base" >"$work/debootstrap.log" 2>&1 ||
        { tail "$work/debootstrap.log"; exit 1; }
fi
cp -a --reflink=auto "$base" "$root"

# ---- the package, and the same once more as a later version

mkdir "$root/test"
version=$(dpkg-deb -f "$package" Version)
cp "$package" "$root/test/first.deb"
dpkg-deb -R "$package" "$work/later"
sed -i "s/^Version: .*/Version: $version+later1/" "$work/later/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/later" "$root/test/later.deb" >/dev/null

# What it depends on and recommends is fetched here, as the machine has no network once it runs.
say "fetching what it depends on and recommends"
cp /etc/resolv.conf "$root/etc/resolv.conf"
chroot "$root" sh -c 'apt-get -q update && apt-get -qy --download-only install /test/first.deb systemd-sysv' >"$work/fetch.log" 2>&1 ||
    { tail "$work/fetch.log"; exit 1; }

# ---- the machine boots, does tests/deb-inside.sh and powers off

install -m 755 tests/deb-inside.sh "$root/test/inside"
cat >"$root/etc/systemd/system/deb-test.service" <<EOF
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
ln -s ../deb-test.service "$root/etc/systemd/system/default.target.wants/deb-test.service" 2>/dev/null || {
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s ../deb-test.service "$root/etc/systemd/system/multi-user.target.wants/deb-test.service"
}
say "booting it"
touch "$root/test/output"
tail -f "$root/test/output" &
follow=$!
timeout 600 systemd-nspawn -q -D "$root" --register=no --keep-unit --private-network --resolv-conf=off -b \
    </dev/null >"$work/console.log" 2>&1 || true
sleep 1
kill $follow
if [ "$(tail -n 1 "$root/test/output")" != "all well" ]; then
    tail -n 20 "$work/console.log"
    exit 1
fi
