#!/bin/bash
# One whole Parley on this machine: PostgreSQL, nginx, both pools, daemons and the courier, under s6.
# Behind `make run|start|upgrade|stop|status`, and the tests' way to a stack of their own.
#
# Usage: ctl/stack.sh setup|run|start|upgrade|stop|status|tour       Settings, by environment:
#   VAR=var                state directory: bin/ conf/ data/ keys/ log/ run/ service/
#   ADDRESS=127.0.0.1      where nginx listens,
#   PORT=8080              and on which port
#   DATABASE_URL           an existing PostgreSQL instead of a private cluster
#   BUILD=build            where the programs were built
#   DAEMONS=1  API_WORKERS=4  AUTH_WORKERS=2
#   METRICS_PORT=9461      first of the ports on 127.0.0.1 where services answer /metrics, /healthz and
#                          /readyz: api +0, auth +1, courier +2, the n-th daemon +9+n; 0, or where one
#                          of them is taken: unix sockets $VAR/run/NAME.stat instead
#   AUTH_RATE WRITE_RATE ADDRESS_RATE   other limit_req rates than nginx.conf's, e.g. 100r/s
#   PARLEY_SET_<NAME>      becomes NAME=value in $VAR/conf/parley.env
#   PARLEY_SKIP_SETUP=1    neither install nor build
#   PARLEY_TEST=1          a cluster that nobody will miss: created without waiting for the disk
#
# As root, everything but nginx's master runs as www-data; otherwise all of it as the caller.
set -euo pipefail
TOP=$(cd "$(dirname "$0")/.." && pwd)
PATH=$PATH:/usr/sbin:/sbin
VAR=${VAR:-var}
ADDRESS=${ADDRESS:-127.0.0.1}
PORT=${PORT:-8080}
BUILD=${BUILD:-build}
DAEMONS=${DAEMONS:-1}
RUN_USER=$(id -un)
AS=()                       # runs a command as the user of the services
if [ "$(id -u)" = 0 ]; then
    RUN_USER=www-data
    AS=(s6-setuidgid www-data)
fi
CORS_DEFAULT=localhost      # CORS_ORIGINS under make run, unless set
START_S=60                  # a start that takes longer has failed

say() { echo "parley: $*"; }

die() {
    echo "parley: $*" >&2
    exit 1
}

# bash would take a word for a variable's name.
for name in PORT DAEMONS API_WORKERS AUTH_WORKERS METRICS_PORT; do
    [[ ${!name:-1} =~ ^(0|[1-9][0-9]{0,4})$ ]] || die "$name has to be a whole number, not \"${!name}\""
done
[ "$PORT" -ge 1 ] && [ "$PORT" -le 65535 ] || die "PORT has to be from 1 to 65535, not $PORT"

# ---------------------------------------------------------------- before the first service

setup() {
    [ -z "${PARLEY_SKIP_SETUP:-}" ] || return 0
    "$TOP/ctl/install.sh" build run
    say "building"
    make -s -C "$TOP" -j"$(nproc)" all
}

