"""Who is online, over three daemons: first socket up, last one down, and what PostgreSQL, a daemon or a whole
crowd may do meanwhile. The debounce time is a second here, so a step that has to beat it is quick enough."""

import signal
import time

import pytest

from parley import procs
from parley.check import number_of
from parley.conv import EVENTS, ConvSocket, conv_account, conv_socket
from parley.crowd import Crowd, expected_view, people, rows_written
from parley.sockets import Socket
from parley.wait import eventually

ACCOUNT = conv_account
SOCKET = conv_socket
DEBOUNCE = 1.0
STACK = {"daemons": 3, "settings": {"PRESENCE_DEBOUNCE": int(DEBOUNCE * 1000)}}
DIALECTS = ["dm", "conv", "p2p", "rooms", "groups"]


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(autouse=True)
def whole(stack):
    """Every part works again, whatever the test before did."""
    eventually(stack.ready, 20, "the stack is ready")


def presence(who, status):
    return {"type": "presence", "data": {"user_id": who.id, "status": status}}


def watch(connect, user, **options):
    """A socket that hears of presence, and has been told who is there."""
    sock = connect(user, aside=EVENTS, **options)
    sock.settled()
    return sock


def is_online(stack, who):
    return bool(stack.query("SELECT 1 FROM online WHERE user_id = %s", number_of(who.id)))


def in_table(stack, *users, online=True, timeout=5):
    for who in users:
        eventually(lambda: is_online(stack, who) == online, timeout, f"{who.name} online: {online}")


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
    assert DEBOUNCE - 0.1 < time.monotonic() - last < DEBOUNCE + 2
    watcher.expect_nothing(0.3)


def test_online_through_one_daemon_and_the_last_socket_on_another(stack, alice, bob, group, connect):
    watchers = [watch(connect, bob, daemon=n) for n in (1, 2, 3)]
    first = connect(alice, daemon=1)
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "online")
    second = connect(alice, daemon=2)
    eventually(lambda: len(stack.query("SELECT 1 FROM online WHERE user_id = %s", number_of(alice.id))) == 2, 5)
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
    stranger, friend = watch(connect, carol), watch(connect, bob)
    assert stranger.recv_json() == presence(bob, "online")
    mine = connect(alice, aside=EVENTS)
    assert friend.recv_json() == presence(alice, "online")
    other = connect(alice, aside=EVENTS, daemon=2)
    mine.close()
    assert [f["data"]["user_id"] for f in other.settled()] == [bob.id]
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
    assert watcher.settled() == [presence(alice, "online")]
    assert connect(bob, aside=EVENTS).settled() == [presence(alice, "online")]
    watcher.expect_nothing(0.2)


def test_new_socket_is_told_who_is_online_on_any_daemon(alice, bob, carol, new_user, connect):
    offline, stranger = new_user(), new_user()
    alice.group(bob, carol, offline)
    for n, who in enumerate((bob, carol, stranger)):
        watch(connect, who, daemon=n + 1)
    for n in (1, 2, 3):
        frames = connect(alice, aside=EVENTS, daemon=n).settled()
        assert sorted(frames, key=str) == sorted((presence(who, "online") for who in (bob, carol)), key=str)


