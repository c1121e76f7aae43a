#!/bin/sh
# The finish script of every supervised service: s6 runs it when the service has ended.

group=$(cat started)

# Is anybody left in the process group the service had? (One who has ended may wait for init a while.)
alive() {
    for stat in /proc/[0-9]*/stat; do
        if { read -r _ _ state _ pgrp _ <"$stat"; } 2>/dev/null && [ "$pgrp" = "$group" ] && [ "$state" != Z ]; then
            return 0
        fi
    done
    return 1
}

# They end now; the workers of a pool that was killed have two seconds for the requests in their hands.
kill -s TERM -- "-$group" 2>/dev/null
tries=40
while [ $tries -gt 0 ] && alive; do
    sleep 0.05
    tries=$((tries - 1))
done
kill -s KILL -- "-$group" 2>/dev/null

# s6 would wait a second before the next start. A service that had run for a second is not in a loop
# of crashes and starts again at once; one that died sooner waits for that second.
if [ "$(s6-svstat -o wantedup .)" = true ] && [ -z "$(find started -newermt '-1 second' 2>&1)" ]; then
    { s6-svwait -D . && s6-svc -u .; } </dev/null >/dev/null 2>&1 &
fi