# The path of the state directory as everything names it from here on.
locate_var() {
    [[ $VAR = /* ]] || VAR=$PWD/$VAR
    VAR=$(realpath -m "$VAR")
    [[ $VAR =~ ^[A-Za-z0-9/._+-]+$ ]] || die "VAR is $VAR: only letters, digits and / . _ + - please"
    # sockaddr_un has room for 107 characters; PostgreSQL's socket has the longest name.
    [ $((${#VAR} + 23)) -le 107 ] || die "VAR is too long for a unix socket's path (at most 84 characters): $VAR"
}

# A clone in /root is closed to www-data: the state then goes to /var/lib, and VAR points there.
make_var() {
    mkdir -p "$VAR"
    [ ${#AS[@]} -gt 0 ] || return 0
    ! "${AS[@]}" test -x "$VAR" || return 0
    local open
    open=/var/lib/parley-$(cksum <<<"$VAR" | cut -d ' ' -f 1)
    rmdir "$VAR" 2>/dev/null || die "$RUN_USER cannot reach $VAR: move it, or open the way to it"
    mkdir -p "$open"
    ln -s "$open" "$VAR"
    say "$RUN_USER cannot reach $VAR, so the state lives in $open"
    VAR=$open
    "${AS[@]}" test -x "$VAR" || die "$RUN_USER cannot reach $VAR either"
}

# The parts of the state directory; only what the services write to is theirs.
lay_out() {
    rm -rf "${VAR:?}"/{bin,run,service}    # a crashed machine's leavings among them
    mkdir -p "$VAR"/{bin,conf,service}
    install -d -m 700 "$VAR/log"            # addresses, and links to reset a password where no mail is sent
    install -d -m 700 -o "$RUN_USER" "$VAR"/{run,keys}
    install_programs
}

# Those that run go on with what they are.
install_programs() {
    install -m 755 "$TOP/ctl/service.sh" "$VAR/bin/service"
    install -m 755 "$TOP/ctl/finish.sh" "$VAR/bin/finish"
    local program
    for program in fcgi-app ws-daemon courier; do
        [ -x "$TOP/$BUILD/$program" ] || die "$BUILD/$program is missing: run make"
        install -m 755 "$TOP/$BUILD/$program" "$VAR/bin/"
    done
}

# ---------------------------------------------------------------- PostgreSQL

# The programs of the version the data has, or of the newest there is.
find_postgres() {
    local version
    version=$(cat "$VAR/data/PG_VERSION" 2>/dev/null || find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf "%f\n" | sort -n | tail -n 1)
    PG_BIN=/usr/lib/postgresql/$version/bin
    [ -x "$PG_BIN/postgres" ] || die "PostgreSQL ${version:-} is not installed"
}

# initdb works beside the final place, so that an interrupted one does not look finished.
create_cluster() {
    [ ! -e "$VAR/data/PG_VERSION" ] || return 0
    say "creating a PostgreSQL cluster in $VAR/data"
    rm -rf "$VAR/data" "$VAR/data.new"
    install -d -m 700 -o "$RUN_USER" "$VAR/data.new"
    (cd / && "${AS[@]}" "$PG_BIN/initdb" -D "$VAR/data.new" -E UTF8 --locale=C.UTF-8 -A peer \
        ${PARLEY_TEST:+--no-sync} >"$VAR/log/initdb.log" 2>&1) || die_with_log initdb "initdb failed"
    mv "$VAR/data.new" "$VAR/data"
}

configure_postgres() {
    # What the services open: one connection a worker, four a daemon, two the courier, and each pool,
    # daemon and courier one when its state is asked for. In an upgrade nothing runs twice, so half as many
    # again and twenty is room for whoever else has business here.
    local needed=$((${API_WORKERS:-4} + ${AUTH_WORKERS:-2} + 5 * DAEMONS + 5))
    local most=$((needed * 3 / 2 + 20))
    cat >"$VAR/conf/postgresql.conf" <<-EOF
	# Written by ctl/stack.sh at every start.
	hba_file = '$VAR/conf/pg_hba.conf'
	ident_file = '$VAR/conf/pg_ident.conf'
	external_pid_file = '$VAR/run/postmaster.pid'
	listen_addresses = ''                       # only the unix socket below
	unix_socket_directories = '$VAR/run'
	unix_socket_permissions = 0700
	max_connections = $((most > 100 ? most : 100))   # $needed of them for Parley
	shared_buffers = 64MB
	synchronous_commit = on                     # an acknowledged send is on disk
	jit = off                                   # every statement is short
	timezone = 'UTC'
	log_timezone = 'UTC'
	log_line_prefix = '%m [%p] %u '
	log_checkpoints = off
	log_error_verbosity = terse                 # DETAIL would put e-mail addresses into the log
	EOF
    # The socket lets in the services' user, and root for the administrator and the tests.
    echo 'local all all peer map=parley' >"$VAR/conf/pg_hba.conf"
    printf 'parley %s %s\n' "$RUN_USER" "$RUN_USER" root "$RUN_USER" >"$VAR/conf/pg_ident.conf"
}

create_database() {
    export PGHOST=$VAR/run PGUSER=$RUN_USER PGDATABASE=postgres
    psql -Xqc 'SELECT 1 FROM pg_database WHERE datname = $$parley$$' -At | grep -q 1 ||
        psql -Xqc 'CREATE DATABASE parley'
    unset PGHOST PGUSER PGDATABASE
}

# ---------------------------------------------------------------- configuration

# The secrets' file: the programs get its name as an argument and read it themselves.
configure_programs() {
    local file=$VAR/conf/parley.env name
    rm -f "$file"
    install -m 600 -o "$RUN_USER" /dev/null "$file"
    {
        echo "DATABASE_URL=$DATABASE_URL"
        [ -n "${PARLEY_SET_KEY_FILE+set}" ] || echo "KEY_FILE=$VAR/keys/jwt.keys"
        [ -n "${PARLEY_SET_CORS_ORIGINS+set}" ] || echo "CORS_ORIGINS=$CORS_DEFAULT"
        [ -n "${PARLEY_SET_PUBLIC_URL+set}" ] || echo "PUBLIC_URL=http://$PROBE:$PORT"
        for name in "${!PARLEY_SET_@}"; do
            echo "${name#PARLEY_SET_}=${!name}"
        done
    } >"$file"
}

# Adds CORS_ORIGINS to $origins, as lines of nginx's map for sed: no # & or backslash in them.
nginx_origins() {
    local origin list line='\n        %s $http_origin;'
    IFS=', ' read -ra list <<<"${PARLEY_SET_CORS_ORIGINS-$CORS_DEFAULT}"
    for origin in "${list[@]}"; do
        case $origin in
        \*) origins+=${line/\%s/"'~.'"} ;;
        localhost) origins+=${line/\%s/"'~^https?://(?:localhost|127[.]0[.]0[.]1|[[]::1])(?::[0-9]+)?$'"} ;;
        *[!][A-Za-z0-9.:/_-]*) die "CORS_ORIGINS: $origin is no origin" ;;
        *) origins+=${line/\%s/"'$origin'"} ;;
        esac
    done
}

# nginx.conf as it stands in the checkout, with this instance's paths, port, user, limits and daemons.
configure_nginx() {
    local edits=(-e "s|/run/parley|$VAR/run|g" -e "s|/var/log/parley|$VAR/log|g"
        -e "s|127\.0\.0\.1:8080|$ADDRESS:$PORT|")
    local files number
    files=$(ulimit -n)
    [ "$files" = unlimited ] || [ "$files" -ge 20000 ] || edits+=(-e "s|20000;|$files;|")
    [ "$RUN_USER" = www-data ] || edits+=(-e 's|^user |# user |')
    [ -z "${AUTH_RATE:-}" ] || edits+=(-e "s|rate=5r/s|rate=$AUTH_RATE|")
    [ -z "${WRITE_RATE:-}" ] || edits+=(-e "s|rate=50r/s|rate=$WRITE_RATE|")
    [ -z "${ADDRESS_RATE:-}" ] || edits+=(-e "s|rate=1000r/s|rate=$ADDRESS_RATE|")
    local origins=
    nginx_origins
    edits+=(-e "s#^ *\# CORS_ORIGINS,.*#&$origins#")
    for ((number = DAEMONS; number > 1; number--)); do
        edits+=(-e "/^ *server unix:.*ws\.sock/{p;s|ws\.sock|ws-$number.sock|}")
    done
    sed "${edits[@]}" "$TOP/nginx.conf" >"$VAR/conf/nginx.conf"
}

# ---------------------------------------------------------------- metrics

# Sets METRICS_PORT. Only who asked for certain ports insists on them; of others that start at the same
# moment, one waits until the first one's services stand (8 is unlocked then).
choose_metrics_port() {
    exec 8</
    [ -n "${METRICS_PORT:-}" ] || flock 8
    local first=${METRICS_PORT:-9461} offset
    for offset in 0 1 2 $(seq 10 $((9 + DAEMONS))); do
        [ "$first" != 0 ] && (exec 3<>"/dev/tcp/127.0.0.1/$((first + offset))") 2>/dev/null || continue
        [ -z "${METRICS_PORT:-}" ] || die "port $((first + offset)) is taken; choose others: METRICS_PORT=$((first + 100))"
        say "port $((first + offset)) is taken, so metrics are at unix sockets, $VAR/run/*.stat"
        first=0
    done
    METRICS_PORT=$first
}

# ---------------------------------------------------------------- s6

# Each service is a directory: how to run it, how to end it and how long that may take.
# add_service NAME SIGNAL MILLISECONDS
add_service() {
    mkdir -p "$VAR/service/$1/data"
    ln -s ../../bin/service "$VAR/service/$1/run"
    ln -s ../../bin/finish "$VAR/service/$1/finish"
    echo "$2" >"$VAR/service/$1/down-signal"
    echo "$3" >"$VAR/service/$1/timeout-kill"
}

daemons() {
    echo ws-daemon
    local number
    for ((number = 2; number <= DAEMONS; number++)); do echo "ws-daemon-$number"; done
}

supervisor() {
    local pid
    pid=$(cat "$VAR/run/s6-svscan.pid" 2>/dev/null) && [ "/proc/$pid/cwd" -ef "$VAR/service" ] && echo "$pid"
}

# The services that listen, and the path of a service's socket.
listeners() { echo fcgi-app; echo fcgi-auth; daemons; }

socket_of() {
    case $1 in
    fcgi-app) echo "$VAR/run/api.sock" ;;
    fcgi-auth) echo "$VAR/run/auth.sock" ;;
    ws-daemon*) echo "$VAR/run/ws${1#ws-daemon}.sock" ;;
    esac
}

# In a session of its own, so that Ctrl-C reaches this script only, with a clean environment and the
# dispositions of SIGINT and SIGQUIT that a background job of a script would otherwise lack.
start_supervisor() {
    local keep=() paths=() name
    for name in $(listeners); do paths+=("$(socket_of "$name")"); done
    for name in ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS PARLEY_TEST_RUN VALGRIND; do
        [ -z "${!name:-}" ] || keep+=("$name=${!name}")
    done
    (
        cd "$VAR/service"
        exec setsid env -i --default-signal=INT,QUIT PATH="$PATH" LANG=C.UTF-8 TZ=UTC VAR="$VAR" \
            PG_BIN="${PG_BIN:-}" RUN_USER="$RUN_USER" API_WORKERS="${API_WORKERS:-4}" \
            AUTH_WORKERS="${AUTH_WORKERS:-2}" METRICS_PORT="$METRICS_PORT" LISTENERS="$(listeners | xargs)" "${keep[@]}" \
            sh -c 'echo $$ >"$VAR/run/s6-svscan.pid"; exec "$@"' - "$TOP/ctl/hold.sh" 3 "${paths[@]}" -- s6-svscan .
    ) </dev/null >>"$VAR/log/s6.log" 2>&1 9>&- &
    svscan=$!
}

# Also when its supervisor was killed and the services live on.
running() {
    local dir
    ! supervisor >/dev/null || return 0
    for dir in "$VAR"/service/*; do
        ! s6-svok "$dir" 2>/dev/null || return 0
    done
    return 1
}

# Tells the running supervisor about directories added since.
rescan() {
    until s6-svscanctl -a "$VAR/service" 2>/dev/null; do pause; done
}

pause() { sleep 0.05; }

die_with_log() {
    echo "--- the end of $VAR/log/$1.log" >&2
    tail -n 15 "$VAR/log/$1.log" >&2 || true
    die "$2"
}

# await SERVICE COMMAND...: until the command succeeds. A service that dies meanwhile has failed.
await() {
    local service=$1 dir=$VAR/service/$1
    shift
    until "$@" >/dev/null 2>&1; do
        [ ! -e "$dir/supervise/status" ] || [ -z "$(s6-svdt "$dir" 2>/dev/null)" ] ||
            die_with_log "$service" "$service does not start"
        [ $SECONDS -lt $START_S ] || die_with_log "$service" "$service is not ready after $START_S s"
        pause
    done
}

# ---------------------------------------------------------------- is it ready?

port_taken() { (exec 3<>"/dev/tcp/$PROBE/$PORT") 2>/dev/null; }

database_answers() { "$PG_BIN/pg_isready" -q -h "$VAR/run" -U "$RUN_USER" -d postgres; }

# A daemon that lets sockets in says 404 to a request that is none, 503 before.
daemon_serves() {
    [ "$(curl -s -m 2 -o /dev/null -w '%{http_code}' --unix-socket "$(socket_of "$1")" http://parley/)" = 404 ]
}

# A request without a token reaches a worker, which refuses it in the contract's shape.
request_succeeds() {
    curl -s -m 2 -X "$1" -w '\n%{http_code}' "http://$PROBE:$PORT$2" | tr -d ' \n' | grep -q '^{.*"status":401.*}401$'
}

pool_serves() {
    case $1 in
    fcgi-app) request_succeeds GET /api/v1/users/me ;;
    fcgi-auth) request_succeeds POST /api/v1/auth/logout ;;
    esac
}

# A socket with a bad token is accepted at the HTTP level and closed with 4001 (0x0fa1).
socket_succeeds() {
    local line
    {
        printf '%s\r\n' 'GET /ws/chat?token=x HTTP/1.1' "Host: $PROBE:$PORT" 'Connection: Upgrade' \
            'Upgrade: websocket' 'Sec-WebSocket-Version: 13' 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '' >&3
        read -r -t 2 line <&3
        [[ $line = *' 101 '* ]] || return 1
        while [ "$line" != $'\r' ]; do read -r -t 2 line <&3 || return 1; done
        timeout 2 head -c 4 <&3 | od -An -tx1 | grep -q '^ 88 .. 0f a1'
    } 3<>"/dev/tcp/$PROBE/$PORT"
}

# ---------------------------------------------------------------- the commands

# Everything up to the point where clients are served. Leaves $svscan set.
bring_up() {
    setup
    locate_var
    PROBE=${ADDRESS/#0.0.0.0/127.0.0.1}
    make_var
    exec 9>"$VAR/lock"
    flock -n 9 || die "another start or stop of $VAR is under way"
    ! supervisor >/dev/null || die "already running in $VAR (make stop ends it)"
    end_orphans
    ! port_taken || die "port $PORT is taken; choose another: PORT=$((PORT + 1)) make run"
    choose_metrics_port
    ulimit -n "$(ulimit -Hn)"
    trap 'failed_or_stopped' EXIT
    trap 'exit 130' INT QUIT TERM HUP

    lay_out
    if [ -z "${DATABASE_URL:-}" ]; then
        find_postgres
        create_cluster
        configure_postgres
        add_service postgres INT 30000          # SIGINT is PostgreSQL's fast shutdown
        DATABASE_URL="host=$VAR/run user=$RUN_USER dbname=parley"
    fi
    start_supervisor
    if [ -n "${PG_BIN:-}" ]; then
        await postgres database_answers
        create_database
    fi
    DATABASE_URL=$DATABASE_URL "$TOP/db/migrate.sh" || die "the migrations failed"
    start_services
    flock -u 8
    flock -u 9
}

start_services() {
    local name
    configure_programs
    configure_nginx
    add_service fcgi-app TERM 12000             # two more than a pool gives its workers
    add_service fcgi-auth TERM 12000
    for name in $(daemons); do add_service "$name" TERM 10000; done
    # It listens nowhere, so its settings are looked at here rather than in its log.
    "${AS[@]}" "$VAR/bin/courier" --config "$VAR/conf/parley.env" --check-sql || die "courier does not start"
    add_service courier TERM 10000
    add_service nginx QUIT 5000                 # SIGQUIT lets requests under way finish
    add_service rotate TERM 1000
    rescan

    for name in $(daemons); do await "$name" daemon_serves "$name"; done
    await nginx port_taken
    await fcgi-app pool_serves fcgi-app
    await fcgi-auth pool_serves fcgi-auth
    await ws-daemon socket_succeeds
}

# The end of a failed start or of a foreground run.
failed_or_stopped() {
    local status=$?
    trap '' INT QUIT TERM HUP
    take_down
    say "stopped"
    exit $status
}

down() { s6-svc -wD -T 40000 -d "$VAR/service/$1" 2>/dev/null || true; }

# nginx takes no new clients while the daemons tell theirs to come back later; then the pools, which
# by now have nothing to do; PostgreSQL last. s6 kills what takes longer than its service allows.
take_down() {
    local pid dir
    [ -d "$VAR/service" ] || return 0
    s6-svc -d "$VAR/service/nginx" 2>/dev/null || true
    for dir in "$VAR"/service/ws-daemon*; do [ ! -d "$dir" ] || down "${dir##*/}"; done
    for dir in nginx fcgi-app fcgi-auth courier rotate postgres; do [ ! -d "$VAR/service/$dir" ] || down $dir; done
    if pid=$(supervisor); then
        s6-svscanctl -t "$VAR/service"
        while [ -d "/proc/$pid" ] && [ "$(supervisor)" = "$pid" ]; do pause; done
    fi
    end_orphans
    rm -f "$VAR/run"/*.pid
}

# s6-supervise processes whose s6-svscan was killed end once their service is down.
end_orphans() {
    local dir
    for dir in "$VAR"/service/*; do
        s6-svok "$dir" 2>/dev/null || continue
        s6-svc -xd "$dir"
        while s6-svok "$dir" 2>/dev/null; do pause; done
    done
}

announce() {
    say "answers at http://$PROBE:$PORT after $SECONDS s; logs in $VAR/log; $1 stops it"
}

run() {
    bring_up
    trap 'exit 0' INT QUIT TERM HUP
    announce Ctrl-C
    printf '\nA tour to paste into another terminal:\n\n'
    tour
    # Ends by a signal, by `make stop`, or when the supervisor itself dies.
    wait "$svscan" || die "the supervisor died"
}

start() {
    bring_up
    trap - EXIT
    announce "make stop"
}

# One service after the other takes over from its predecessor, as programs and schema are now.
# Requests wait for the moment that takes, sockets are told to come back.
upgrade() {
    local name dir pid
    setup
    locate_var
    PROBE=${ADDRESS/#0.0.0.0/127.0.0.1}
    exec 9>"$VAR/lock"
    flock -n 9 || die "a start, stop or upgrade of $VAR is under way"
    running || die "nothing runs in $VAR"
    install_programs
    DATABASE_URL=$(sed -n 's/^DATABASE_URL=//p' "$VAR/conf/parley.env") "$TOP/db/migrate.sh" || die "the migrations failed"
    for dir in "$VAR"/service/{fcgi-app,fcgi-auth,ws-daemon*,courier}; do
        [ -d "$dir" ] || continue
        name=${dir##*/}
        SECONDS=0           # await gives each service its own time
        pid=$(s6-svstat -o pid "$dir")
        s6-svc -r "$dir"
        # (s6-svc -wr waits for events, and on a busy machine misses the one that matters.)
        while [ "$(s6-svstat -o pid "$dir")" = "$pid" ] || [ "$(s6-svstat -o up "$dir")" = false ]; do pause; done
        s6-svdt-clear "$dir"
        case $name in
        fcgi-*) await "$name" pool_serves "$name" ;;
        ws-*) await "$name" daemon_serves "$name" ;;
        esac
    done
    say "upgraded"
}

stop() {
    locate_var
    if running; then
        take_down
        say "stopped"
    else
        say "nothing runs in $VAR"
    fi
}

status() {
    locate_var
    running || { say "nothing runs in $VAR"; exit 3; }
    local dir
    for dir in "$VAR"/service/*; do
        printf '%-12s %s\n' "${dir##*/}" "$(s6-svstat "$dir")"
    done
}

# The README's tour, for this instance; a test runs it.
tour() {
    awk '/^<!-- tour -->/ { block = 1 } block && /^```/ { if (block++ == 2) exit; next } block == 2' "$TOP/README.md" |
        sed "s|127\.0\.0\.1:8080|${PROBE:-127.0.0.1}:$PORT|"
}

case ${1:-} in
setup | run | start | upgrade | stop | status | tour) "$1" ;;
*) die "usage: ctl/stack.sh setup|run|start|upgrade|stop|status|tour" ;;
esac
