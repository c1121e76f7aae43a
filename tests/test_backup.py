"""What pg_dump wrote can be restored, and nobody notices; parleyctl backup verify tells whether it is all there."""

import json
import os
import signal
import subprocess

import pytest

from parley import ctl
from parley.check import number_of
from parley.cluster import Cluster
from parley.conv import Conv, conv_account, conv_socket
from parley.events import now, page, since, told
from parley.procs import kill
from parley.stack import Stack, binary
from parley.wait import eventually

STACK = {}
EX_DATAERR, EX_NOINPUT, EX_UNAVAILABLE, EX_TEMPFAIL = 65, 66, 69, 75


@pytest.fixture
def stack(module_stack):
    return module_stack


@pytest.fixture
def talk(stack):
    alice, bob = conv_account(stack), conv_account(stack)
    room = alice.group(bob)
    for n in range(12):
        alice.say(room, f"line {n}")
    return alice, bob, room


@pytest.fixture
def dump(stack, talk, tmp_path):
    """A function that makes a backup in one of pg_dump's formats; its path."""
    def make(form="c", *more):
        path = tmp_path / f"backup.{form}"
        subprocess.run(["pg_dump", "-d", stack.conninfo(), "-F", form, "-f", path, *more], check=True)
        return path
    return make


def scratches(stack):
    return stack.query("SELECT datname FROM pg_database WHERE datname LIKE 'parley_verify%'")


@pytest.mark.parametrize("form", ["c", "p", "d", "t"])
def test_backup_of_a_live_server_is_complete(stack, talk, dump, form):
    alice, _, room = talk
    path = dump(form)
    alice.say(room, "after the backup")
    found = ctl.ask(stack, "backup", "verify", path, timeout=120)
    assert found["faults"] == [] and found["messages"] >= 12 and found["users"] >= 2
    assert ctl.run(stack, "backup", "verify", path, timeout=120).stdout.startswith("complete: ")
    assert not scratches(stack)


def test_a_missing_message_is_named(stack, talk, dump):
    _, _, room = talk
    path = dump("p")
    lines = path.read_text().splitlines(keepends=True)
    gone = [n for n, line in enumerate(lines) if line.split("\t")[1:2] == [str(number_of(room["id"]))]
            and any(f"line {k}" in line for k in (4, 5, 9))]
    assert len(gone) == 3
    path.write_text("".join(line for n, line in enumerate(lines) if n not in gone))
    done = ctl.run(stack, "--json", "backup", "verify", path, timeout=120)
    assert done.returncode == EX_DATAERR
    assert [(f["conversation"], f["what"], f["first"], f["last"]) for f in json.loads(done.stdout)["faults"]] \
        == [(number_of(room["id"]), "missing", 5, 6), (number_of(room["id"]), "missing", 10, 10)]
    told_people = ctl.run(stack, "backup", "verify", path, timeout=120)
    assert told_people.returncode == EX_DATAERR and "2 faults" in told_people.stderr
    assert str(number_of(room["id"])) in told_people.stdout
    assert not scratches(stack)


@pytest.fixture
def restored(stack, dump):
    """The conninfo of a backup restored by hand, beside the original."""
    name = f"restored_{os.getpid()}"
    with_super = stack.conninfo("postgres")
    subprocess.run(["psql", "-qX", "-d", with_super, "-c", f"CREATE DATABASE {name}"], check=True)
    subprocess.run(["pg_restore", "--no-owner", "-d", stack.conninfo(name), dump()], check=True)
    yield name
    subprocess.run(["psql", "-qX", "-d", with_super, "-c", f"DROP DATABASE {name}"], check=True)


def test_a_restored_database_is_looked_at_where_it_is(stack, talk, restored):
    room = number_of(talk[2]["id"])
    url = stack.conninfo(restored)
    assert ctl.ask(stack, "backup", "verify", url)["faults"] == []
    damage = [("DELETE FROM messages WHERE conversation_id = %s AND seq = 1", ("missing", 1, 1)),
              ("DELETE FROM messages WHERE conversation_id = %s AND seq = 12", ("missing", 12, 12)),
              ("UPDATE conversations SET last_seq = 10 WHERE id = %s", ("surplus", 11, 11)),
              ("DELETE FROM conversations WHERE id = %s", ("stray", 2, 11))]
    conn = stack.db(restored)
    with conn.cursor() as cur:
        for sql, fault in damage:
            cur.execute(sql, (room,))
            done = ctl.run(stack, "--json", "backup", "verify", url)
            assert done.returncode == EX_DATAERR, done
            faults = json.loads(done.stdout)["faults"]
            assert fault in [(f["what"], f["first"], f["last"]) for f in faults], (sql, faults)
    conn.close()


