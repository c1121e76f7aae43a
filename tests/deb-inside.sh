#!/bin/bash
# What tests/deb.sh does inside its machine: one line a check, "all well" at the end.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8
URL=http://127.0.0.1
cd /test

check() {       # check WHAT COMMAND...
    local what=$1
    shift
    if "$@" >/test/last 2>&1; then
        echo "ok    $what"
    else
        echo "WRONG $what"
        sed 's/^/      /' /test/last | tail -n 25
        journalctl -n 30 -q --no-pager 2>/dev/null | sed 's/^/      /' || true
        exit 1
    fi
}

as_parley() { runuser -u parley -- psql -XAtqc "$1" parley; }
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }
install_package() { apt-get -qy -o Dpkg::Use-Pty=0 install "$1"; }

has_mode() { [ "$(stat -c '%a %U:%G' "$1")" = "$2" ]; }
units() { systemctl list-unit-files 'parley*' --no-legend --plain | cut -d ' ' -f 1; }
running() { systemctl is-active parley.target parley-api parley-auth parley-ws@1 parley-courier; }
soon() { for _ in {1..100}; do ! "$@" || return 0; sleep 0.1; done; return 1; }

# ---- installed, with the defaults

check "installs with its defaults" install_package ./old.deb
grep -E '^(migrate:|parley:)' last | sed 's/^/      /' || true
check "made its user" id parley
check "its settings are closed to others" has_mode /etc/parley/parley.env "640 root:parley"
check "uses the local PostgreSQL as its own user" grep "^DATABASE_URL=.*dbname='parley' user='parley'" /etc/parley/parley.env
check "the schema is there" as_parley 'SELECT max(version) FROM schema_migrations'
check "all of it runs" soon running
check "starts with the machine" systemctl is-enabled parley.target
for port in 9461 9462 9463 9471; do
    check "says at port $port that it is ready" soon curl -sf "http://127.0.0.1:$port/readyz"
done

# ---- behind the nginx that came with it

cat >/etc/nginx/sites-available/default <<'EOF'
server {
    listen 80 default_server;
    root /var/www/html;
    include snippets/parley.conf;
    location / {
        try_files $uri $uri/ =404;
    }
}
EOF
# As README.Debian says for more than a few hundred sockets.
sed -i -e '/^events/i worker_rlimit_nofile 20000;' -e 's/worker_connections .*/worker_connections 8192;/' /etc/nginx/nginx.conf
check "nginx takes the snippet" nginx -t
check "nginx runs" systemctl restart nginx

answers() { [ "$(curl -s -o /dev/null -w '%{http_code}' $URL/api/v1/users/me)" = 401 ]; }
check "and reaches a worker" soon answers

