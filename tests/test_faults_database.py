"""PostgreSQL away for a while: told at once in the contract's shape, and service resumes by itself."""

import collections
import re
import shutil
import time
from contextlib import ExitStack

import psycopg2
import pytest

from parley.api import fresh_name
from parley.check import assert_problem
from parley.p2p import p2p_account, p2p_socket
from parley.stack import Stack
from parley.wait import eventually, seconds, slowest_but_one


@pytest.fixture(scope="module")
def stack(cluster, request):
    """A stack on an existing PostgreSQL, which this file may take away."""
    with Stack(env={"DATABASE_URL": cluster.url("parley")}) as one:
        yield one
        one.keep = request.session.testsfailed > 0


@pytest.fixture
def away(cluster, stack):
    """PostgreSQL goes away when called, and is back after the test at the latest."""
    yield cluster.stop
    if not cluster.answers():
        cluster.start()
    eventually(stack.ready, what="service resumes")


def test_an_existing_database_is_used_and_no_private_cluster_made(stack, cluster, alice):
    assert cluster.execute("SELECT username FROM users WHERE username = '%s'" % alice.name, "parley")
    assert stack.pid("postmaster") is None
    assert not list(stack.var.glob("data/**/PG_VERSION"))


def test_every_request_is_answered_503_at_once(alice, bob, away):
    away()
    requests = [alice.me, alice.conversations, lambda: alice.history(bob), lambda: alice.send(bob, "x"), alice.refresh,
                lambda: alice.login(username=alice.name, password=alice.password),
                lambda: alice.register(username=fresh_name())]
    # Three times: more requests than workers, so that each one has noticed.
    taken = [seconds(lambda: assert_problem(request(), 503, "unavailable")) for request in requests * 3]
    assert slowest_but_one(taken) < 3, f"not after the time a statement has: {taken}"


def test_what_needs_no_database_is_still_refused_for_what_it_is(alice, away):
    away()
    assert_problem(alice.call("GET", "/nope"), 404, "not_found")
    assert_problem(alice.call("DELETE", "/api/v1/users/me"), 405, "method_not_allowed")
    assert_problem(alice.me(token="nonsense"), 401, "unauthorized")


def test_service_resumes_by_itself(stack, alice, bob, away, cluster):
    pools = [stack.pid(name) for name in ("fcgi-app", "fcgi-auth", "ws-daemon")]
    away()
    assert alice.me().status_code == 503
    cluster.start()
    eventually(lambda: alice.me().status_code == 200, what="requests are served again")
    assert alice.make_message(bob, "back")["content"] == "back"
    assert [stack.pid(name) for name in ("fcgi-app", "fcgi-auth", "ws-daemon")] == pools, "nobody had to be restarted"


def test_open_sockets_survive_and_go_on(alice, bob, connect, away, cluster):
    receiver, sender = connect(bob), connect(alice)
    assert sender.exchange(bob, "before")["content"] == "before"
    away()
    cluster.start()
    eventually(lambda: alice.send(bob, "after", key="after").status_code == 201)
    assert [f["content"] for f in receiver.collect(2)] == ["before", "after"]
    assert sender.recv_json()["content"] == "after"
    eventually(lambda: sender.exchange(bob, "by socket again").get("content"), what="the daemon stores messages again")


def test_socket_send_meanwhile_gets_an_error_frame_and_stores_nothing(alice, bob, connect, away, cluster):
    sender = connect(alice)
    assert sender.exchange(bob, "before")["content"] == "before"
    away()
    sender.say(bob, "lost and told so", client_msg_id="told")
    assert set(sender.recv_json()) == {"error"}
    cluster.start()
    eventually(lambda: alice.me().status_code == 200)
    assert [m["content"] for m in alice.whole_history(bob)] == ["before"]


def test_good_token_is_not_called_bad_while_the_database_is_away(alice, bob, connect, away, cluster):
    away()
    sock = None
    try:
        sock = connect(alice)
        sock.expect_nothing(0.5)
    except AssertionError:
        raise
    except Exception as refused:        # refused for now is fine, whatever the manner, but not 4001
        assert getattr(refused, "code", None) != 4001
    cluster.start()
    eventually(lambda: bob.me().status_code == 200)


# ---------------------------------------------------------------------- a database that only reads

def daemon_events(stack):
    """How often the daemon has logged each event so far."""
    text, = (text for name, text in stack.logs().items() if name.endswith("ws-daemon.log"))
    return collections.Counter(re.findall(r" event=(\S+)", text))


def assert_asked_calmly(stack, event, most):
    """The daemon goes on trying, a few times a second and no more."""
    time.sleep(1.5)                     # the first tries are quick
    before = daemon_events(stack)[event]
    time.sleep(3)
    assert 0 < daemon_events(stack)[event] - before <= most


@pytest.fixture
def only_reads(cluster):
    """Makes new transactions read-only, but those of the cursor it answers."""
    conn = psycopg2.connect(cluster.url("parley"))
    conn.autocommit = True
    cursor = conn.cursor()

    def begin():
        cursor.execute("SET default_transaction_read_only = off")
        cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        cursor.execute("SELECT pg_reload_conf()")
        eventually(lambda: cluster.execute("SHOW default_transaction_read_only") == [("on",)])
        return cursor
    yield begin
    cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
    cursor.execute("SELECT pg_reload_conf()")
    conn.close()


def test_what_cannot_be_written_is_tried_again_at_leisure(stack, only_reads):
    """Full, or read-only: not a statement, and a line in the log, for each receipt every tenth of a second."""
    sender, people = p2p_account(stack), [p2p_account(stack) for _ in range(20)]
    with ExitStack() as opened:
        sockets = [opened.enter_context(p2p_socket(who)) for who in people]
        cursor = only_reads()
        for who in people:              # a message that comes all the same, as from a site's own session
            cursor.execute("SELECT message_send((SELECT min(id) FROM sessions WHERE user_id = %s), %s, NULL, NULL, %s,"
                           " NULL, 'text', 'hello', NULL, NULL)", (sender.id, sender.id, who.id))
        assert [sock.recv_json()["content"] for sock in sockets] == ["hello"] * 20
        opened.enter_context(p2p_socket(sender))      # comes online, which cannot be written either
        assert_asked_calmly(stack, "statement_failed", 15)
        cursor.execute("ALTER SYSTEM RESET default_transaction_read_only")
        cursor.execute("SELECT pg_reload_conf()")
        eventually(lambda: {sender.page(who)[0]["status"] for who in people} == {"DELIVERED"}, what="the receipts are written")


def test_a_standby_is_not_connected_to_over_and_over(stack, alice, bob, away, cluster):
    """It takes connections, but no LISTEN; once it is promoted all goes on."""
    away()
    signal_file = cluster.dir / "data" / "standby.signal"
    signal_file.touch()
    shutil.chown(signal_file, *[cluster.dir.owner()] * 2)
    cluster.start()
    eventually(lambda: cluster.execute("SELECT pg_is_in_recovery()") == [(True,)])
    assert_problem(alice.send(bob, "to a standby"), 503, "unavailable")
    # Three sessions that may only read are replaced every two seconds, the feed's connects about once a second.
    assert_asked_calmly(stack, "database_connected", 3 * 2 + 6)
    cluster.execute("SELECT pg_promote()")
    eventually(stack.ready, what="service resumes")
    assert alice.make_message(bob, "to a primary")["content"] == "to a primary"