def test_what_is_no_backup_is_refused(stack, dump, tmp_path):
    def refused(path, status, word):
        done = ctl.run(stack, "backup", "verify", path, timeout=120)
        assert (done.returncode, done.stdout) == (status, "") and word in done.stderr, done
        assert not scratches(stack)

    refused(tmp_path / "none", EX_NOINPUT, "No such file")
    junk = tmp_path / "junk"
    junk.write_text("this is no SQL;\n")
    refused(junk, EX_DATAERR, "cannot be restored")
    cut = tmp_path / "cut"
    cut.write_bytes(dump().read_bytes()[:5000])
    refused(cut, EX_DATAERR, "cannot be restored")
    subprocess.run(["gzip", "-k", dump("p")], check=True)
    refused(f"{tmp_path}/backup.p.gz", EX_DATAERR, "unpack")
    refused(dump("p", "--create"), EX_DATAERR, "--create")


def test_interrupted_it_leaves_nothing_behind(stack, dump):
    path = dump("p")
    path.write_text("SELECT pg_sleep(600);\n" + path.read_text())
    verify = subprocess.Popen([binary("parleyctl"), "--config", stack.var / "conf/parley.env", "backup", "verify", path],
                              stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: stack.query("SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'parley_verify%' AND query LIKE '%pg_sleep%'"),
                   what="the backup is being restored")
        kill(verify.pid, signal.SIGTERM)
        assert verify.wait(30) == EX_TEMPFAIL and "stopped" in verify.stderr.read()
    finally:
        verify.kill()
        verify.wait()
    assert not scratches(stack)


# ---------------------------------------------------------------------- restoring

@pytest.fixture
def elsewhere(stack):
    """A PostgreSQL that was made today, and an empty database in it."""
    other = Cluster().create()
    other.execute("CREATE DATABASE parley")
    yield other
    other.destroy()


def test_a_dump_restored_into_a_new_cluster_serves_on(stack, talk, dump, elsewhere):
    alice, bob, room = talk
    conn = stack.db()
    with conn.cursor() as cur:          # years of transactions
        cur.execute("SET synchronous_commit = off")
        cur.execute("CALL xids_use(30000)")
    conn.close()
    mark, cursor = alice.say(room, "mark"), now(bob)
    other_room = bob.group(alice, name="other")
    bob.say(other_room, "elsewhere")
    alice.say(room, "missed")
    path = dump()
    elsewhere.execute("CREATE ROLE parley_post NOLOGIN")       # roles are not part of a dump
    subprocess.run(["pg_restore", "--no-owner", "--exit-on-error", "-d", elsewhere.url("parley"), path], check=True)
    (ahead,), = elsewhere.execute("SELECT xids_ahead()", "parley")
    assert ahead > 30000

    warned = ctl.run(stack, "config", "check", env={"DATABASE_URL": elsewhere.url("parley")})
    assert warned.returncode == 78 and "parleyctl migrate" in warned.stdout + warned.stderr, warned
    migrated = ctl.run(stack, "migrate", env={"DATABASE_URL": elsewhere.url("parley")})
    assert migrated.returncode == 0 and "restored:" in migrated.stdout, migrated
    assert elsewhere.execute("SELECT xids_ahead()", "parley") == [(0,)]
    assert ctl.run(stack, "migrate", env={"DATABASE_URL": elsewhere.url("parley")}).stdout.count("restored:") == 0

    with Stack(env={"DATABASE_URL": elsewhere.url("parley")}) as second:
        def again(user):
            one = Conv(second)
            resp = one.login(email=user.user["email"], password=user.password)
            assert resp.status_code == 200, resp.text
            one._remember(resp.json())
            return one

        alice, bob = again(alice), again(bob)
        with conv_socket(bob, since=mark["id"]) as sock:
            assert [sock.expect("message")["body"] for _ in range(2)] == ["elsewhere", "missed"]
            new = alice.say(room, "new")
            assert sock.expect("message")["id"] == new["id"]
        events, cursor = since(bob, cursor)
        assert [t for t in told(events) if t in ("elsewhere", "missed", "new")] == ["elsewhere", "missed", "new"]
        alice.say(room, "newer")
        assert told(page(bob, after=cursor)["events"]) == ["newer"]
        with conv_socket(bob, since=new["id"]) as sock:
            assert sock.expect("message")["body"] == "newer"
        assert not elsewhere.execute("SELECT * FROM backup_faults", "parley")
