"""Events without a socket when things die: daemons, PostgreSQL, clients; and what is refused."""

import json
import os
import signal
import socket
import time

import pytest
import requests

from parley import keys
from parley.check import assert_problem, number_of
from parley.conv import conv_account
from parley.events import Stream, Waiting, ask, now, page, since, told
from parley.tokens import resign
from parley.wait import eventually

STACK = {"daemons": 2, "settings": {"SOCKETS_PER_USER": 3}}


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture
def people(stack):
    return conv_account(stack), conv_account(stack)


def watchers(stack, of=None):
    """How many the daemons that run hold by now, by their logs; of a user, or altogether."""
    whose = f" user={number_of(of.id)} " if of else " user="
    lines = [line for line in stack.log_text().splitlines() if "event=watcher_" in line and whose in line
             and any(f"pid={stack.pid(name)} " in line for name in ("ws-daemon", "ws-daemon-2"))]
    return sum({"opened": 1, "closed": -1, "refused": 0}[line.split("event=watcher_")[1].split()[0]] for line in lines)


def nobody_waits(stack):
    eventually(lambda: watchers(stack) == 0, what="nobody is held any more")


def held(user, **query):
    """A long poll that waits by now: reads come in turn, so it had its first one when a later stream had."""
    before = watchers(user.stack, user)
    poll = Waiting(user, **query)
    eventually(lambda: watchers(user.stack, user) > before)
    for daemon in (1, 2):
        with Stream(user, daemon=daemon).opened():
            pass
    eventually(lambda: watchers(user.stack, user) == before + 1)
    return poll


def read_through(user, cursor, count):
    """count messages, by polls that are repeated as a script would; none twice."""
    found, deadline = [], time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {told(found)}"
        try:
            answer = ask(user, after=cursor, wait=5, type="message")
        except requests.RequestException:
            continue
        if answer.status_code == 200:
            found += answer.json()["events"]
            cursor = answer.json()["cursor"]
        else:
            assert answer.status_code in (502, 503, 504), answer.text
            time.sleep(0.1)
    return told(found)


# ---------------------------------------------------------------------- two daemons

def test_both_daemons_tell_the_same(people):
    alice, bob = people
    alice.make_message(bob, "zero")
    streams = [Stream(bob, daemon=n).opened() for n in (1, 2)]
    for n in range(5):
        alice.make_message(bob, f"n{n}")
    told_by = [stream.collect(5) for stream in streams]
    assert [told(events) for events in told_by] == [[f"n{n}" for n in range(5)]] * 2
    for stream in streams:
        stream.close()
    for n, events in enumerate(told_by):        # a cursor of one is as good at the other
        with Stream(bob, last=events[2]["cursor"], daemon=2 - n) as stream:
            assert told(stream.collect(2)) == ["n3", "n4"]
    nobody_waits(bob.stack)


def test_daemon_killed_during_a_long_poll_loses_nothing(people, stack):
    alice, bob = people
    alice.make_message(bob, "zero")
    cursor = now(bob)
    polls = [held(bob, after=cursor, wait=30) for _ in range(2)]
    old = [stack.kill(name) for name in ("ws-daemon", "ws-daemon-2")]
    alice.make_message(bob, "meanwhile")
    for poll in polls:
        try:
            answer = poll.answer()
            assert answer.status_code in (200, 502, 503, 504)     # 503: both daemons are back, and neither is ready
            if answer.status_code == 200:
                assert told(answer.json()["events"]) == ["meanwhile"]
        except requests.ConnectionError:
            pass
    assert read_through(bob, cursor, 1) == ["meanwhile"]
    for name, pid in zip(("ws-daemon", "ws-daemon-2"), old):
        stack.seconds_to_respawn(name, pid)
    eventually(stack.ready)


def test_daemon_that_stops_answers_polls_and_ends_streams(people, stack):
    alice, bob = people
    cursor = now(bob)
    poll, stream = held(bob, after=cursor, wait=50), Stream(alice).opened()
    old = [stack.kill(name, signal.SIGTERM) for name in ("ws-daemon", "ws-daemon-2")]
    assert poll.answer().json() == {"events": [], "cursor": cursor, "has_more": False}
    end = stream.next()
    assert end["code"] == "going_away" and stream.next() is None
    for name, pid in zip(("ws-daemon", "ws-daemon-2"), old):
        stack.seconds_to_respawn(name, pid)
    eventually(stack.ready)


# ---------------------------------------------------------------------- PostgreSQL

def test_cursors_outlive_a_crash_of_postgresql(people, stack):
    """Nor does what PostgreSQL forgot of its transaction ids make them skip anything."""
    alice, bob = people
    alice.make_message(bob, "zero")
    for _ in range(200):                # ids of transactions whose end need not reach the disk
        stack.query("BEGIN; SELECT pg_current_xact_id(); ROLLBACK")
    cursor = now(bob)
    page(bob, consumer="kept")
    old = stack.kill("postmaster")
    stack.seconds_to_respawn("postmaster", old)
    eventually(stack.ready, what="service resumes")
    for n in range(5):
        alice.make_message(bob, f"n{n}")
    expected = [f"n{n}" for n in range(5)]
    assert told(since(bob, cursor, type="message")[0]) == expected
    assert told(page(bob, consumer="kept", type="message")["events"]) == expected
    with Stream(bob, last=cursor, type="message") as stream:
        assert told(stream.collect(5)) == expected


