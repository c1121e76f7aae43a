#!/bin/sh
# The finish script of every supervised service: s6 runs it when the service has ended.

# Whoever is left in the process group the service had ends now; the workers of a pool that was killed
# have two seconds for the requests in their hands.
group=-$(cat started)
tries=40
kill -s TERM -- "$group" 2>/dev/null
while [ $tries -gt 0 ] && kill -s 0 -- "$group" 2>/dev/null; do
    sleep 0.05
    tries=$((tries - 1))
done
kill -s KILL -- "$group" 2>/dev/null

# s6 would wait a second before the next start. A service that had run for a second is not in a loop
# of crashes and starts again at once; one that died sooner waits for that second.
if [ "$(s6-svstat -o wantedup .)" = true ] && [ -z "$(find started -newermt '-1 second' 2>&1)" ]; then
    { s6-svwait -D . && s6-svc -u .; } </dev/null >/dev/null 2>&1 &
fi
