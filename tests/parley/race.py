"""Calls that race each other."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier


def at_once(*calls):
    """What the calls answer when they are made at the same moment."""
    gate = Barrier(len(calls))

    def run(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))