def test_those_who_wait_survive_a_restart_of_postgresql(people, stack):
    alice, bob = people
    alice.make_message(bob, "zero")
    cursor = now(bob)
    poll, stream = held(bob, after=cursor, wait=60), Stream(bob, type="message").opened()
    old = stack.kill("postmaster", signal.SIGINT)
    stack.seconds_to_respawn("postmaster", old)
    eventually(lambda: alice.send(bob, "after", key="after").status_code == 201)
    assert told(poll.answer().json()["events"]) == ["after"]
    assert told([stream.next()]) == ["after"]
    stream.close()
    eventually(stack.ready)


# ---------------------------------------------------------------------- clients

def test_who_hangs_up_is_noticed_and_costs_nothing(people, stack):
    alice, _ = people
    nobody_waits(stack)
    streams = [Stream(alice).opened(), Stream(alice, daemon=1).opened(), Stream(alice, daemon=2).opened()]
    assert watchers(stack) == 3
    for stream in streams:
        stream.close()
    nobody_waits(stack)
    ticks = lambda: sum(int(f) for name in ("ws-daemon", "ws-daemon-2")
                        for f in open(f"/proc/{stack.pid(name)}/stat").read().split()[13:15])
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 0.3 * os.sysconf("SC_CLK_TCK"), "a daemon spins"


def test_who_half_hangs_up_or_says_more_does_not_make_a_daemon_spin(people, stack):
    alice, _ = people
    nobody_waits(stack)
    request = (f"GET /api/v1/events?wait=3 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {alice.token}\r\n\r\n").encode()
    for extra, shut in ((b"more of it" * 1000, False), (b"", True)):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(stack.daemon_socket(1))
            sock.sendall(request + extra)
            if shut:
                sock.shutdown(socket.SHUT_WR)
            pid = stack.pid("ws-daemon")
            ticks = lambda: sum(int(f) for f in open(f"/proc/{pid}/stat").read().split()[13:15])
            start = ticks()
            while sock.recv(65536):
                pass
            assert ticks() - start < 0.5 * os.sysconf("SC_CLK_TCK"), "the daemon spins"
    nobody_waits(stack)


def test_more_than_a_user_may_have_are_refused(people, stack):
    alice, bob = people
    nobody_waits(stack)
    streams = [Stream(alice, daemon=1).opened() for _ in range(3)]
    with Stream(alice, daemon=1) as one_more:
        assert one_more.status == 429 and one_more.headers["Retry-After"]
        assert json.loads(one_more.resp.read())["code"] == "too_many_sockets"
    with Stream(bob, daemon=1).opened():
        pass
    for stream in streams:
        stream.close()
    nobody_waits(stack)
    with Stream(alice, daemon=1).opened():
        pass


def test_slow_reader_costs_its_neighbours_nothing_and_misses_nothing(people, stack):
    alice, bob = people
    alice.make_message(bob, "zero")
    slow = Stream(bob, type="message", daemon=1).opened()
    quick = Stream(bob, type="message", daemon=1).opened()
    wanted = [f"{n:03}" for n in range(300)]
    for text in wanted:
        alice.make_message(bob, text + "x" * 10000)
    assert [e["data"]["body"][:3] for e in quick.collect(300)] == wanted
    assert [e["data"]["body"][:3] for e in slow.collect(300)] == wanted
    slow.close()
    quick.close()


def test_expiry_of_the_token_ends_those_who_wait(people, stack):
    alice, _ = people
    (kid, key), *_ = keys.read(stack).items()
    alice.token = resign(alice.token, key, {"kid": kid}, exp=int(time.time()) + 5)
    poll, stream = Waiting(alice, wait=60), Stream(alice).opened()
    assert_problem(poll.answer(), 401, "unauthorized")
    assert stream.next()["code"] == "unauthorized" and stream.next() is None


# ---------------------------------------------------------------------- forgetting

def test_forgotten_events_make_older_cursors_expire(people, stack):
    alice, bob = people
    alice.edit(alice.make_message(bob, "one"), "won")
    cursor = now(bob)
    alice.edit(alice.make_message(bob, "two"), "too")
    stack.query("UPDATE events SET created_at = created_at - interval '40 days'")
    assert stack.query("SELECT events_purge(interval '30 days', 100000)")[0][0] > 0
    for query in ({}, {"wait": 5}):
        assert_problem(ask(bob, after=cursor, **query), 410, "cursor_expired")
    assert_problem(bob.call("POST", "/api/v1/consumers/x/ack", json={"cursor": cursor}), 410, "cursor_expired")
    fresh = now(bob)
    alice.make_message(bob, "three")
    assert told(since(bob, fresh)[0]) == ["three"]
