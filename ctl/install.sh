#!/bin/bash
# Installs with apt what a task needs and this machine lacks, asking nothing and starting nothing.
# Usage: ctl/install.sh [build] [run] [test] [format] [deb] [deb_test] [fuzz] [analyze] [valgrind]
set -euo pipefail

# The tasks; wanted() finds them by name.
# shellcheck disable=SC2034
{
build="gcc make pkg-config libc6-dev libcrypt-dev libcurl4-openssl-dev libev-dev libfcgi-dev
       libjson-c-dev libjwt-dev libpq-dev libssl-dev libwebsockets-dev uthash-dev"
run="curl libwebsockets-evlib-ev s6"
test="apache2-bin jq libcmocka-dev mandoc php8.2-fpm prometheus python3-aiosmtpd python3-jsonschema python3-psycopg2
      python3-pytest python3-pytest-timeout python3-pytest-xdist python3-requests python3-websocket python3-yaml"
format="clang-format"
deb="debhelper dpkg-dev fakeroot lintian"
deb_test="debootstrap systemd-container"
fuzz="clang libclang-rt-14-dev"
analyze="clang-tidy cppcheck"
valgrind="valgrind"
}

SUDO=
[ "$(id -u)" = 0 ] || SUDO=sudo

wanted() {
    for task in "$@"; do
        echo "${!task}"
        [ "$task" = run ] || continue
        # Any nginx and any PostgreSQL that is there already will do.
        [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || echo nginx-light
        if [ -n "${DATABASE_URL:-}" ]; then
            command -v psql >/dev/null || echo postgresql-client
        else
            compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
        fi
    done
}

missing() {
    local have
    have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
    wanted "$@" | tr -s ' ' '\n' | sort -u | grep -vxF "$have" || true
}

# Debian starts a service when its package is installed and creates a PostgreSQL cluster. Parley runs
# its own, so both are told not to, for as long as this takes. Files that are there stay untouched.
hold_services() {
    local policy=/usr/sbin/policy-rc.d cluster=/etc/postgresql-common/createcluster.d/parley.conf
    made=()
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $SUDO install -m 755 /dev/stdin $policy
        made+=("$policy")
    fi
    if [ ! -e $cluster ]; then
        echo 'create_main_cluster = false' | $SUDO install -D -m 644 /dev/stdin $cluster
        made+=("$cluster")
    fi
    trap '$SUDO rm -f "${made[@]}"' EXIT
}

apt() {
    local log
    log=$(mktemp)
    $SUDO env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "parley: apt-get $1 failed; see above" >&2
        rm -f "$log"
        return 1
    }
    rm -f "$log"
}

packages=$(missing "$@" | paste -sd ' ')
[ -n "$packages" ] || exit 0
if [ -n "$SUDO" ] && ! command -v sudo >/dev/null; then
    echo "parley: as root, please: apt-get install $packages" >&2
    exit 1
fi
echo "parley: installing with apt: $packages"
hold_services
apt update
# shellcheck disable=SC2086  # a list of words
apt install --no-install-recommends $packages
# The tests start it themselves, on a socket of their own; nobody wants it after the next boot.
case " $packages " in
*" php8.2-fpm "*) $SUDO systemctl disable php8.2-fpm.service >/dev/null 2>&1 || true ;;
esac
