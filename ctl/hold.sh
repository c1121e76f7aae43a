#!/bin/bash
# Usage: hold.sh FD PATH... -- COMMAND...
# Binds a listening unix socket at each path, keeps them open as descriptors FD, FD+1, ... and becomes
# the command. The supervisor is started like this, so that a connection waits while the process that
# accepts it is replaced; systemd's .socket units do the same.
set -eu
fd=$1
shift
# s6-ipcserver-socketbinder, below, has left the last socket as standard input.
[ "$fd" = 3 ] || eval "exec $((fd - 1))<&0"
if [ "$1" = -- ]; then
    shift
    exec "$@" </dev/null
fi
path=$1
shift
# The directory decides who may connect. A small backlog would turn a burst into 502s.
exec s6-ipcserver-socketbinder -a 0666 -b 4096 "$path" "$0" $((fd + 1)) "$@"
