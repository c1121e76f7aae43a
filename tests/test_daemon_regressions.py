"""Faults the daemon once had: each test failed before its mending."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event

import pytest

from parley import procs
from parley.api import account
from parley.check import number_of
from parley.conv import conv_account, conv_socket
from parley.p2p import P2pSocket, p2p_account
from parley.rooms import RoomsSocket, rooms_account, rooms_socket
from parley.sockets import DmSocket
from parley.wait import eventually

#: A lock that is waited for in vain shall not take long.
STACK = {"settings": {"LOCK_TIMEOUT": 1000}}
LARGE = 16000
FEED_BATCH = 500                        # what the daemon takes in at once


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module", autouse=True)
def quiet(stack):
    """Somebody whose socket says nothing, but answers pings, while the tests of this file run: a minute and more,
    until it is asked for."""
    user, asked = account(stack), Event()

    def silent(sock):
        sock.expect_nothing(62)
        while not asked.is_set():
            sock.expect_nothing(0.5)

    with ThreadPoolExecutor(1) as pool, DmSocket(stack, user.token) as sock:
        silence = pool.submit(silent, sock)
        yield user, sock, asked, silence
        if not asked.is_set():
            asked.set()
            sock.ws.abort()             # wakes the one who waits


@contextmanager
def locked(stack, sql, *args):
    """Keeps something locked in the database for the time of a block."""
    conn = stack.db(autocommit=False)
    try:
        with conn.cursor() as cur:
            cur.execute(sql, args)
        yield
    finally:
        conn.rollback()
        conn.close()


# ---------------------------------------------------------------------- catching up

def say_large(sock, recipient, count):
    """Large messages that begin with their number; the echoes are read in time."""
    for n in range(count):
        assert sock.exchange(recipient, f"{n:03}" + "x" * LARGE)["content"][:3] == f"{n:03}"


def test_more_than_an_outbox_full_is_replayed_in_one_go(alice, bob, connect):
    sender = connect(alice)
    first = sender.exchange(bob, "first")["id"]
    say_large(sender, bob, 150)
    frames = connect(bob, since=first).collect(150)
    assert [f["content"][:3] for f in frames] == [f"{n:03}" for n in range(150)]


def test_undelivered_messages_that_were_never_written_stay_undelivered(stack):
    tom, jerry = p2p_account(stack), p2p_account(stack)
    with P2pSocket(stack, tom.token) as sender:
        say_large(sender, jerry, 200)
    with P2pSocket(stack, jerry.token, daemon=1) as reads_no_more:
        assert reads_no_more.recv_json()["content"][:3] == "000"
    with P2pSocket(stack, jerry.token) as sock:
        got = []
        while not got or got[-1] != "199":
            got.append(sock.recv_json()["content"][:3])
    assert len(got) > 100 and got == [f"{n:03}" for n in range(200)][-len(got):]


# ---------------------------------------------------------------------- changes that take many batches

NO_MEMBERS = "LOCK TABLE participants IN ACCESS EXCLUSIVE MODE"
RENAMED = "INSERT INTO events (kind, conversation_id, user_id) VALUES ('conversation_renamed', %s, 1)"


@contextmanager
def large_change(stack, group, noise=0, sender=None, recipient=None):
    """One transaction of 500 messages, or of noise, whose last change makes the daemon ask for the
    members of a group; it gets no answer within the block, and is left between two batches."""
    conn = stack.db(autocommit=False)
    with conn.cursor() as cur:
        if sender:
            cur.execute("SELECT max(id) FROM sessions WHERE user_id = %s", [number_of(sender.id)])
            cur.execute("SELECT count(m.*) FROM generate_series(1, %s) n, LATERAL message_send(%s, %s, NULL, NULL,"
                        " %s, NULL, 'text', 'n' || n, NULL, NULL) m",
                        [FEED_BATCH, cur.fetchone()[0], number_of(sender.id), number_of(recipient.id)])
        cur.execute("INSERT INTO events (kind) SELECT 'noise' FROM generate_series(1, %s)", [noise])
        cur.execute(RENAMED, [group])
    before = stack.log_text().count(QUESTION_FAILED)
    with locked(stack, NO_MEMBERS):
        conn.commit()
        conn.close()
        yield lambda: stack.log_text().count(QUESTION_FAILED) > before


QUESTION_FAILED = "statement_failed connection=feed"
NUMBERED = [f"n{n}" for n in range(1, FEED_BATCH + 1)]


def unknown_group(stack):
    """The integer id of a group in which nothing has happened since it was made."""
    return p2p_account(stack).group()["id"]


def test_a_large_change_that_fails_halfway_is_handed_out_once(stack, alice, bob, connect):
    sock = connect(bob)
    first = connect(alice).exchange(bob, "first")["id"]
    assert sock.recv_json()["id"] == first
    with large_change(stack, unknown_group(stack), sender=alice, recipient=bob) as failed:
        assert [f["content"] for f in sock.collect(FEED_BATCH)] == NUMBERED
        eventually(failed)
        late = connect(bob, since=first)
        late.expect_nothing(0.2)
    assert [f["content"] for f in late.collect(FEED_BATCH)] == NUMBERED
    after = alice.make_message(bob, "after")["id"]
    for one in (sock, late):
        assert one.recv_json()["id"] == after
        one.expect_nothing(0.1)


def test_a_replay_that_waited_for_a_large_change_starts_though_its_last_batch_is_empty(stack, alice, bob, connect):
    first = alice.make_message(bob, "first")["id"]
    alice.make_message(bob, "second")
    connect(alice).exchange(bob, "third")       # the daemon is through with all that
    with large_change(stack, unknown_group(stack), noise=2 * FEED_BATCH - 1):
        eventually(lambda: stack.query(WAITING_FOR_LOCK)[0][0])
        sock = connect(bob, since=first)
    assert [f["content"] for f in sock.collect(2)] == ["second", "third"]


WAITING_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%conversation_id, p.user_id FROM%%'"


# ---------------------------------------------------------------------- trouble in the database

def conversation_of(stack, one, other):
    pair = sorted(number_of(p.id) for p in (one, other))
    return stack.query("SELECT id FROM conversations WHERE user_low = %s AND user_high = %s", *pair)[0][0]


def test_a_locked_conversation_holds_up_nobody_elses_messages_for_good(stack, alice, bob, new_user, connect):
    carol, dave = new_user(), new_user()
    one, other = connect(alice), connect(carol)
    one.exchange(bob, "first")
    other.exchange(dave, "first")
    with locked(stack, "SELECT FROM conversations WHERE id = %s FOR UPDATE", conversation_of(stack, alice, bob)):
        one.say(bob, "alone in its transaction")
        eventually(lambda: stack.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0][0])
        one.say(bob, "in one")
        other.say(dave, "in the same")
        assert "unavailable" in one.recv_json()["error"]
        assert other.recv_json().get("content") == "in the same"
        assert "unavailable" in one.recv_json()["error"]
    assert one.exchange(bob, "again")["content"] == "again"


# ---------------------------------------------------------------------- bounds

def test_who_is_not_authenticated_may_send_no_more_than_a_token(stack):
    with RoomsSocket(stack) as sock:
        sock.send_fragments('{"type":"auth","token":"' + "x" * 20000, size=4000)
        sock.expect_close(1009)


# ---------------------------------------------------------------------- handshakes

def test_headers_that_nginx_lets_through_open_a_socket(alice, bob, connect):
    sock = connect(alice, header=[f"X-Long-{n}: {'y' * 7000}" for n in range(3)], query="x=" + "y" * 6000)
    assert sock.exchange(bob, "heard")["content"] == "heard"


def test_token_behind_a_long_argument_is_found(stack, alice, bob):
    with DmSocket(stack, query=f"x={'y' * 5000}&token={alice.token}") as sock:
        assert sock.exchange(bob, "heard")["content"] == "heard"


# ---------------------------------------------------------------------- membership

def feed_held_up(stack):
    """What happens in this block the daemon hears of afterwards; its other connections work."""
    return procs.standing_still(eventually(stack.listeners, what="the daemon listens"))


def test_a_removal_heard_of_late_leaves_the_subscription_made_after_the_return(stack):
    owner, member = rooms_account(stack), rooms_account(stack)
    owner.befriend(member)
    room = owner.room(member)
    with rooms_socket(member) as sock, rooms_socket(owner) as sender:
        sender.subscribe(room)
        with feed_held_up(stack):
            assert owner.remove(room, member).status_code == 200
            assert owner.add(room, member).status_code == 200
            sock.subscribe(room)
        sent = sender.exchange(room, "welcome back")
        assert sock.message() == sent


def test_a_subscription_from_before_leaving_ends_though_the_member_is_back(stack):
    owner, member = rooms_account(stack), rooms_account(stack)
    owner.befriend(member)
    room = owner.room(member)
    with rooms_socket(member) as sock, rooms_socket(owner) as sender:
        sender.subscribe(room)
        sock.subscribe(room)
        with feed_held_up(stack):
            assert owner.remove(room, member).status_code == 200
            assert owner.add(room, member).status_code == 200
        sender.exchange(room, "unheard")
        assert sock.sync() == []


def test_a_newcomer_is_told_nothing_of_before_though_the_daemon_hears_of_all_at_once(stack):
    owner, newcomer = p2p_account(stack), p2p_account(stack)
    group = owner.group()
    with P2pSocket(stack, newcomer.token) as sock:
        with feed_held_up(stack):
            owner.say(group, "before")
            assert owner.add(group, newcomer).status_code == 200
            owner.say(group, "after")
        assert sock.recv_json()["content"] == "after"


def test_who_was_removed_and_is_back_is_told_of_before_and_after(stack):
    """They were a member when both were said, though the daemon hears of all at once."""
    owner, member = conv_account(stack), conv_account(stack)
    group = owner.group(member)
    with conv_socket(member) as sock:
        with feed_held_up(stack):
            owner.say(group, "before")
            assert owner.remove(group, member).ok
            owner.say(group, "meanwhile")
            assert owner.add(group, member).ok
            owner.say(group, "after")
        assert [sock.until("message")["body"] for _ in range(2)] == ["before", "after"]


#: A message by a group's owner that needs nothing of the members, which nobody may read now.
OWNER_SAYS = """WITH c AS (UPDATE conversations SET last_seq = last_seq + 1 WHERE id = %s RETURNING *)
    INSERT INTO messages (conversation_id, seq, sender_id, content, created_at)
    SELECT id, last_seq, owner_id, %s, now() FROM c"""


def test_who_joins_while_the_members_are_asked_for_is_told_nothing_of_before(stack):
    """The daemon has heard of the message, and of the newcomer by the answer to its question first."""
    owner, newcomer = p2p_account(stack), p2p_account(stack)
    group = owner.group()
    with P2pSocket(stack, newcomer.token) as sock, closing(stack.db(autocommit=False)) as conn, conn.cursor() as holder:
        holder.execute(NO_MEMBERS)
        with closing(stack.db()) as speaker, speaker.cursor() as cur:
            cur.execute(OWNER_SAYS, (group["id"], "before"))
        eventually(lambda: stack.query(WAITING_FOR_LOCK)[0][0])
        holder.execute("SELECT group_join(%s, ARRAY[%s]::bigint[], %s, 'member_added')", (group["id"], newcomer.id, owner.id))
        conn.commit()
        owner.say(group, "after")
        assert sock.recv_json()["content"] == "after"


# ---------------------------------------------------------------------- keeping alive

def test_a_quiet_socket_that_answers_pings_stays(alice, quiet):
    """Its pongs were not heard, and after a minute it was dropped. (A minute is what it takes to see.)"""
    user, sock, asked, silence = quiet
    asked.set()
    silence.result()
    sent = alice.make_message(user, "still there?")
    assert sock.recv_json()["id"] == sent["id"]
