"""Who is online, over three daemons, and what a crowd, a daemon that stops or PostgreSQL may do meanwhile."""

import signal
import time
from contextlib import closing

import psycopg2
import pytest

from conftest import running
from parley import procs
from parley.cluster import ROLE
from parley.conv import EVENTS, ConvSocket, conv_account, conv_socket
from parley.crowd import Crowd, expected_view, people, rows_written
from parley.presence import DEBOUNCE, THREE, in_table, presence, watch, whole  # noqa: F401
from parley.wait import eventually

ACCOUNT = conv_account
SOCKET = conv_socket
STACK = THREE


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


# ---------------------------------------------------------------------- a crowd

CALM = 5                                # seconds in which all of a crowd are back, also on a slow machine


@pytest.fixture
def calm_stack(request):
    with running(request, daemons=3, settings={"PRESENCE_DEBOUNCE": CALM * 1000}) as one:
        yield one


def test_a_storm_of_reconnects_writes_few_rows_and_tells_each_once(calm_stack):
    """300 users, each with 23 others: 6,900 pairs."""
    stack = calm_stack
    persons = people(stack, conv_account(stack).token, 300)
    due = expected_view(persons)
    pairs = sum(map(len, due.values()))
    before = rows_written(stack)
    with Crowd(stack, persons) as crowd:
        crowd.open().settle(1.5, online=pairs)
        assert crowd.view() == due
        assert crowd.frames == {"online": pairs}
        first = rows_written(stack)
        assert (first[0] - before[0], first[1] - before[1]) == (300, 0)

        crowd.hang_up().open(daemon=1).settle(CALM + 1, online=pairs)     # 100 or so were on each daemon
        assert crowd.view() == due
        assert crowd.frames == {"online": pairs}
        second = rows_written(stack)
        assert second[0] - first[0] == second[1] - first[1] <= 300

        crowd.hang_up().open(daemon=1).settle(CALM + 1, online=pairs)
        assert crowd.frames == {"online": pairs}                # the greetings
        assert rows_written(stack) == second
        crowd.hang_up()
    eventually(lambda: not stack.query("SELECT 1 FROM online LIMIT 1"), what="everybody is offline")
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
    assert watcher.recv_json() == presence(carol, "offline")
    watcher.expect_nothing(0.5)
    stack.seconds_to_respawn("ws-daemon", old)
    eventually(lambda: stack.daemon_ready(1))
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
    old = stack.kill("ws-daemon")
    with procs.standing_still([stack.pid("ws-daemon-2")]):
        stack.seconds_to_respawn("ws-daemon", old)
        eventually(lambda: stack.daemon_ready(1))
        connect(back, daemon=1)         # in time: no news
        gone = [watcher.recv_json(timeout=31) for _ in range(2)]
        assert time.monotonic() - died < 30
        assert sorted(map(str, gone)) == sorted(str(presence(who, "offline")) for who in (killed, frozen))
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
            news = [sock.recv_json() for _ in range(2)]
            assert sorted(map(str, news)) == sorted(map(str, (presence(leaves, "offline"), presence(comes, "online"))))
        for sock, seconds in zip(watchers, (3, 0.1)):           # the second one has had its silence with the first
            sock.expect_nothing(seconds)
        in_table(stack, stays, comes, bob)
        in_table(stack, leaves, online=False)
        connect(bob, aside=EVENTS, daemon=3).exactly(presence(stays, "online"), presence(comes, "online"))


def test_news_that_no_daemon_could_hear_is_made_up_for(stack, new_user, bob, connect):
    """The daemons' LISTEN connections are gone, and cannot come back, while one user comes and one goes."""
    leaves, comes = new_user("Leaves"), new_user("Comes")
    bob.group(leaves, comes)
    watcher = watch(connect, bob, daemon=2)
    gone = connect(leaves, daemon=1)
    assert watcher.recv_json() == presence(leaves, "online")
    pids = eventually(lambda: len(found := stack.listeners()) == 3 and found, what="three daemons LISTEN")
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
    news = [watcher.recv_json() for _ in range(2)]
    assert sorted(map(str, news)) == sorted(map(str, (presence(leaves, "offline"), presence(comes, "online"))))
    watcher.expect_nothing(0.5)


def listens(cur):
    cur.execute("SELECT 1 FROM pg_stat_activity WHERE usename = 'listener' AND pid <> pg_backend_pid()")
    return cur.fetchall()


@pytest.fixture
def late(request):
    """A stack whose daemon listens as another role, so that all else of it can be kept out alone."""
    with running(request, settings={"PRESENCE_DEBOUNCE": 1000}) as stack:
        stack.listen_as("listener", "SUPERUSER")
        eventually(stack.ready)
        yield stack


def test_a_daemon_that_registers_again_late_is_not_thought_gone(late):
    """After a crash of PostgreSQL it hears of it first, and is let in to say who is there a second later."""
    alice, bob = conv_account(late), conv_account(late)
    alice.group(bob)
    with conv_socket(bob, aside=EVENTS) as watcher, conv_socket(alice):
        assert watcher.recv_json() == presence(alice, "online")
        in_table(late, alice, bob)
        tries = lambda: late.log_text().count("event=database_lost connection=queries")
        with closing(psycopg2.connect(f"host={late.var}/run user=listener dbname=parley")) as admin, admin.cursor() as cur:
            admin.autocommit = True
            cur.execute("TRUNCATE daemons, online")
            cur.execute(f'ALTER ROLE "{ROLE}" NOLOGIN')
            cur.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE usename IS NOT NULL AND pid <> pg_backend_pid()")
            eventually(lambda: listens(cur))
            before = tries()
            eventually(lambda: tries() >= before + 3, what="it was late")
            cur.execute(f'ALTER ROLE "{ROLE}" LOGIN')
        in_table(late, alice, bob)
        watcher.expect_nothing(5)       # it is asked who is online after four seconds
