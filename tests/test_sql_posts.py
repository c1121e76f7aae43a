"""chat_post(): messages from SQL appear exactly if the transaction commits, and nobody waits for it."""

import os
import re
import subprocess
import time
from statistics import median

import psycopg2
import pytest

from parley import procs
from parley.check import assert_problem, number_of
from parley.conv import conv_account, conv_socket
from parley.stack import ROOT
from parley.wait import eventually, seconds

ACCOUNT = conv_account
STACK = {"daemons": 2}


class Site:
    """The site's own database session, as a role that may post and no more."""

    def __init__(self, stack, role="site_role"):
        self.conn = stack.db(autocommit=False)
        self.conn.autocommit = True
        self.run(f"SET SESSION AUTHORIZATION {role}")
        self.conn.autocommit = False

    def run(self, sql, *args):
        with self.conn.cursor() as cur:
            cur.execute(sql, args or None)
            return cur.fetchall() if cur.description else []

    def post(self, *args):
        self.run(f"SELECT chat_post({', '.join(['%s'] * len(args))})", *map(str, args))

    def fails(self, *args):
        """The SQLSTATE a post ends with."""
        with pytest.raises(psycopg2.Error) as failed:
            self.post(*args)
        self.conn.rollback()
        return failed.value.pgcode


@pytest.fixture(scope="module")
def stack(module_stack):
    module_stack.query("CREATE ROLE site_role LOGIN IN ROLE parley_post")
    module_stack.query("CREATE ROLE other_role LOGIN")
    return module_stack


@pytest.fixture
def site(stack):
    one = Site(stack)
    yield one
    one.conn.close()


@pytest.fixture
def ops(alice):
    """A group with a name of its own."""
    return alice.group(conv_account(alice.stack), name=f"ops {time.monotonic_ns()}")


def delivered(stack):
    """Waits until every committed post has found its conversation."""
    eventually(lambda: stack.query("SELECT count(*) FROM chat_posts WHERE refused_at IS NULL") == [(0,)])


# ---------------------------------------------------------------------- exactly if it commits

def test_a_committed_post_reaches_the_sockets_of_both_daemons_at_once(stack, site, alice, ops):
    def post(text):
        site.post(ops["name"], text)
        site.conn.commit()
    with conv_socket(alice, daemon=1) as one, conv_socket(alice, daemon=2) as two:
        post("backup done")
        frames = [sock.expect("message") for sock in (one, two)]
        assert frames[0] == frames[1]
        assert frames[0]["body"] == "backup done" and frames[0]["conversation_id"] == ops["id"]
        assert [m["body"] for m in alice.whole_history(ops)] == ["backup done"]
        with procs.standing_still([stack.pid("ws-daemon-2")]):
            delays = []
            for n in range(5):          # alone, it sweeps a second after the last post: each would wait for that long
                post(f"backup {n} done")
                delays.append(seconds(lambda: one.expect("message")))
    assert median(delays) < 0.6, f"they waited for the sweep: {delays}"


def test_a_rolled_back_post_never_was(site, alice, ops):
    site.post(ops["name"], "never")
    site.conn.rollback()
    site.post(ops["name"], "kept")
    site.run("SAVEPOINT s")
    site.post(ops["name"], "undone")
    site.run("ROLLBACK TO s")
    site.post(ops["name"], "kept too")
    assert alice.texts(ops) == [], "not before the commit"
    site.conn.commit()
    delivered(alice.stack)
    assert alice.texts(ops)[::-1] == ["kept", "kept too"]


def test_many_posts_of_one_transaction_come_all_and_in_order(site, alice, ops):
    site.run("SELECT chat_post(%s, 'line ' || n) FROM generate_series(1, 250) n", ops["name"])
    site.conn.commit()
    delivered(alice.stack)
    history = alice.whole_history(ops)
    assert [m["body"] for m in history] == [f"line {n}" for n in range(1, 251)]


def test_an_open_transaction_holds_up_nobody_and_loses_nothing(stack, site, alice, ops):
    other, later = Site(stack), conv_account(stack)
    group = later.group(alice, name=f"later {time.monotonic_ns()}")
    site.post(ops["name"], "from the long one")
    site.post(group["id"], "from the long one")
    other.post(group["id"], "from the short one")     # the other way round would be a deadlock with locks
    other.post(ops["name"], "from the short one")
    for n in range(20):
        alice.say(ops, f"meanwhile {n}")
    with conv_socket(alice) as sock:
        sock.say(ops, "on the socket")
        while sock.until("message")["body"] != "on the socket":
            pass
    other.conn.commit()
    delivered(stack)
    assert "from the short one" in alice.texts(ops)
    site.conn.commit()
    delivered(stack)
    texts = [m["body"] for m in alice.whole_history(ops)]
    assert texts == [f"meanwhile {n}" for n in range(20)] + ["on the socket", "from the short one", "from the long one"]
    assert alice.texts(group) == ["from the long one", "from the short one"]
    other.conn.close()


