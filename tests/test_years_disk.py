"""Disks that are full: of PostgreSQL's tables, of the logs, of everything. Nothing hangs, dies or spins."""

import os
import time

import psycopg2
import pytest

from parley import procs
from parley.api import account
from parley.check import assert_problem
from parley.cluster import ROLE, Cluster
from parley.disk import small_disk
from parley.metrics import SERVICES, status
from parley.sockets import DmSocket
from parley.stack import Stack
from parley.wait import eventually, seconds, slowest_but_one

LARGE = os.urandom(8000).hex()          # nothing to compress: each takes pages of its own


# ---------------------------------------------------------------------- PostgreSQL's

@pytest.fixture(scope="module")
def tables():
    """The disk of a database, in a cluster whose other files are elsewhere."""
    own = Cluster().create()
    try:
        with small_disk(own.dir / "disk", 64, ROLE) as disk:
            os.mkdir(disk.path / "space")
            os.chown(disk.path / "space", (own.dir / "data").stat().st_uid, -1)
            own.execute(f"CREATE TABLESPACE small LOCATION '{disk.path}/space'")
            own.execute("CREATE DATABASE parley TABLESPACE small")
            disk.cluster = own
            yield disk
            own.stop()
    finally:
        own.destroy()


@pytest.fixture(scope="module")
def stack(tables, request):
    failed = request.session.testsfailed
    with Stack(env={"DATABASE_URL": tables.cluster.url("parley")}) as one:
        yield one
        one.keep = request.session.testsfailed > failed


@pytest.fixture
def full(tables, stack):
    """Fills the disk when called; there is room again after the test."""
    yield tables.fill
    tables.free()
    eventually(stack.ready, what="service resumes")


def send_until_refused(alice, bob):
    """What still fits into the pages there are is stored; the answer to the first that does not."""
    stored = []
    for n in range(200):
        resp = alice.send(bob, f"{n:03}" + LARGE)
        if resp.status_code != 201:
            return stored, resp
        stored.append(resp.json()["content"])
    raise AssertionError("the disk is not full")


def test_sends_are_refused_with_503_and_all_that_was_acknowledged_is_there(alice, bob, full, tables):
    alice.make_message(bob, "before")
    full()
    stored, refused = send_until_refused(alice, bob)
    # Eight: each worker.
    taken = [seconds(lambda: assert_problem(alice.send(bob, LARGE), 503, "unavailable")) for _ in range(8)]
    assert slowest_but_one(taken) < 2, f"not after the time a statement has: {taken}"
    assert_problem(refused, 503, "unavailable")
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", *stored], "reading goes on"
    assert alice.me().status_code == 200 and alice.conversations().status_code == 200
    login = alice.login(username=alice.name, password=alice.password)
    if login.status_code != 200:        # where its rows do not fit either
        assert_problem(login, 503, "unavailable")
    tables.free()
    assert alice.make_message(bob, "after")["content"] == "after"


def test_sockets_stay_and_are_told_what_was_not_stored(alice, bob, connect, full, tables, stack):
    daemon, sender, receiver = stack.pid("ws-daemon"), connect(alice), connect(bob)
    assert sender.exchange(bob, "before")["content"] == "before"
    assert receiver.recv_json()["content"] == "before"
    full()
    stored, _ = send_until_refused(alice, bob)
    for n in range(3):
        sender.say(bob, LARGE, client_msg_id=f"k{n}")
    frames = sender.collect(len(stored) + 3)
    assert [f["content"] for f in frames if "content" in f] == stored
    assert [set(f) for f in frames if "content" not in f] == [{"error"}] * 3
    assert [f["content"] for f in receiver.collect(len(stored))] == stored
    tables.free()
    echo = eventually(lambda: (frame := sender.exchange(bob, "after")).get("content") and frame, what="it goes on")
    assert receiver.recv_json()["id"] == echo["id"]
    assert stack.pid("ws-daemon") == daemon


def test_what_cannot_be_noted_is_tried_again_without_haste(alice, connect, stack):
    """Who is connected, for one; not in each turn of the daemon's loop, with a line in two logs each."""
    stack.query("CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$")
    stack.query("CREATE TRIGGER no_room BEFORE INSERT ON online FOR EACH ROW EXECUTE FUNCTION no_room()")
    refused = lambda: stack.log_text().count('sqlstate=53100 reason="no space left"')  # noqa: E731
    try:
        connect(alice)
        before = eventually(refused, what="the daemon has tried")
        time.sleep(2)
        assert 1 <= refused() - before <= 6
    finally:
        stack.query("DROP FUNCTION no_room CASCADE")
    user = "SELECT count(*) FROM online o JOIN users u ON u.id = o.user_id WHERE u.username = %s"
    eventually(lambda: stack.query(user, alice.name) == [(1,)], what="it is noted after all")


# ---------------------------------------------------------------------- that of everything