register() {
    curl -sf "$URL/api/v1/auth/register" --json "{\"username\": \"$1\", \"email\": \"$1@example.org\", \"password\": \"correct horse\"}" >"$1.json"
}
check "alice has an account" register alice
check "bob has an account" register bob
ALICE=$(field access_token <alice.json)
BOB_ID=$(sed -n 's/.*"user": *{"id": *"\([^"]*\)".*/\1/p' bob.json)
[ -n "$BOB_ID" ] || BOB_ID=$(field id <bob.json)
send() {
    curl -sf -m 20 -o sent -H "Authorization: Bearer $ALICE" "$URL/api/v1/messages/dm" -d "recipient_id=$BOB_ID" --data-urlencode "content=$1"
}
stored() { as_parley "SELECT count(*) FROM messages WHERE content LIKE '$1'"; }
check "a message goes through" send "the first"
check "and is stored once" test "$(stored 'the first')" = 1
socket() {      # what Alice's socket gets in three seconds
    { curl -s -N -m 3 -H "Authorization: Bearer $ALICE" -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
        -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: UGFybGV5IHNheXMgaGkhIQ==' "$URL/ws/chat" || true; } | grep -a "$1"
}
socket "on the socket" >frame & listener=$!
sleep 1
check "another goes through" send "on the socket"
check "a socket gets it" wait $listener
check "parleyctl finds its settings" parleyctl config check
check "the doctor finds nothing" parleyctl doctor $URL
sed 's/^/      /' last

# ---- upgraded while people talk

talk() {        # until told otherwise; what was answered with 201 is acknowledged
    local n=0
    : >acknowledged
    : >refused
    while [ ! -e enough ]; do
        n=$((n + 1))
        if send "upgrade $n"; then echo "upgrade $n" >>acknowledged; else echo "$n $?" >>refused; fi
    done
}
poll() { curl -sf -m 20 -D polled -H "Authorization: Bearer $ALICE" -H 'Accept: text/plain' "$URL/api/v1/events?type=message&$1"; }
cursor() { sed -n 's/^x-next-cursor: *\([^[:space:]]*\).*/\1/Ip' polled; }
hear() {        # the same, by long polls from cursor $1 on, until all of it was told
    local at=$1
    : >heard
    until [ -e heard_enough ]; do
        if poll "wait=2&after=$at" >page; then
            cut -f 7 page >>heard
            at=$(cursor)
        else
            sleep 0.2
        fi
    done
}
schema() { as_parley "SELECT string_agg(left(name, 4), ' ' ORDER BY version) FROM schema_migrations"; }
everything_was_heard() { diff <(sort acknowledged) <(sort heard) >missed; }

check "who asks for events gets a cursor" poll wait=0
hear "$(cursor)" & hearer=$!
talk & talker=$!
sleep 1
before=$(systemctl show -P MainPID parley-api)
old_schema=$(schema)
said_before=$(wc -l <acknowledged)
check "upgrades to this version" install_package ./parley.deb
grep '^migrate:' last | sed 's/^/      /' || true
said_until=$(wc -l <acknowledged)
sleep 2
touch enough
wait $talker
check "this version is installed" bash -c "dpkg-query -W -f '\${Version}' parley | grep -v before"
check "the upgrade migrated the database" test "$(schema | wc -w)" -gt "$(wc -w <<<"$old_schema")"
echo "      from $old_schema to $(schema)"
check "its programs were restarted" test "$(systemctl show -P MainPID parley-api)" != "$before"
check "all of it runs" soon running
echo "      $(wc -l <acknowledged) messages acknowledged ($((said_until - said_before)) of them while it was upgraded), $(wc -l <refused) refused: $(tr '\n' ' ' <refused)"
check "people talked while it was upgraded" test $((said_until - said_before)) -gt 20
check "every acknowledged message is there" test "$(stored 'upgrade %')" -ge "$(wc -l <acknowledged)"
check "none of them twice" test "$(as_parley "SELECT count(*) - count(DISTINCT content) FROM messages")" = 0
check "no request was refused" test ! -s refused
soon everything_was_heard || head missed
check "who polls was told each of them, once" test ! -s missed
touch heard_enough
wait $hearer
check "its units are valid" bash -c 'systemd-analyze verify --man=no $(systemctl list-unit-files "parley*" --no-legend --plain | cut -d " " -f 1 | sed "s/@\./@1./") 2>&1 | grep -v "nothing to do" | tee /dev/stderr | (! grep parley)'
for service in parley-api parley-auth parley-ws@1 parley-courier; do
    echo "      $(systemd-analyze security --no-pager $service.service 2>/dev/null | tail -n 1 | sed 's/^[^O]*//')"
done

# ---- kept by a removal, gone with a purge

check "is removed" apt-get -qy remove parley
check "its settings stay" test -e /etc/parley/parley.env
check "its data stay" test "$(runuser -u postgres -- psql -XAtqc 'SELECT count(*) FROM messages' parley)" -gt 2
check "is installed again" install_package ./parley.deb
check "and runs" soon running
check "with its data" test "$(stored 'the first')" = 1
echo 'parley parley/purge boolean true' | debconf-set-selections
echo 'parley parley/dbconfig-remove boolean true' | debconf-set-selections
check "is purged" apt-get -qy purge parley
check "its database is gone" test "$(runuser -u postgres -- psql -XAtqc "SELECT count(*) FROM pg_database WHERE datname = 'parley'" postgres)" = 0
left() {
    find / -xdev \( -path /proc -o -path /sys -o -path /test -o -path /tmp -o -path /var/cache/apt -o -path /var/log -o -path /run \) -prune \
        -o -iname '*parley*' -print
    find /run /var/log -maxdepth 2 -iname '*parley*' ! -name '*.log'
}
left >leftovers
check "and so is every file" test ! -s leftovers || cat leftovers
sed -i '/parley/d' /etc/nginx/sites-available/default
check "nginx goes on without it" nginx -t
echo "all well"
