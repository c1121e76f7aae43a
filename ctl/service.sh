#!/bin/bash
# The run script of every supervised service. s6 starts it as $VAR/service/NAME/run, it becomes the
# program of that name. Settings come in the environment that ctl/stack.sh gave the supervisor.
set -eu
name=${PWD##*/}
work=$PWD/data
[ "$name" != postgres ] || work=$VAR/data

if [ "${1-}" != unprivileged ]; then
    exec >>"$VAR/log/$name.log" 2>&1

    # nginx's workers and PostgreSQL's backends outlive a master that died by SIGKILL and keep its
    # port or its memory; a killed supervisor leaves a whole service. Each service has a working
    # directory of its own, so whoever is still in it is what the last start left behind.
    while
        left=
        for p in /proc/[0-9]*; do
            if [ "$p/cwd" -ef "$work" ]; then left="$left ${p#/proc/}"; fi
        done
        [ -n "$left" ]
    do
        # shellcheck disable=SC2086  # a list of pids
        kill -KILL $left 2>/dev/null || :
        sleep 0.02
    done

    echo $$ >started || :   # for finish.sh; a full disk is no reason not to run
    # As root, only nginx's master and the log rotation stay root.
    case $name in
    nginx | rotate) ;;
    *) if [ "$(id -u)" = 0 ]; then exec s6-setuidgid "$RUN_USER" ./run unprivileged; fi ;;
    esac
fi

# A pool or daemon writes its pid file here, because exec keeps the pid. With VALGRIND (tests; its
# value is the file of suppressions), memcheck looks on; being quiet, it only writes what is wrong to the log.
become() {
    echo $$ >"$VAR/run/$name.pid" || :
    [ -z "${VALGRIND:-}" ] || set -- valgrind -q --leak-check=full --show-leak-kinds=definite \
        --suppressions="$VALGRIND" "$@"
    exec "$@" --config "$VAR/conf/parley.env"
}

# The supervisor holds the sockets of all services that listen, from descriptor 3 on, in the order of
# $LISTENERS. Each service gets its own and no other, as systemd would hand it over.
take_socket() {
    local fd=3 owner own=
    for owner in $LISTENERS; do
        if [ "$owner" = "$name" ]; then eval "exec 0<&$fd"; own=1; fi
        eval "exec $fd<&-"
        fd=$((fd + 1))
    done
    [ -n "$own" ] || return 0
    exec 3<&0 </dev/null
    export LISTEN_FDS=1 LISTEN_PID=$$
}

# Where the service answers Prometheus; see METRICS_PORT in ctl/stack.sh.
metrics_at() {
    if [ "$METRICS_PORT" = 0 ]; then
        export METRICS_LISTEN="$VAR/run/$name.stat"
    else
        export METRICS_LISTEN="127.0.0.1:$((METRICS_PORT + $1))"
    fi
}

take_socket
cd "$work"
case $name in
postgres | nginx) ulimit -c 0 ;;    # no core dump with tokens in it; our programs see to theirs
esac
case $name in
postgres)
    # Nobody uses the data now (see above), so these can only be a dead postmaster's, and their pid
    # may since belong to somebody else, which would keep PostgreSQL from starting.
    rm -f postmaster.pid "$VAR"/run/.s.PGSQL.*.lock
    exec "$PG_BIN/postgres" -D "$VAR/data" -c config_file="$VAR/conf/postgresql.conf"
    ;;
nginx)
    exec nginx -e "$VAR/log/nginx.log" -c "$VAR/conf/nginx.conf" -g 'daemon off;'
    ;;
fcgi-app)
    export FCGI_LISTEN="$VAR/run/api.sock" FCGI_WORKERS="$API_WORKERS"
    metrics_at 0
    become "$VAR/bin/fcgi-app"
    ;;
fcgi-auth)
    export FCGI_LISTEN="$VAR/run/auth.sock" FCGI_WORKERS="$AUTH_WORKERS"
    metrics_at 1
    become "$VAR/bin/fcgi-app"
    ;;
ws-daemon*)
    export WS_LISTEN="$VAR/run/ws${name#ws-daemon}.sock"
    number=${name#ws-daemon}
    number=${number#-}
    metrics_at $((9 + ${number:-1}))
    become "$VAR/bin/ws-daemon"
    ;;
courier)
    metrics_at 2
    become "$VAR/bin/courier"
    ;;
rotate)
    # Everybody appends, so a log can be copied away and cut while it is written. Where there is no room for the
    # copy there has to be some for the rest.
    while :; do
        # shellcheck disable=SC2016  # $1 is the inner shell's
        find "$VAR/log" -name '*.log' -size +32M -exec sh -c 'cp "$1" "$1.1" || rm -f "$1.1"; : >"$1"' - {} \;
        sleep 20
    done
    ;;
*)
    echo "no such service: $name"
    exit 1
    ;;
esac