@pytest.fixture(scope="module")
def whole(tmp_path_factory, request):
    """A stack with all it has on one small disk: tables, logs, pid files."""
    failed = request.session.testsfailed
    directory = tmp_path_factory.mktemp("y", numbered=True)
    for parent in (directory, *directory.parents):
        if parent.owner() == directory.owner() and parent != parent.parent and str(parent).startswith("/tmp/"):
            os.chmod(parent, parent.stat().st_mode | 0o755)
    with small_disk(directory / "v", 256) as disk:
        one = Stack(var=disk.path / "var", fresh=True)
        with one:
            one.disk = disk
            yield one
            disk.free()
            one.keep = request.session.testsfailed > failed


def processor(pids):
    """Seconds of processor time that these have used."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            ticks += sum(map(int, stat.read().rpartition(") ")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def test_a_full_disk_neither_ends_nor_blocks_nor_spins_anybody(whole):
    alice, bob = account(whole), account(whole)
    names = ("nginx", "fcgi-app", "fcgi-auth", "ws-daemon", "courier", "postmaster")
    before = {name: whole.pid(name) for name in names}
    with DmSocket(whole, alice.token) as sock:
        assert sock.exchange(bob, "before")["content"] == "before"
        whole.disk.fill()
        for n in range(50):             # more than a page of each log
            assert alice.me().status_code == 200
        watched = [pid for name in names for pid in (before[name], *procs.children(before[name]))]
        watched = [pid for pid in watched if procs.alive(pid)]
        used = processor(watched)
        time.sleep(2)
        assert processor([pid for pid in watched if procs.alive(pid)]) - used < 0.5
        answer = alice.send(bob, "meanwhile", key="meanwhile")
        assert answer.status_code in (201, 503), answer.text
        whole.disk.free()
        eventually(lambda: alice.send(bob, "meanwhile", key="meanwhile").status_code == 201, what="it goes on")
        frames = [sock.recv_json() for _ in range(1)]
        assert frames[0]["content"] == "meanwhile"
    assert {name: whole.pid(name) for name in names} == before
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", "meanwhile"]


@pytest.mark.parametrize("name", ["fcgi-app", "ws-daemon"])
def test_what_dies_while_the_disk_is_full_comes_back(whole, name):
    alice = account(whole)
    whole.disk.fill()
    try:
        old = whole.kill(name)
        eventually(lambda: not procs.alive(old))
        eventually(lambda: status(whole, name, "/healthz") == 200, what="it runs again")
        assert alice.me().status_code == 200
    finally:
        whole.disk.free()
    eventually(lambda: all(status(whole, one, "/readyz") == 200 for one in SERVICES), what="all is well")


def test_postgresql_without_room_for_its_journal_loses_nothing_and_comes_back(whole):
    """It ends itself (PANIC), and cannot start as long as that lasts."""
    alice, bob = account(whole), account(whole)
    alice.make_message(bob, "before", key="before")
    with DmSocket(whole, alice.token) as sock:
        whole.disk.fill()
        sent, refused = [], 0
        for n in range(3):
            try:
                whole.query("SELECT pg_switch_wal()")       # a new file of 16 MB is needed for the next record
            except psycopg2.Error:
                pass
            answer = alice.send(bob, f"n{n}", key=f"n{n}")
            assert answer.status_code in (201, 503), answer.text
            sent += [f"n{n}"] if answer.status_code == 201 else []
            refused += answer.status_code == 503
        assert refused, "there was room after all"
        taken = [seconds(lambda: assert_problem(alice.me(), 503, "unavailable")) for _ in range(8)]
        assert slowest_but_one(taken) < 3, f"not after the time a statement has: {taken}"
        whole.disk.free()
        eventually(lambda: alice.send(bob, "after", key="after").status_code == 201, what="it goes on")
        eventually(lambda: all(status(whole, one, "/readyz") == 200 for one in SERVICES), what="all is well")
        told = []
        eventually(lambda: told.append(sock.recv_json()["content"]) or told[-1] == "after")
    history = [m["content"] for m in alice.whole_history(bob)]
    assert {"before", "after", *sent} <= set(history) and len(history) == len(set(history))
    assert told in (history, history[1:]), "the socket stayed, and heard of each"


# ---------------------------------------------------------------------- logs

def test_a_log_that_grows_large_is_cut_even_without_room_for_a_copy(whole):
    log = whole.var / "log" / "s6.log"
    with open(log, "a") as out:
        out.write("x" * 63 + "\n")
        out.truncate(40 << 20)          # it takes no room, but its copy would
    with open(log, "r+b") as out:
        for at in range(0, 40 << 20, 4096):
            out.seek(at)
            out.write(b"x")
    whole.disk.fill()
    try:
        eventually(lambda: log.stat().st_size < 1 << 20, what="it is cut")
    finally:
        whole.disk.free()
