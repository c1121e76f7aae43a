"""The verdict on a soak: what leaks is found, whoever waits while the machine stands still is not a leak."""

import pytest

from soak.judge import judge_series

MINUTES, EVERY = 8, 5


def flat(what, value, seconds=MINUTES * 60):
    return judge_series(what, [(at, value(at)) for at in range(0, seconds + 1, EVERY)])[-1]


def busy(at):
    """Descriptors of nginx: clients come and go."""
    return 120 + at * 7 % 24


def stalled(at):
    """The machine is taken away in every other 10 s of the last two minutes, and clients wait."""
    return busy(at) + (80 if at > (MINUTES - 2) * 60 and at // 10 % 2 else 0)


@pytest.mark.parametrize("what,value", [("descriptors", busy), ("descriptors", stalled), ("connections", lambda at: 16),
                                        ("connections", lambda at: 16 + (at % 30 == 0)), ("memory", lambda at: 9000 - at)])
def test_what_comes_and_goes_is_flat(what, value):
    assert flat(what, value)


@pytest.mark.parametrize("a_minute", [1, 2, 10])
@pytest.mark.parametrize("others", [lambda at: 0, busy, stalled])
def test_a_descriptor_that_is_lost_each_minute_rises(others, a_minute):
    assert not flat("descriptors", lambda at: others(at) + at * a_minute // 60)


def test_the_rise_is_that_over_the_whole_run():
    """Not from the lowest of the first minute to that of the last, which may be a minute and more less."""
    assert not flat("descriptors", lambda at: 2 * at // 60, 180)


def test_a_short_run_is_judged_too():
    assert flat("descriptors", busy, 45) and not flat("descriptors", lambda at: busy(at) + at // 2, 45)


@pytest.mark.parametrize("what,a_minute", [("memory", 100), ("connections", 1), ("table", 20), ("row", 4)])
def test_what_grows_rises(what, a_minute):
    assert not flat(what, lambda at: 100 + at * a_minute // 60)
