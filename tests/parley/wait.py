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


def seconds_until(condition, timeout=PATIENCE, what=None, every=0.02):
    """How long it took until condition() held."""
    return seconds(lambda: eventually(condition, timeout, what, every))