def test_those_who_connect_at_the_same_moment_hear_of_each_other_once(stack, new_user, connect):
    for n in range(12):
        one, other = new_user(), new_user()
        one.direct(other)
        first = connect(one, aside=EVENTS, daemon=n % 3 + 1)
        time.sleep(n * 0.015)           # what is tested: the greeting and the news in every order
        second = connect(other, aside=EVENTS, daemon=(n + n // 3) % 3 + 1)
        assert first.settled(0.5) == [presence(other, "online")], n
        assert second.settled(0.2) == [presence(one, "online")], n


# ---------------------------------------------------------------------- a crowd

def test_a_storm_of_reconnects_writes_few_rows_and_tells_each_once(stack, alice):
    """300 users, each with 23 others: 6,900 pairs."""
    persons = people(stack, alice.token, 300)
    due = expected_view(persons)
    pairs = sum(map(len, due.values()))
    eventually(lambda: not stack.query("SELECT 1 FROM online LIMIT 1"), 10, "those of the test before are offline")
    before = rows_written(stack)
    with Crowd(stack, persons) as crowd:
        crowd.open().settle(1.5)
        assert crowd.view() == due
        assert crowd.frames == {"online": pairs}
        first = rows_written(stack)
        assert (first[0] - before[0], first[1] - before[1]) == (300, 0)

        crowd.hang_up().open(daemon=1).settle(DEBOUNCE + 1)     # 100 or so were on each daemon
        assert crowd.view() == due
        assert crowd.frames == {"online": pairs}
        second = rows_written(stack)
        assert second[0] - first[0] == second[1] - first[1] <= 300

        crowd.hang_up().open(daemon=1).settle(DEBOUNCE + 1)
        assert crowd.frames == {"online": pairs}                # the greetings
        assert rows_written(stack) == second
        crowd.hang_up()
    eventually(lambda: not stack.query("SELECT 1 FROM online LIMIT 1"), 10, "everybody is offline")
    after = rows_written(stack)
    assert (after[0] - second[0], after[1] - second[1]) == (0, 300)


# ---------------------------------------------------------------------- daemons that stop

def test_a_rolling_restart_tells_nobody_of_those_who_reconnect_at_once(stack, alice, bob, carol, connect):
    alice.group(bob, carol)
    watcher = watch(connect, bob, daemon=2)
    stays, leaves = connect(alice, daemon=1), connect(carol, daemon=1)
    assert sorted(map(str, watcher.collect(2))) == sorted(map(str, (presence(alice, "online"), presence(carol, "online"))))
    old = stack.kill("ws-daemon", signal.SIGTERM)
    for sock in (stays, leaves):
        sock.expect_close(1001)
    connect(alice, daemon=3)
    assert watcher.recv_json(timeout=30) == presence(carol, "offline")
    watcher.expect_nothing(0.5)
    stack.seconds_to_respawn("ws-daemon", old)
    eventually(lambda: stack.daemon_ready(1), 10)
    connect(carol, daemon=1)
    assert watcher.recv_json() == presence(carol, "online")


def test_killed_and_frozen_daemons_users_are_offline_within_30_seconds(stack, new_user, bob, connect):
    """One daemon is killed, another stopped in its tracks; the third one tells."""
    killed, back, frozen = new_user("Killed"), new_user("Back"), new_user("Frozen")
    bob.group(killed, back, frozen)
    watcher = watch(connect, bob, daemon=3)
    for who, daemon in ((killed, 1), (back, 1), (frozen, 2)):
        connect(who, daemon=daemon)
        assert watcher.recv_json() == presence(who, "online")
    died = time.monotonic()
    old, pid = stack.kill("ws-daemon"), stack.kill("ws-daemon-2", signal.SIGSTOP)
    try:
        stack.seconds_to_respawn("ws-daemon", old)
        eventually(lambda: stack.daemon_ready(1), 10)
        connect(back, daemon=1)         # in time: no news
        gone = [watcher.recv_json(timeout=31) for _ in range(2)]
        assert time.monotonic() - died < 30
        assert sorted(map(str, gone)) == sorted(str(presence(who, "offline")) for who in (killed, frozen))
    finally:
        procs.kill(pid, signal.SIGCONT)
    assert watcher.recv_json() == presence(frozen, "online")    # the socket was there all the time
    connect(killed, daemon=1)
    assert watcher.recv_json() == presence(killed, "online")
    watcher.expect_nothing(0.5)


# ---------------------------------------------------------------------- PostgreSQL

@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["restarted", "crashed"])
def test_postgresql_away_for_a_moment_changes_what_changed(stack, new_user, bob, connect, sig):
    """A crash empties the unlogged tables; those who stayed are not told of again."""
    stays, leaves, comes = new_user("Stays"), new_user("Leaves"), new_user("Comes")
    bob.group(stays, leaves, comes)
    watchers = [watch(connect, bob, daemon=n) for n in (1, 2)]
    connect(stays, daemon=1)
    gone = connect(leaves, daemon=1)
    for sock in watchers:
        sock.collect(2)
    old = stack.kill("postmaster", sig)
    gone.abort()
    with ConvSocket(stack, comes.token, daemon=2):
        stack.seconds_to_respawn("postmaster", old)
        for sock in watchers:
            news = [sock.recv_json(timeout=30) for _ in range(2)]
            assert sorted(map(str, news)) == sorted(map(str, (presence(leaves, "offline"), presence(comes, "online"))))
        for sock in watchers:
            sock.expect_nothing(3)
        in_table(stack, stays, comes, bob)
        in_table(stack, leaves, online=False)
        assert sorted(f["data"]["user_id"] for f in connect(bob, aside=EVENTS, daemon=3).settled(3)) == sorted((stays.id, comes.id))


def listeners(stack):
    """The daemons' backends that LISTEN: they poll."""
    return [pid for pid, in stack.query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                                        "query LIKE '%changes AS MATERIALIZED%'")]


def test_news_that_no_daemon_could_hear_is_made_up_for(stack, new_user, bob, connect):
    """The daemons' LISTEN connections are gone, and cannot come back, while one user comes and one goes."""
    leaves, comes = new_user("Leaves"), new_user("Comes")
    bob.group(leaves, comes)
    watcher = watch(connect, bob, daemon=2)
    gone = connect(leaves, daemon=1)
    assert watcher.recv_json() == presence(leaves, "online")
    pids = eventually(lambda: len(found := listeners(stack)) == 3 and found, 10, "three daemons LISTEN")
    admin = stack.db("postgres")
    with admin.cursor() as cur:
        cur.execute("ALTER DATABASE parley ALLOW_CONNECTIONS false")
        try:
            cur.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) pid", (pids,))
            gone.abort()
            connect(comes, daemon=1)
            watcher.expect_nothing(DEBOUNCE + 1)
        finally:
            cur.execute("ALTER DATABASE parley ALLOW_CONNECTIONS true")
    admin.close()
    news = [watcher.recv_json(timeout=20) for _ in range(2)]
    assert sorted(map(str, news)) == sorted(map(str, (presence(leaves, "offline"), presence(comes, "online"))))
    watcher.expect_nothing(0.5)
