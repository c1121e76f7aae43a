"""`make soak`: steady traffic on every dialect for SOAK_S (600) seconds, with clients that come and go.

What is sampled has to be flat: memory, descriptors, database connections, table sizes beside live data;
and the slowest hundredth of answers in the last minute within a fifth of that in the first. Exits 1 when
anything is not, when a request or frame was refused, or when a message was lost.
"""

import os
import signal
import sys
import time

from parley.stack import Stack
from soak.judge import report
from soak.samples import Sampler
from soak.traffic import Town

#: Ordinary limits but those per address and token: all clients here stand behind one address.
STACK = {"AUTH_RATE": "1000r/s", "WRITE_RATE": "1000r/s"}
SETTINGS = {"BCRYPT_COST": "4", "LOG_LEVEL": "notice"}


def main():
    seconds = int(os.environ.get("SOAK_S", 600))
    if seconds < 60:
        sys.exit("SOAK_S: less than 60 seconds tell nothing")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Pools of connections, caches and PostgreSQL's own memory fill before anything can be flat.
    warm_up = min(120, seconds // 4)
    with Stack(daemons=2, env=STACK, settings=SETTINGS) as stack:
        town = Town(stack)
        sampler = Sampler(stack)
        town.start()
        time.sleep(warm_up)
        start = time.monotonic()
        while (now := time.monotonic()) < start + seconds - warm_up:
            sampler.take(now - start)
            time.sleep(max(0.0, now + sampler.EVERY - time.monotonic()))
            if town.failures:
                break
        sampler.take(time.monotonic() - start)
        town.stop()
        good = report(stack, town, sampler, start, seconds, warm_up)
    sys.exit(not good)


if __name__ == "__main__":
    main()
