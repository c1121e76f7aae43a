"""Polling: tests wait for a condition, never for a length of time."""

import time


def eventually(condition, timeout=10.0, what=None, every=0.02):
    """Return the first true value of condition(); fail after timeout seconds, saying what was awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition}; last seen: {value!r}")
        time.sleep(every)


def seconds_until(condition, timeout=10.0, what=None, every=0.02):
    """How long it took until condition() held."""
    start = time.monotonic()
    eventually(condition, timeout, what, every)
    return time.monotonic() - start
