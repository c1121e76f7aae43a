"""Two daemons, and parts that die while messages flow: none lost, none doubled, order kept."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley import procs
from parley.check import assert_problem
from parley.held import LOCKS_LAST, HeldConversation
from parley.sockets import assert_closed_at_once
from parley.traffic import Traffic
from parley.wait import eventually, quickest, seconds, seconds_until

STACK = {"daemons": 2, "settings": LOCKS_LAST}


@pytest.fixture
def stack(module_stack):
    """Whole again before every test, whatever the one before it broke."""
    eventually(lambda: module_stack.database_answers() and module_stack.ready(), what="the stack answers")
    return module_stack


# ---------------------------------------------------------------------- two daemons meet in PostgreSQL

def test_rest_send_reaches_sockets_on_every_daemon(stack, alice, bob, connect):
    sockets = [connect(user, daemon=n) for user in (alice, bob) for n in (1, 2)]
    ids = [alice.make_message(bob, f"n{i}")["id"] for i in range(20)]
    for sock in sockets:
        assert [f["id"] for f in sock.collect(20)] == ids


@pytest.mark.parametrize("here,there", [(1, 2), (2, 1)])
def test_socket_send_on_one_daemon_reaches_the_other(alice, bob, connect, here, there):
    sender, device, receiver = connect(alice, daemon=here), connect(alice, daemon=there), connect(bob, daemon=there)
    echo = sender.exchange(bob, "across")
    assert receiver.recv_json() == device.recv_json() == echo
    receiver.expect_nothing(0.1)


def test_delivery_across_daemons_is_prompt(alice, bob, connect):
    sender, receiver = connect(alice, daemon=1), connect(bob, daemon=2)
    delays = []
    for n in range(7):
        time.sleep(0.15)                # a daemon that has had news goes on looking for FEED_AWAKE_US
        sender.say(bob, f"n{n}")
        delays.append(seconds(receiver.recv_json))
    # The sweep's deliveries are a second apart: but for the first, each would have taken the rest of it.
    assert sorted(delays)[3] < 0.5, f"a wake-up, not the sweep, should deliver: {delays}"


def test_logout_closes_sockets_on_every_daemon_within_a_second(alice, bob, connect):
    def seconds_open():
        device = alice.another_device()
        sockets = [connect(device, daemon=n) for n in (1, 2)]
        device.logout()
        return seconds(lambda: assert_closed_at_once(sockets, alice, bob))
    assert quickest(seconds_open) < 1


def test_one_key_on_two_daemons_stores_one_message(alice, bob, connect):
    sockets = [connect(alice, daemon=n) for n in (1, 2)]
    for n in range(20):
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda s: s.say(bob, "once", client_msg_id=f"k{n}"), sockets))
    eventually(lambda: len(alice.whole_history(bob)) >= 20)
    assert len(alice.whole_history(bob)) == 20


def test_order_is_the_same_on_both_daemons(alice, bob, connect):
    sockets = [connect(user, daemon=n) for user in (alice, bob) for n in (1, 2)]
    people = [(alice, bob), (bob, alice)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: people[i % 2][0].make_message(people[i % 2][1], f"n{i}"), range(100)))
    order = [m["id"] for m in alice.whole_history(bob)]
    for sock in sockets:
        assert [f["id"] for f in sock.collect(100)] == order


# ---------------------------------------------------------------------- killed processes come back

@pytest.mark.parametrize("name", ["nginx", "fcgi-app", "fcgi-auth", "ws-daemon", "ws-daemon-2", "postmaster"])
def test_killed_process_is_back_within_a_second(stack, alice, name):
    def seconds_away():
        time.sleep(1.1)                 # who has run for less than a second is held back
        return stack.seconds_to_respawn(name, stack.kill(name))
    assert quickest(seconds_away) < 1
    eventually(lambda: alice.me().status_code == 200, what="requests are served again")


def test_killed_worker_is_replaced_within_a_second(stack, alice):
    def seconds_away():
        time.sleep(1.1)                 # who has run for less than a second is held back
        before = stack.workers()
        assert len(before) == int(stack.env.get("API_WORKERS", 4))
        for pid in before:
            procs.kill(pid)
        return seconds_until(lambda: len(set(stack.workers()) - set(before)) == len(before))
    assert quickest(seconds_away) < 1
    eventually(lambda: alice.me().status_code == 200)


def test_workers_die_with_their_parent(stack):
    orphans = stack.workers()
    old = stack.kill("fcgi-app")
    eventually(lambda: not any(procs.alive(p) for p in orphans), what="the killed pool's workers are gone")
    stack.seconds_to_respawn("fcgi-app", old)


def test_nothing_unprivileged_needs_root_and_nothing_privileged_stays(stack):
    if procs.owner(stack.pid("nginx")) != 0:
        return                          # started as an ordinary user: there is nothing to give up
    for name in ("fcgi-app", "fcgi-auth", "ws-daemon", "postmaster"):
        assert procs.owner(stack.pid(name)) != 0, name


# ---------------------------------------------------------------------- bcrypt is kept away

def test_busy_auth_pool_holds_up_nothing_else(stack, alice, bob, connect):
    """The auth pool is stopped in its tracks: logins wait, messages do not."""
    workers = stack.workers("fcgi-auth")
    assert workers
    for pid in workers:
        procs.kill(pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            logins = [pool.submit(alice.login, username=alice.name, password=alice.password) for _ in range(4)]
            with connect(bob) as sock:
                for n in range(10):
                    sent = alice.make_message(bob, f"meanwhile {n}")
                    assert sock.recv_json()["id"] == sent["id"]
            assert not any(login.done() for login in logins)
            for pid in workers:
                procs.kill(pid, signal.SIGCONT)
            assert {login.result().status_code for login in logins} == {200}
    finally:
        for pid in workers:
            if procs.alive(pid):
                procs.kill(pid, signal.SIGCONT)


# ---------------------------------------------------------------------- while messages flow

def test_terminated_listen_backend_loses_nothing(stack):
    with Traffic(stack) as traffic:
        for _ in range(3):
            pids = eventually(lambda: len(found := stack.listeners()) == 2 and found, what="both daemons LISTEN")
            for pid in pids:
                assert stack.query("SELECT pg_terminate_backend(%s)", pid) == [(True,)]
            traffic.flow(15)


def test_every_backend_terminated_loses_nothing(stack):
    with Traffic(stack) as traffic:
        for _ in range(3):
            stack.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
            traffic.flow(15)


@pytest.mark.parametrize("name", ["ws-daemon", "ws-daemon-2"])
def test_killed_daemon_loses_and_doubles_nothing(stack, name):
    with Traffic(stack) as traffic:
        old = stack.kill(name)
        stack.seconds_to_respawn(name, old)
        traffic.flow(15)
    reconnected = [r for r in traffic.receivers if r.connections > 1]
    assert reconnected, "somebody was connected to the killed daemon"


def test_both_daemons_killed_lose_nothing(stack):
    with Traffic(stack) as traffic:
        for name in ("ws-daemon", "ws-daemon-2"):
            stack.kill(name)
        traffic.flow(15)


def test_killed_workers_lose_and_double_nothing(stack):
    with Traffic(stack) as traffic:
        for _ in range(5):
            for pid in stack.workers()[:2]:
                procs.kill(pid)
            traffic.flow(5)


def test_killed_pool_loses_nothing(stack):
    with Traffic(stack) as traffic:
        stack.kill("fcgi-app")
        traffic.flow(15)


def test_killed_nginx_loses_nothing(stack):
    with Traffic(stack) as traffic:
        old = stack.kill("nginx")
        stack.seconds_to_respawn("nginx", old)
        traffic.flow(15)


def test_postgresql_killed_while_messages_flow_loses_nothing(stack):
    with Traffic(stack) as traffic:
        old = stack.kill("postmaster")
        stack.seconds_to_respawn("postmaster", old)
        traffic.flow(15)


def test_postgresql_restarted_while_messages_flow_loses_nothing(stack):
    with Traffic(stack) as traffic:
        old = stack.kill("postmaster", signal.SIGINT)
        stack.seconds_to_respawn("postmaster", old)
        traffic.flow(15)


def test_a_daemon_stopped_gracefully_sends_its_clients_elsewhere(stack, alice, bob, connect):
    sock = connect(bob, daemon=2)
    old = stack.kill("ws-daemon-2", signal.SIGTERM)
    sock.expect_close(1001)
    stack.seconds_to_respawn("ws-daemon-2", old)


# ---------------------------------------------------------------------- in the middle of a request

def caught_in_the_middle(stack, alice, bob, content, break_it):
    """Send with a key, break something while the send waits for a lock, return the answer."""
    with ThreadPoolExecutor(1) as pool, HeldConversation(stack, alice, bob) as held:
        answer = pool.submit(alice.send, bob, content, key=content)
        eventually(held.waiting, what="the send waits in the database")
        break_it()
        held.release()
        return answer.result()


def test_worker_killed_mid_request_stores_the_message_once(stack, alice, bob, connect):
    receiver = connect(bob)
    alice.make_message(bob, "before")

    def kill_all_workers():
        for pid in stack.workers():
            procs.kill(pid)

    resp = caught_in_the_middle(stack, alice, bob, "interrupted", kill_all_workers)
    assert_problem(resp, 502)
    eventually(lambda: alice.send(bob, "interrupted", key="interrupted").status_code == 201)
    alice.make_message(bob, "after")
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", "interrupted", "after"]
    assert [f["content"] for f in receiver.collect(3)] == ["before", "interrupted", "after"]


def test_backend_terminated_mid_request_is_a_503_and_the_retry_stores_once(stack, alice, bob):
    alice.make_message(bob, "before")

    def terminate_waiting():
        stack.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    resp = caught_in_the_middle(stack, alice, bob, "interrupted", terminate_waiting)
    if resp.status_code != 201:         # a worker may as well have tried again by itself
        assert_problem(resp, 503, "unavailable")
        eventually(lambda: alice.send(bob, "interrupted", key="interrupted").status_code == 201)
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", "interrupted"]
