"""What a PostgreSQL goes through in years: made read-only, out of connections, another password, another host."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from parley import ctl
from parley.api import account
from parley.check import assert_problem
from parley.cluster import BIN, ROLE, Cluster
from parley.growth import every_worker_serves
from parley.metrics import SERVICES, ask, status
from parley.sockets import DmSocket
from parley.stack import Stack
from parley.wait import eventually

EX_CONFIG = 78


@pytest.fixture(scope="module")
def cluster():
    """With a role of Parley's own, as packages make one: no superuser."""
    own = Cluster().create()
    own.execute("CREATE ROLE parley LOGIN")
    own.execute("CREATE DATABASE parley OWNER parley")
    yield own
    own.destroy()


@pytest.fixture(scope="module")
def stack(cluster, request):
    failed = request.session.testsfailed
    with Stack(env={"DATABASE_URL": f"host={cluster.dir} user=parley password=secret dbname=parley"}) as one:
        yield one
        one.keep = request.session.testsfailed > failed


def lights(stack):
    """{service: (status, what is wrong)}"""
    return {name: (code, text) for name in SERVICES for code, _, text in [ask(stack, name, "/readyz")]}


# ---------------------------------------------------------------------- read-only

@pytest.fixture
def read_only(cluster, stack):
    """Makes the database read-only when called, for sessions from then on; ends those there are."""
    def begin(end=True):
        cluster.execute("ALTER ROLE parley SET default_transaction_read_only = on")
        if end:
            cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'parley'")
    yield begin
    cluster.execute("ALTER ROLE parley RESET default_transaction_read_only")
    eventually(lambda: {code for code, _ in lights(stack).values()} == {200}, what="service resumes by itself")
    eventually(stack.ready)


def test_a_read_only_database_is_read_and_refuses_the_rest(stack, alice, bob, connect, cluster, read_only):
    alice.make_message(bob, "before")
    sock, pids = connect(alice), [stack.pid(n) for n in ("fcgi-app", "fcgi-auth", "ws-daemon", "courier")]
    read_only()
    eventually(lambda: alice.me().status_code == 200)
    for _ in range(8):                  # each worker
        assert_problem(alice.send(bob, "x"), 503, "unavailable")
        assert alice.me().status_code == 200
        assert [m["content"] for m in alice.history(bob).json()] == ["before"]
    assert_problem(alice.login(username=alice.name, password=alice.password), 503, "unavailable")
    assert_problem(alice.refresh(), 503, "unavailable")
    eventually(lambda: (sock.say(bob, "y"), "error" in sock.recv_json())[1], what="a frame is refused")
    eventually(lambda: all("read-only" in text for _, text in lights(stack).values()), what="all lights say so")
    code, verdicts = ctl.doctor(stack, stack.url)
    said = [v for v in verdicts if v["check"] == "database" and v["state"] == "bad"]
    assert code == 1 and "read-only" in said[0]["says"] and "target_session_attrs" in said[0]["mend"], verdicts
    checked = ctl.run(stack, "config", "check")
    assert checked.returncode == EX_CONFIG and "read-only" in checked.stdout, checked

    cluster.execute("ALTER ROLE parley RESET default_transaction_read_only")
    eventually(lambda: alice.send(bob, "after", key="k").status_code == 201, what="sends are taken again")
    frame = eventually(lambda: (f := sock.recv_json()).get("content") == "after" and f, what="and told to sockets")
    assert frame["sender_id"] == alice.id
    eventually(lambda: "error" not in sock.exchange(bob, "by socket"), what="and by sockets, too")
    assert [stack.pid(n) for n in ("fcgi-app", "fcgi-auth", "ws-daemon", "courier")] == pids, "nobody was restarted"


def test_a_reader_of_both_sees_no_haste(stack, alice, bob, connect, cluster, read_only):
    """A session that may not write is replaced now and then, not with each refusal."""
    connect(alice)
    read_only()
    eventually(lambda: alice.send(bob, "x").status_code == 503)
    count = "SELECT sessions FROM pg_stat_database WHERE datname = 'parley'"
    before, start, refused = cluster.execute(count)[0][0], time.monotonic(), 0
    while refused < 400 or time.monotonic() < start + 4:
        assert_problem(alice.send(bob, "x"), 503, "unavailable")
        refused += 1
    who, each = int(stack.env.get("API_WORKERS", 4)) + 4, (time.monotonic() - start) / 2 + 2    # every two seconds
    assert cluster.execute(count)[0][0] - before < min(who * each + 20, refused / 2)


# ---------------------------------------------------------------------- no connection to be had

def test_out_of_connections_is_503_and_said_so(stack, alice, cluster):
    """Those that stand go on; a new one is refused until there is room."""
    eventually(lambda: every_worker_serves(stack, alice), what="every worker has its own connection")
    cluster.execute("ALTER ROLE parley CONNECTION LIMIT 0")
    for _ in range(8):
        assert alice.me().status_code == 200
    cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'parley'")
    try:
        for _ in range(8):
            assert_problem(alice.me(), 503, "unavailable")
        eventually(lambda: "too many connections for role" in stack.log_text(), what="the log says why")
        eventually(lambda: {status(stack, name, "/readyz") for name in SERVICES} == {503}, what="no light is green")
        done = ctl.run(stack, "config", "check")
        assert done.returncode == EX_CONFIG and "too many connections" in done.stdout, done
    finally:
        cluster.execute("ALTER ROLE parley CONNECTION LIMIT -1")
    eventually(lambda: {code for code, _ in lights(stack).values()} == {200}, what="service resumes by itself")
    eventually(stack.ready)


