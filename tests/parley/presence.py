"""Who is online, for the tests of it: three daemons, and a debounce time that is a second, so a step that has to
beat it is quick enough."""

import pytest

from .check import number_of
from .conv import EVENTS
from .wait import PATIENCE, eventually

DEBOUNCE = 1.0
THREE = {"daemons": 3, "settings": {"PRESENCE_DEBOUNCE": int(DEBOUNCE * 1000)}}


@pytest.fixture(autouse=True)
def whole(stack):
    """Every part works again, whatever the test before did."""
    eventually(stack.ready, what="the stack is ready")


def presence(who, status):
    return {"type": "presence", "data": {"user_id": who.id, "status": status}}


def watch(connect, user, *there, **options):
    """A socket that hears of presence, and has been told who is there."""
    sock = connect(user, aside=EVENTS, **options)
    sock.exactly(*(presence(who, "online") for who in there))
    return sock


def is_online(stack, who):
    return bool(stack.query("SELECT 1 FROM online WHERE user_id = %s", number_of(who.id)))


def on_daemons(stack, who, count, timeout=PATIENCE):
    """Their sockets are noted on so many daemons: the last one of one of them may go."""
    rows = lambda: stack.query("SELECT 1 FROM online WHERE user_id = %s", number_of(who.id))
    eventually(lambda: len(rows()) == count, timeout, f"{who.name} is on {count} daemons")


def in_table(stack, *users, online=True, timeout=PATIENCE):
    for who in users:
        eventually(lambda: is_online(stack, who) == online, timeout, f"{who.name} online: {online}")