def test_a_repeatable_read_transaction_does_not_fail_for_what_was_said_since(site, alice, ops):
    site.run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    site.run("SELECT 1")
    alice.say(ops, "meanwhile")
    site.post(ops["name"], "backup done")
    site.conn.commit()
    delivered(alice.stack)
    assert alice.texts(ops) == ["backup done", "meanwhile"]


def test_a_locked_conversation_holds_up_only_its_own_posts(stack, site, alice, ops):
    free = alice.group(name=f"free {time.monotonic_ns()}")
    lock = stack.db(autocommit=False)
    with lock.cursor() as cur:
        cur.execute("SELECT FROM conversations WHERE name = %s FOR UPDATE", [ops["name"]])
    site.post(ops["name"], "waits")
    site.post(free["name"], "goes")
    site.conn.commit()
    eventually(lambda: alice.texts(free) == ["goes"])
    assert alice.texts(ops) == []
    lock.rollback()
    lock.close()
    eventually(lambda: alice.texts(ops) == ["waits"])


def test_a_post_outlives_the_death_of_all_daemons(stack, site, alice, ops):
    old = {name: stack.kill(name) for name in ("ws-daemon", "ws-daemon-2")}
    site.post(ops["name"], "nobody listened")
    site.conn.commit()
    for name, pid in old.items():
        stack.seconds_to_respawn(name, pid)
    eventually(lambda: alice.texts(ops) == ["nobody listened"])


# ---------------------------------------------------------------------- who speaks

def test_it_is_shown_as_the_database_role_or_the_name_given(stack, site, alice, ops):
    site.post(ops["name"], "by default")
    site.post(ops["name"], "named", "backup.nightly")
    site.conn.commit()
    delivered(stack)
    names = stack.query("SELECT u.username, u.display_name FROM messages m JOIN users u ON u.id = m.sender_id"
                        " JOIN conversations c ON c.id = m.conversation_id WHERE c.name = %s ORDER BY m.seq", ops["name"])
    assert names == [("sql:site_role", "site_role"), ("sql:backup.nightly", "backup.nightly")]
    assert [m["sender_username"] for m in alice.page(ops)["messages"]] == ["sql:backup.nightly", "sql:site_role"]
    assert alice.login(email="sql:site_role", password="*").status_code == 401
    assert len(alice.conversation(ops)["participants"]) == 2, "it is no member"


def test_an_author_is_no_person(stack, site, alice, bob, ops):
    """To people it is unknown but as the sender of its messages; and so is a webhook."""
    site.post(ops["name"], "here I am", "robot")
    site.conn.commit()
    delivered(stack)
    url = alice.make("POST", f"/conversations/{ops['id']}/webhooks", json={"name": "Grafana"})["url"]
    alice.call("POST", "/hooks/" + url.rpartition("/")[2], token=None, data="here I am too")
    senders = [m["sender_id"] for m in alice.page(ops)["messages"]]
    named = [alice.make("GET", f"/users/{sender}")["user"]["username"] for sender in senders]
    assert named[1] == "sql:robot"
    for path in ("/v1/users", "/v1/users/with-chat-info"):
        shown = {u["username"] for u in alice.call("GET", path).json()}
        assert alice.name in shown and not shown & set(named)
    for sender, name in zip(senders, named):
        unknown = (("GET", f"/api/v1/users?username={name}", None), ("GET", f"/v1/contacts/check/{name}", None),
                   ("POST", "/api/v1/contacts/invite", {"username": name}), ("POST", "/v1/contacts/invite", {"username": name}),
                   ("POST", f"/api/v1/conversations/{ops['id']}/participants", {"user_id": sender}),
                   ("POST", "/api/v1/conversations", {"type": "group", "name": "x", "participant_ids": [bob.id, sender]}),
                   ("POST", "/api/v1/conversations", {"type": "direct", "participant_ids": [sender]}),
                   ("POST", "/api/v1/messages/dm", {"recipient_id": sender, "content": "hello?"}),
                   ("POST", f"/v1/messages/p2p/{number_of(sender)}", {"content": "hello?"}))
        for method, path, body in unknown:
            assert_problem(alice.call(method, path, json=body), 404, "user_not_found")
    assert len(alice.conversation(ops)["participants"]) == 2
    assert [c["id"] for c in alice.list()] == [ops["id"]]


def test_who_disables_its_user_silences_it(stack, site, alice, ops):
    site.post(ops["name"], "first", "noisy")
    site.conn.commit()
    delivered(stack)
    site.post(ops["name"], "second", "noisy")
    stack.query("UPDATE users SET is_active = false WHERE username = 'sql:noisy'")
    site.conn.commit()
    delivered(stack)
    assert alice.texts(ops) == ["first"]
    assert site.fails(ops["name"], "third", "noisy") == "42501"
    assert ("the author is disabled",) in stack.query("SELECT reason FROM chat_posts WHERE author = 'noisy'")