# ---------------------------------------------------------------------- another password

def test_a_changed_password_is_said_so_and_what_stands_goes_on(stack, alice, bob, connect, cluster):
    """Nobody is thrown out; who has to connect anew cannot, and says why, until the setting is right again."""
    rules = cluster.dir / "data" / "pg_hba.conf"
    was = rules.read_text()
    eventually(lambda: every_worker_serves(stack, alice), what="every worker has its own connection")
    cluster.execute("ALTER ROLE parley PASSWORD 'another'")
    rules.write_text("local all parley scram-sha-256\n" + was)
    cluster.execute("SELECT pg_reload_conf()")
    try:
        sender = connect(alice)
        for _ in range(8):
            assert alice.make_message(bob, "it goes on")
        assert {f["content"] for f in sender.collect(8)} == {"it goes on"}
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'parley'")
        eventually(lambda: {code for code, _ in lights(stack).values()} == {503}, what="no light is green")
        assert_problem(alice.me(), 503, "unavailable")
        eventually(lambda: "password authentication failed" in stack.log_text(), what="the log says why")
        done = ctl.run(stack, "config", "check")
        assert done.returncode == EX_CONFIG and "password authentication failed" in done.stdout, done
    finally:
        rules.write_text(was)
        cluster.execute("SELECT pg_reload_conf()")
    eventually(lambda: {code for code, _ in lights(stack).values()} == {200}, what="service resumes by itself")
    assert sender.exchange(bob, "on the same socket")["content"] == "on the same socket"


# ---------------------------------------------------------------------- several hosts

class Silent:
    """A host that takes connections and never says a word."""

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(directory / ".s.PGSQL.5432"))
        (directory / ".s.PGSQL.5432").chmod(0o777)
        self.socket.listen(100)
        self.socket.setblocking(False)
        self.taken = []

    def calls(self):
        """How many have connected since it was asked last."""
        before = len(self.taken)
        with suppress(BlockingIOError):
            while True:
                self.taken.append(self.socket.accept()[0])
        return len(self.taken) - before

    def close(self):
        for one in (self.socket, *self.taken):
            one.close()


class Standby(Cluster):
    """A copy of a cluster that follows it."""

    def create(self, of):
        subprocess.run(self._command(BIN / "pg_basebackup", "-h", of.dir, "-U", ROLE, "-D", self.dir / "data", "-R", "-c", "fast"),
                       check=True, cwd="/", stdout=subprocess.DEVNULL)
        return self.start()

    def has_all_of(self, of):
        return self.execute("SELECT pg_last_wal_replay_lsn()") == of.execute("SELECT pg_current_wal_lsn()")


@pytest.fixture
def two():
    """A cluster and its standby."""
    first = Cluster().create()
    first.execute("CREATE DATABASE parley")
    second = Standby().create(first)
    yield first, second
    for one in (first, second):
        one.destroy()


def two_hosts(first, second):
    return f"host={first},{second} user={ROLE} dbname=parley target_session_attrs=read-write"


def test_a_standby_takes_over(two):
    first, second = two
    with Stack(env={"DATABASE_URL": two_hosts(first.dir, second.dir)}) as stack:
        alice, bob = account(stack), account(stack)
        pids = [stack.pid(n) for n in ("fcgi-app", "fcgi-auth", "ws-daemon", "courier")]
        with DmSocket(stack, alice.token) as sock:
            assert sock.exchange(bob, "before")["content"] == "before"
            eventually(lambda: second.has_all_of(first), what="the standby follows")
            first.stop(signal.SIGKILL)
            for _ in range(8):
                assert_problem(alice.send(bob, "x"), 503, "unavailable")
            second.execute("SELECT pg_promote()")
            eventually(lambda: alice.send(bob, "after", key="k").status_code == 201, what="the standby is written to")
            frame = eventually(lambda: (f := sock.recv_json()).get("content") == "after" and f, what="sockets hear of it")
            assert frame["sender_id"] == alice.id
            eventually(lambda: "error" not in sock.exchange(bob, "by socket"))
        eventually(lambda: {code for code, _ in lights(stack).values()} == {200})
        assert [m["content"] for m in alice.whole_history(bob)][:2] == ["before", "after"]
        assert [stack.pid(n) for n in ("fcgi-app", "fcgi-auth", "ws-daemon", "courier")] == pids, "nobody was restarted"
        assert ctl.run(stack, "config", "check").returncode == 0


def test_a_first_host_that_is_silent_costs_seconds_and_not_the_service(cluster):
    """As one does whose power is gone: an attempt to connect that begins with it has no time left for the other."""
    dead = Path(tempfile.mkdtemp(prefix="parley-", dir="/tmp"))
    dead.chmod(0o755)
    cluster.execute("CREATE DATABASE two")
    try:
        with Stack(env={"DATABASE_URL": two_hosts(dead, cluster.dir).replace("dbname=parley", "dbname=two")}) as stack:
            alice, bob = account(stack), account(stack)
            with closing(Silent(dead)) as silent:
                assert ctl.run(stack, "stats").returncode == 0, "parleyctl goes on to the next"
                assert ctl.run(stack, "migrate").returncode == 0, "and so do the migrations"
                cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'two'")
                eventually(lambda: {code for code, _ in lights(stack).values()} == {200}, what="all found the other host")
                eventually(stack.ready)
                for _ in range(8):
                    assert alice.make_message(bob, "here")
                cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'two'")
                assert silent.calls(), "they began with it"
                eventually(lambda: alice.send(bob, "and again").status_code == 201)
                assert silent.calls() == 0, "whoever has found the other begins with it"
    finally:
        shutil.rmtree(dead)
