"""Polling: tests wait for a condition, never for a length of time."""

import time

#: Seconds for what should come at once. A test that passes never waits for it, however slow the machine.
PATIENCE = 30.0


def eventually(condition, timeout=PATIENCE, what=None, every=0.02):
    """Return the first true value of condition(); fail after timeout seconds, saying what was awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}; last seen: {value!r}")
        time.sleep(every)


def lasting(seconds, enough=lambda: True):
    """A function that tells whether so many seconds are over and there was enough; or a minute is over."""
    start = time.monotonic()
    return lambda: time.monotonic() > start + (seconds if enough() else 60)


def seconds(act):
    """How long it takes."""
    start = time.monotonic()
    act()
    return time.monotonic() - start


def quickest(taken, tries=5):
    """Seconds something took: the first of several tries within one, or the least. A busy machine only adds to it;
    what is held back for a second, or for good, is never that quick."""
    found = []
    while len(found) < tries and min(found, default=1) >= 1:
        found.append(taken())
    return min(found)


def slowest_but_one(taken):
    """A busy machine may stand still once; what is wrong happens again, with the next worker or the next time."""
    return sorted(taken)[-2]


def seconds_until(condition, timeout=PATIENCE, what=None, every=0.02):
    """How long it took until condition() held."""
    return seconds(lambda: eventually(condition, timeout, what, every))
