"""PostgreSQL crashes, and gives out again the transaction ids that had not reached the disk."""

import pytest

from chaos.links import Links
from parley.cluster import ROLE
from parley.stack import Stack, free_port
from parley.wait import eventually


@pytest.fixture(scope="module")
def links_and_stack():
    """A stack whose daemon listens through a link of its own, which a test may close."""
    stack, port = Stack(), free_port()
    stack.settings["LISTEN_DATABASE_URL"] = f"host=127.0.0.1 port={port} user={ROLE} dbname=parley sslmode=disable"
    with Links({"feed": port}, {"feed": str(stack.var / "run/.s.PGSQL.5432")}) as links, stack:
        yield links, stack


@pytest.fixture
def links(links_and_stack):
    """Open again after the test."""
    yield links_and_stack[0]
    links_and_stack[0].set("feed")


@pytest.fixture
def stack(links_and_stack):
    return links_and_stack[1]


def burn_transaction_ids(stack, count):
    """Ids that are drawn and ended, with nothing of it on the disk yet; the last of them."""
    conn = stack.db(autocommit=False)
    with conn.cursor() as cur:
        for _ in range(count):
            cur.execute("SELECT pg_current_xact_id()::text::bigint")
            last = cur.fetchone()[0]
            conn.rollback()
    conn.close()
    return last


def await_poll(stack):
    """Until the feed's snapshot is a later one than now."""
    (pid,), now = eventually(stack.listeners, what="the daemon listens"), stack.query("SELECT clock_timestamp()")[0][0]
    asked = "SELECT query_start > %s FROM pg_stat_activity WHERE pid = %s"
    eventually(lambda: stack.query(asked, now, pid) == [(True,)], what="the feed polls")


def connections(stack):
    """How often the daemon's connection that replays has come up."""
    return stack.log_text().count("event=database_connected connection=queries")


def crash(links, stack, alice, bob, connect, noticed):
    """Whether transaction ids came twice; what is told must be right in any case."""
    mark = alice.make_message(bob, "before")["id"]
    alice.make_message(bob, "seen")
    stack.query("ALTER SYSTEM SET wal_writer_delay = '10s'")    # else a fifth of a second puts it there
    stack.query("SELECT pg_reload_conf()")
    burnt = burn_transaction_ids(stack, 500)
    await_poll(stack)
    before = connections(stack)
    links.set("feed", closed=True, cut=noticed)
    old = stack.kill("postmaster")
    stack.seconds_to_respawn("postmaster", old)
    for text in ("stored after the crash", "so is this"):
        eventually(lambda: alice.send(bob, text, key=f"{text} {mark}").status_code == 201)
    eventually(lambda: connections(stack) > before, what="the daemon can replay")
    sock = connect(bob, since=mark)
    sock.expect_nothing(0.5)                # what it missed is not known before the feed has looked
    links.set("feed")
    assert [sock.recv_json()["content"] for _ in range(3)] == ["seen", "stored after the crash", "so is this"]
    sock.expect_nothing(1.5)
    return stack.query("SELECT max(xid::text::bigint) <= %s FROM messages", burnt) == [(True,)]


@pytest.mark.parametrize("noticed", [True, False], ids=["feed lost too", "feed half-dead"])
def test_a_replay_after_a_crash_and_the_feed_bring_a_message_once(links, stack, alice, bob, connect, noticed):
    for _ in range(5):                      # somebody else's commit may put them on the disk all the same
        if crash(links, stack, alice, bob, connect, noticed):
            return
    pytest.fail("no transaction id came twice")
