"""Who is slow pays for it, not the others: a reader that stops reading, a PostgreSQL that stands still."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket

from parley import procs
from parley.check import assert_problem
from parley.growth import every_worker_serves
from parley.held import HeldConversation
from parley.proxy import Proxy
from parley.sockets import DmSocket
from parley.stack import Stack
from parley.traffic import Traffic
from parley.wait import eventually, seconds
from test_sql_and_config import EX_CONFIG, run

OUTBOX, ALL_OUTBOXES = 1_040_000, 1_048_576
LARGE = 16_000
#: Short, so that what is stuck is seen to be stuck soon.
SETTINGS = {"STATEMENT_TIMEOUT": 1000, "LOCK_TIMEOUT": 900, "OUTBOX_MAX": OUTBOX, "OUTBOX_TOTAL": ALL_OUTBOXES}
#: A worker gives a statement up a second after its timeout, the daemon after two.
GIVEN_UP = 3


@pytest.fixture(scope="module")
def proxy(cluster):
    own = Proxy(cluster)
    yield own
    own.close()


@pytest.fixture(scope="module")
def stack(cluster, proxy, request):
    """A stack whose programs reach PostgreSQL through the proxy."""
    failed = request.session.testsfailed
    with Stack(env={"DATABASE_URL": proxy.url("parley")}, settings=SETTINGS) as one:
        yield one
        one.keep = request.session.testsfailed > failed


# ---------------------------------------------------------------------- readers that stop reading

class Stalled(DmSocket):
    """Connected past nginx, whose buffers would read on, and reads only when told to."""

    def __init__(self, user, **options):
        super().__init__(user.stack, user.token, daemon=1, **options)


def large_exchange(sender, receiver, recipient, count):
    """Large messages, each seen by the receiver before the next is sent; their ids."""
    ids = []
    for n in range(count):
        ids.append(sender.exchange(recipient, f"{n:03}" + "x" * LARGE)["id"])
        assert receiver.recv_json()["id"] == ids[-1]
    return ids


def test_a_reader_that_stops_is_closed_with_4008_and_the_others_get_everything(stack, alice, bob, connect):
    sender, receiver = connect(alice), connect(bob)
    mark = large_exchange(sender, receiver, bob, 1)[0]
    stalled = Stalled(bob)
    ids = large_exchange(sender, receiver, bob, 3 * OUTBOX // LARGE // 2)
    stalled.expect_close(4008)
    stack.wait_for_log("reason=too_slow")
    with DmSocket(stack, bob.token, since=mark) as back:
        assert [f["id"] for f in back.collect(len(ids))] == ids, "what it missed comes when it returns"
    assert len(large_exchange(sender, receiver, bob, 3)) == 3


def test_when_all_wait_for_too_much_the_furthest_behind_is_closed(stack, alice, bob, connect):
    """Whatever the kernel holds for each socket, up to 200 kB of these."""
    sender, receiver, furthest = connect(alice), connect(bob), Stalled(bob)
    ahead, together = 43, 18
    large_exchange(sender, receiver, bob, ahead)
    others = [Stalled(bob) for _ in range(3)]
    ids = large_exchange(sender, receiver, bob, together)
    assert (ahead + together) * (LARGE + 400) < OUTBOX, "it is not its own bound that it meets"
    furthest.expect_close(4008)
    for sock in others:
        assert [f["id"] for f in sock.collect(together)] == ids


# ---------------------------------------------------------------------- a PostgreSQL that stands still

class Stuck:
    """PostgreSQL stopped in its tracks, or silent as behind a broken network."""

    def __init__(self, kind, cluster, proxy):
        self.kind, self.cluster, self.proxy, self.pids = kind, cluster, proxy, []

    def begin(self):
        self.proxy.silent = self.kind == "silent"
        if self.kind == "stopped":
            postmaster = self.cluster.postmaster()
            self.stop(postmaster)       # it makes no more children
            self.stop(*procs.children(postmaster))

    def stop(self, *pids):
        self.pids += pids
        for pid in pids:
            procs.kill(pid, signal.SIGSTOP)
        eventually(lambda: all(procs.state(pid) in (b"T", b"") for pid in pids), 5, "they stand still")

    def end(self):
        self.proxy.silent = False
        if self.pids:                   # runuser stops with its child
            self.pids.append(self.cluster.process.pid)
        for pid in self.pids:
            procs.kill(pid, signal.SIGCONT)
        self.pids = []


@pytest.fixture(params=["stopped", "silent"])
def stuck(request, cluster, proxy, stack):
    one = Stuck(request.param, cluster, proxy)
    yield one
    one.end()
    eventually(stack.ready, what="service resumes")


def test_every_request_is_refused_and_none_hangs(stack, alice, bob, stuck):
    alice.make_message(bob, "before")
    asks = [alice.me, alice.conversations, lambda: alice.send(bob, "x"), alice.refresh] * 32
    stuck.begin()
    with ThreadPoolExecutor(16) as pool:
        answers = []
        taken = seconds(lambda: answers.extend(pool.map(lambda ask: ask(), asks)))
    for resp in answers:
        assert_problem(resp, 503, "unavailable")
        assert resp.headers["Retry-After"]
    rounds = len(asks) / int(stack.env.get("API_WORKERS", 4))
    assert taken < rounds * GIVEN_UP / 4, "the workers waited side by side, and once each, not with each request"


def test_a_frame_is_refused_and_later_ones_at_once(alice, bob, connect, stuck):
    sock = connect(alice)
    assert sock.exchange(bob, "before")["content"] == "before"
    stuck.begin()
    assert "unavailable" in sock.exchange(bob, "one")["error"]
    taken = [seconds(lambda: sock.exchange(bob, "more")["error"].index("unavailable")) for _ in range(20)]
    assert sum(taken) < 20 * GIVEN_UP / 4, f"each waited for a timeout of its own: {taken}"
    stuck.end()
    eventually(lambda: sock.exchange(bob, "after").get("content") == "after")


def test_nothing_acknowledged_is_lost(stack, stuck):
    with Traffic(stack, daemons=1) as traffic:
        retries = {sender: sender.retries for sender in traffic.senders}
        stuck.begin()
        eventually(lambda: all(sender.retries > before for sender, before in retries.items()))
        stuck.end()
        traffic.flow(10)


def test_who_starts_meanwhile_refuses_and_serves_later(stack, alice, bob, stuck):
    stuck.begin()
    old = {name: stack.kill(name) for name in ("fcgi-app", "ws-daemon")}
    for name, pid in old.items():
        stack.seconds_to_respawn(name, pid)
    assert_problem(alice.me(), 503, "unavailable")
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        DmSocket(stack, alice.token)
    assert refused.value.status_code == 503
    stuck.end()
    eventually(lambda: alice.me().status_code == 200)


# ---------------------------------------------------------------------- other trouble in the database

def test_a_session_that_the_server_ended_costs_no_request(stack, cluster, proxy, alice):
    """Also when its last words have come and the end of the connection has not."""
    eventually(lambda: every_worker_serves(stack, alice))
    proxy.held = True
    try:
        ended = "FROM pg_stat_activity WHERE application_name = 'parley' AND pid <> pg_backend_pid()"
        count = len(cluster.execute(f"SELECT pg_terminate_backend(pid) {ended}"))
        assert count >= 4
        eventually(lambda: proxy.withheld >= count, what="the last words of each were passed on")
        assert [alice.me().status_code for _ in range(12)] == [200] * 12
    finally:
        proxy.held = False


def test_a_locked_conversation_is_refused_and_holds_nobody_else_up(stack, alice, bob):
    alice.make_message(bob, "before")
    eventually(lambda: every_worker_serves(stack, alice))
    with ThreadPoolExecutor(8) as pool, HeldConversation(stack, alice, bob) as held:
        locked = [pool.submit(alice.send, bob, "locked") for _ in range(4)]
        eventually(held.waiting)
        others = [pool.submit(bob.me) for _ in range(4)]
        assert [resp.result().status_code for resp in others] == [200] * 4
        for answer in locked:
            assert_problem(answer.result(), 503, "unavailable")
    assert alice.send(bob, "after").status_code == 201
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", "after"]


# ---------------------------------------------------------------------- bounds that contradict each other

def test_a_pool_that_needs_more_connections_than_there_are_does_not_start(cluster, tmp_path):
    done = run("fcgi-app", DATABASE_URL=cluster.url("parley"), FCGI_LISTEN=str(tmp_path / "s"), FCGI_WORKERS="256",
               KEY_FILE=str(tmp_path / "keys"))
    assert done.returncode == EX_CONFIG, done.stderr
    assert "connections_short needed=256" in done.stderr and "max_connections" in done.stderr


@pytest.mark.parametrize("program", ["fcgi-app", "ws-daemon", "courier"])
@pytest.mark.parametrize("settings,named", [({"OUTBOX_MAX": "98304"}, "OUTBOX_MAX"),
                                            ({"MESSAGE_MAX": "100000"}, "OUTBOX_MAX"),
                                            ({"OUTBOX_MAX": "20000000", "OUTBOX_TOTAL": "10000000"}, "OUTBOX_TOTAL")])
def test_an_outbox_that_cannot_hold_what_it_has_to_stops_the_start(program, settings, named):
    failed = run(program, DATABASE_URL="host=/nowhere", **settings)
    assert failed.returncode == EX_CONFIG and f"{named} has to be at least" in failed.stderr, failed.stderr
