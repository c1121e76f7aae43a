"""Who is online, over three daemons: first socket up, last one down, and who is told. What happens while daemons or
PostgreSQL are away, and in a crowd, is in test_presence_faults.py."""

import time

import pytest

from parley.check import number_of
from parley.conv import EVENTS, conv_account, conv_socket
from parley.presence import DEBOUNCE, THREE, in_table, on_daemons, presence, watch, whole  # noqa: F401
from parley.sockets import Socket

ACCOUNT = conv_account
SOCKET = conv_socket
STACK = THREE
DIALECTS = ["dm", "conv", "p2p", "rooms", "groups"]


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


# ---------------------------------------------------------------------- up and down

def test_first_socket_up_and_last_one_down_are_told(alice, bob, group, connect):
    watcher = watch(connect, bob)
    first = connect(alice)
    assert watcher.recv_json() == presence(alice, "online")
    second = connect(alice)
    first.close()
    watcher.expect_nothing(DEBOUNCE + 0.5)
    last = time.monotonic()
    second.close()
    assert watcher.recv_json() == presence(alice, "offline")
    assert DEBOUNCE - 0.1 < time.monotonic() - last < DEBOUNCE + 10, "not when a daemon counts as dead"
    watcher.expect_nothing(0.3)


def test_online_through_one_daemon_and_the_last_socket_on_another(stack, alice, bob, group, connect):
    watchers = [watch(connect, bob, daemon=n) for n in (1, 2, 3)]
    first = connect(alice, daemon=1)
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "online")
    second = connect(alice, daemon=2)
    on_daemons(stack, alice, 2)
    first.abort()
    for sock in watchers:
        sock.expect_nothing(DEBOUNCE / 2 + 0.2)
    second.abort()
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "offline")
        sock.expect_nothing(0.2)
    in_table(stack, alice, online=False)


@pytest.mark.parametrize("back", [1, 2], ids=["same daemon", "another daemon"])
def test_reconnect_within_the_debounce_tells_nobody(alice, bob, group, connect, back):
    watcher = watch(connect, bob, daemon=3)
    one = connect(alice, daemon=1)
    assert watcher.recv_json() == presence(alice, "online")
    one.abort()
    connect(alice, daemon=back)
    watcher.expect_nothing(DEBOUNCE + 1)


def test_many_reconnects_end_in_the_truth(stack, alice, bob, group, connect):
    watcher = watch(connect, bob, daemon=3)
    last = connect(alice, daemon=1)
    assert watcher.recv_json() == presence(alice, "online")
    for n in range(20):
        before, last = last, connect(alice, daemon=n % 2 + 1)
        before.abort()
    last.abort()
    assert watcher.recv_json() == presence(alice, "offline")
    watcher.expect_nothing(0.5)
    in_table(stack, alice, online=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_socket_of_any_dialect_counts(stack, alice, bob, group, connect, dialect):
    watcher = watch(connect, bob)
    with Socket(stack, alice.token, path="/ws", header=[f"Sec-WebSocket-Protocol: chat.{dialect}"]):
        assert watcher.recv_json() == presence(alice, "online")
    assert watcher.recv_json() == presence(alice, "offline")


def test_a_socket_that_did_not_authenticate_counts_for_nobody(stack, alice, bob, group, connect):
    watcher = watch(connect, bob)
    with Socket(stack, path="/v1/messages/ws") as sock:
        watcher.expect_nothing(0.3)
        sock.send({"type": "auth", "token": alice.token})
        assert watcher.recv_json() == presence(alice, "online")


def test_logout_is_the_end_of_the_last_socket(alice, bob, group, connect):
    watcher, sock = watch(connect, bob), connect(alice)
    assert watcher.recv_json() == presence(alice, "online")
    alice.logout()
    sock.expect_close(4001)
    assert watcher.recv_json() == presence(alice, "offline")


# ---------------------------------------------------------------------- who is told

def share(kind, stack, one, other):
    if kind == "group":
        one.group(other)
    elif kind == "direct":
        one.direct(other)
    else:
        pair = sorted(number_of(who.id) for who in (one, other))
        stack.query("INSERT INTO contacts (user_low, user_high) VALUES (%s, %s)", *pair)


@pytest.mark.parametrize("kind", ["group", "direct", "contact", "contact the other way round"])
def test_those_who_share_a_conversation_or_contact_are_told(stack, alice, bob, connect, kind):
    one, other = (bob, alice) if "other" in kind else (alice, bob)
    share(kind, stack, alice, bob)
    watcher = watch(connect, one)
    sock = connect(other)
    assert watcher.recv_json() == presence(other, "online")
    sock.close()
    assert watcher.recv_json() == presence(other, "offline")


def test_strangers_and_oneself_are_not_told(alice, bob, carol, group, connect):
    carol.group(bob)                    # knows bob, who knows alice
    stranger, friend = watch(connect, carol), watch(connect, bob, carol)
    assert stranger.recv_json() == presence(bob, "online")
    mine = connect(alice, aside=EVENTS)
    assert friend.recv_json() == presence(alice, "online")
    other = connect(alice, aside=EVENTS, daemon=2)
    mine.close()
    other.exactly(presence(bob, "online"))
    other.close()
    assert friend.recv_json() == presence(alice, "offline")
    stranger.expect_nothing(0.3)


def test_who_left_the_conversation_is_told_no_more(alice, bob, group, connect):
    watcher = watch(connect, bob)
    sock = connect(alice)
    assert watcher.recv_json() == presence(alice, "online")
    assert bob.leave(group).status_code in (200, 204)
    assert watcher.recv_json()["type"] == "member_removed"
    sock.close()
    watcher.expect_nothing(DEBOUNCE + 0.7)


def test_a_person_shared_in_many_ways_is_told_of_once(stack, alice, bob, group, connect):
    alice.direct(bob), alice.group(bob), alice.befriend(bob)
    watcher = watch(connect, bob)
    connect(alice)
    watcher.exactly(presence(alice, "online"))
    connect(bob, aside=EVENTS).exactly(presence(alice, "online"))
    watcher.expect_nothing(0.2)


def test_new_socket_is_told_who_is_online_on_any_daemon(alice, bob, carol, new_user, connect):
    offline, stranger = new_user(), new_user()
    alice.group(bob, carol, offline)
    watch(connect, bob, daemon=1), watch(connect, carol, bob, daemon=2), watch(connect, stranger, daemon=3)
    for n in (1, 2, 3):
        connect(alice, aside=EVENTS, daemon=n).exactly(presence(bob, "online"), presence(carol, "online"))


def test_those_who_connect_at_the_same_moment_hear_of_each_other_once(stack, new_user, connect):
    for n in range(12):
        one, other = new_user(), new_user()
        one.direct(other)
        first = connect(one, aside=EVENTS, daemon=n % 3 + 1)
        time.sleep(n * 0.015)           # what is tested: the greeting and the news in every order
        second = connect(other, aside=EVENTS, daemon=(n + n // 3) % 3 + 1)
        first.exactly(presence(other, "online"), quiet=0.5)
        second.exactly(presence(one, "online"), quiet=0.2)