# ---------------------------------------------------------------------- what it refuses

def test_conversation_is_named_by_name_id_or_uuid(stack, site, alice, ops):
    number, = stack.query("SELECT id FROM conversations WHERE name = %s", ops["name"])[0]
    for named in (ops["name"], number, ops["id"], ops["id"].upper()):
        site.post(named, "here")
    site.conn.commit()
    delivered(stack)
    assert alice.texts(ops) == ["here"] * 4


def test_unknown_and_ambiguous_conversations_are_errors(stack, site, alice, ops):
    twin = alice.group(name=ops["name"])
    assert site.fails(ops["name"], "to which?") == "P0003"
    assert site.fails("no such group", "hello") == "P0002"
    assert site.fails("999999999999999999", "hello") == "P0002"
    assert site.fails("9" * 40, "hello") == "P0002"
    assert site.fails(ops["id"][:-1] + ("0" if ops["id"][-1] != "0" else "1"), "hello") == "P0002"
    direct = alice.direct(conv_account(stack))
    assert site.fails(direct["id"], "into a talk of two") == "P0002"
    assert alice.texts(twin) == []


def test_bad_texts_and_authors_are_errors(site, ops):
    assert site.fails(ops["name"], "") == "22023"
    assert site.fails(ops["name"], "é" * 8193) == "22001"
    assert site.fails(ops["name"], "hello", "spoof: admin") == "22023"
    with pytest.raises(psycopg2.Error) as failed:
        site.run("SELECT chat_post('ops', NULL)")
    assert failed.value.pgcode == "22004"


def test_a_post_to_a_deleted_conversation_is_kept_with_the_reason(stack, site, alice, ops):
    site.post(ops["name"], "too late")
    assert alice.delete(ops).status_code == 204
    site.conn.commit()
    delivered(stack)
    assert stack.query("SELECT reason FROM chat_posts WHERE content = 'too late'") == [("the conversation is gone",)]


# ---------------------------------------------------------------------- rights

def test_the_role_may_post_and_nothing_else(stack, site):
    for sql in ("SELECT FROM users", "SELECT FROM messages", "SELECT FROM chat_posts", "SELECT FROM conversations",
                "INSERT INTO chat_posts (conversation_id, author, content) VALUES (1, 'a', 'b')",
                "SELECT chat_posts_deliver(1)", "SELECT chat_author('x')", "SELECT chat_conversation('ops')"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            site.run(sql)
        site.conn.rollback()


def test_without_the_role_nobody_may_post(stack, ops):
    stranger = Site(stack, "other_role")
    assert stranger.fails(ops["name"], "let me in") == "42501"
    stranger.conn.close()


def test_what_a_caller_puts_into_its_search_path_is_not_found(stack, site, alice, ops):
    site.run("CREATE TEMP TABLE users (username text, is_active boolean)")
    site.run("INSERT INTO users VALUES ('sql:site_role', false)")
    site.run("SET search_path = pg_temp, public")
    site.post(ops["name"], "as always")
    site.conn.commit()
    delivered(stack)
    assert alice.texts(ops) == ["as always"]


# ---------------------------------------------------------------------- the document

SNIPPETS = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/sql.md").read_text(), re.S)


def test_the_documents_snippets_work(stack, alice):
    """The site has its own table, and its role is made as the document says."""
    use, grant, _ = SNIPPETS
    ops = alice.group(name="ops")
    stack.query(grant)
    stack.query("CREATE TABLE jobs (name text, finished_at timestamptz); GRANT ALL ON jobs TO backup")
    backup = Site(stack, "backup")
    backup.conn.autocommit = True
    backup.run(use)
    backup.conn.close()
    eventually(lambda: alice.texts(ops) == ["backup done"])
    alice.delete(ops)


def migrate(url):
    return subprocess.run([ROOT / "db/migrate.sh"], env={**os.environ, "DATABASE_URL": url}, capture_output=True,
                          text=True, timeout=60)


def test_who_may_not_make_roles_migrates_all_the_same(cluster):
    """Then a superuser does as the document says; and the next database finds the role there."""
    cluster.execute("CREATE ROLE humble LOGIN")
    for name in ("first", "second"):
        cluster.execute(f"CREATE DATABASE {name} OWNER humble")
    url = cluster.url("first").replace("user=www-data", "user=humble")
    done = migrate(url)
    assert done.returncode == 0 and "may not make the role parley_post; see docs/sql.md" in done.stderr
    may = "SELECT has_function_privilege('parley_post', 'chat_post(text, text, text)', 'EXECUTE')"
    cluster.execute(SNIPPETS[2], "first")
    assert cluster.execute(may, "first") == [(True,)]
    done = migrate(cluster.url("second").replace("user=www-data", "user=humble"))
    assert done.returncode == 0 and not done.stderr
    assert cluster.execute(may, "second") == [(True,)]
