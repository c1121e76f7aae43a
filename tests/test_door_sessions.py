"""Where one is signed in, how that ends, and what the audit log keeps of it."""

import hashlib
import secrets
from contextlib import ExitStack

import psycopg2
import pytest

from parley.api import Dm, fresh_password
from parley.check import assert_id, assert_problem, number_of, parse_time
from parley.everywhere import SOCKETS, SURFACES, Person
from parley.sockets import assert_closed_at_once

MEMBERS = {"id", "dialect", "user_agent", "address", "created_at", "used_at", "expires_at", "current"}


def sessions(who, **query):
    resp = who.call("GET", "/api/v1/sessions", params=query)
    assert resp.status_code == 200, resp.text
    return resp.json()["sessions"]


def current(who):
    return next(s for s in sessions(who) if s["current"])


def end(who, session):
    return who.call("DELETE", f"/api/v1/sessions/{session['id']}")


def end_others(who):
    resp = who.call("DELETE", "/api/v1/sessions")
    assert resp.status_code == 200, resp.text
    return resp.json()


def change(who, password, old=None, **options):
    return who.call("POST", "/api/v1/auth/password", json={"current_password": old or who.password, "password": password}, **options)


def assert_ended(device):
    assert_problem(device.me(), 401, "unauthorized")
    assert_problem(device.refresh(), 401, "unauthorized")


# ---------------------------------------------------------------------- the list

def test_a_session_tells_where_it_came_from(alice):
    alice.http.headers["User-Agent"] = "door-test/1.0"
    other = alice.another_device()
    other.http.headers["User-Agent"] = "another/2.0"
    found, = [s for s in sessions(other) if s["current"]]
    assert set(found) == MEMBERS
    assert_id(found["id"], found["created_at"])
    assert found["dialect"] == "conv" and found["address"] == "127.0.0.1"
    days = (parse_time(found["expires_at"]) - parse_time(found["created_at"])).total_seconds() / 86400
    assert abs(days - 30) < 0.01
    assert [s["current"] for s in sessions(alice)] == [False, True], "the newest first"


def test_the_sessions_of_every_surface_are_listed_and_nobody_elses(stack, bob):
    person = Person(stack)
    listed = sessions(person.conv)
    assert {s["dialect"] for s in listed} == {"conv", "p2p", "rooms", "groups"}
    assert not {s["id"] for s in listed} & {s["id"] for s in sessions(bob)}


def test_every_surface_s_token_may_ask(stack):
    person = Person(stack)
    for surface in SURFACES:
        client = getattr(person, surface)
        answer = Dm(stack, client.token).call("GET", "/api/v1/sessions").json()["sessions"]
        mine, = [s for s in answer if s["current"]]
        assert mine["dialect"] == ("conv" if surface == "dm" else surface)


def test_the_list_has_pages(alice):
    devices = [alice.another_device() for _ in range(4)]
    all_of_them = sessions(alice)
    assert len(all_of_them) == len(devices) + 1
    assert sessions(alice, limit=2) + sessions(alice, limit=2, offset=2) + sessions(alice, limit=2, offset=4) == all_of_them
    assert_problem(alice.call("GET", "/api/v1/sessions", params={"limit": "0"}), 400, "invalid_parameter", names="limit")


def test_what_has_ended_is_not_listed(alice, stack):
    gone, expired = alice.another_device(), alice.another_device()
    gone.logout()
    stack.query("UPDATE sessions SET expires_at = now() - interval '2 hours', used_at = now() - interval '2 hours' WHERE id = %s",
                number_of(current(expired)["id"]))
    assert [s["current"] for s in sessions(alice)] == [True]


# ---------------------------------------------------------------------- ending them

def test_an_ended_session_is_out_at_once_and_its_sockets_close(alice, bob, connect):
    other = alice.another_device()
    mine, theirs = connect(alice), [connect(other) for _ in range(3)]
    session = current(other)
    assert end(alice, session).status_code == 204
    said = assert_closed_at_once(theirs, alice, bob)
    assert_ended(other)
    assert mine.recv_json()["content"] == said
    assert session["id"] not in {s["id"] for s in sessions(alice)}
    assert alice.refresh().status_code == 200


def test_one_may_end_the_session_one_asks_with(alice):
    assert end(alice, current(alice)).status_code == 204
    assert_ended(alice)


@pytest.mark.parametrize("surface", SURFACES)
def test_a_session_of_any_surface_can_be_ended_from_the_native_one(stack, surface):
    person = Person(stack)
    client = getattr(person, surface)
    with ExitStack() as opened:
        sock = opened.enter_context(SOCKETS[surface](client))
        mine = current(Dm(stack, client.token))
        asker = person.dm if surface != "dm" else person.conv
        assert end(asker, mine).status_code == 204
        sock.expect_close(4001)
    assert_problem(Dm(stack, client.token).me(), 401, "unauthorized")


def test_only_ones_own_sessions_can_be_ended(alice, bob):
    theirs = current(bob)
    assert_problem(end(alice, theirs), 404, "not_found")
    assert bob.me().status_code == 200


def test_an_ended_session_cannot_be_ended_again(alice):
    other = alice.another_device()
    session = current(other)
    assert end(alice, session).status_code == 204
    assert_problem(end(alice, session), 404, "not_found")


@pytest.mark.parametrize("id", ["1", "nonsense", "0193e000-0000-7000-8000-000000000001"])
def test_an_id_of_no_session_is_not_found(alice, id):
    assert_problem(end(alice, {"id": id}), 404, "not_found")


def test_all_other_sessions_end_and_their_sockets_close(alice, connect):
    others = [alice.another_device() for _ in range(3)]
    mine, theirs = connect(alice), [connect(o) for o in others]
    assert end_others(alice) == {"ended": 3}
    for device, sock in zip(others, theirs):
        assert_ended(device)
        sock.expect_close(4001)
    mine.ping()
    assert alice.refresh().status_code == 200
    assert [s["current"] for s in sessions(alice)] == [True]
    assert end_others(alice) == {"ended": 0}


# ---------------------------------------------------------------------- a new password

def test_a_new_password_ends_all_other_sessions_and_closes_their_sockets(alice, bob, connect, stack):
    other, new = alice.another_device(), fresh_password()
    stack.secrets.add(new)
    mine, theirs = connect(alice), connect(other)
    resp = change(alice, new)
    assert resp.status_code == 200 and resp.json()["message"]
    said = assert_closed_at_once([theirs], alice, bob)
    assert_ended(other)
    assert mine.recv_json()["content"] == said
    assert alice.me().status_code == 200 and alice.refresh().status_code == 200
    assert_problem(alice.login(username=alice.name, password=alice.password), 401, "invalid_credentials")
    assert alice.login(username=alice.name, password=new).status_code == 200


def test_a_wrong_current_password_changes_nothing(alice):
    other = alice.another_device()
    assert_problem(change(alice, fresh_password(), old=fresh_password()), 403, "invalid_credentials")
    assert other.me().status_code == 200
    assert alice.login(username=alice.name, password=alice.password).status_code == 200


def test_a_new_password_has_to_be_a_good_one(alice):
    assert_problem(change(alice, "short"), 400, "weak_password")
    assert_problem(change(alice, "x" * 73), 400, "weak_password")
    assert_problem(change(alice, fresh_password(), token=None), 401, "unauthorized")


def test_a_new_password_voids_the_links_that_set_one(alice, stack):
    link = secrets.token_urlsafe(24)
    stack.query("INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at) VALUES (%s, %s, 'reset', %s, now() + interval '1 hour')",
                hashlib.sha256(link.encode()).digest(), number_of(alice.id), alice.user["email"])
    assert change(alice, fresh_password()).status_code == 200
    resp = alice.call("POST", "/api/v1/auth/password/reset", json={"token": link, "password": fresh_password()})
    assert_problem(resp, 400, "invalid_token")


# ---------------------------------------------------------------------- theft

def test_theft_of_a_refresh_token_closes_the_sockets_at_once(alice, bob, connect):
    sock, first = connect(alice), alice.refresh_token
    second = alice.refresh(first).json()["refresh_token"]
    alice.refresh(second)
    assert_problem(alice.refresh(first), 401, "unauthorized")
    assert_closed_at_once([sock], alice, bob)


# ---------------------------------------------------------------------- the audit log

def audit(stack, who, after=0):
    """[(kind, detail, address, request id, session)] about an account, in order."""
    return stack.query("SELECT kind, detail, address, request_id, session_id FROM audit_log WHERE user_id = %s AND id > %s ORDER BY id",
                       number_of(who.id), after)


def mark(stack):
    return stack.query("SELECT coalesce(max(id), 0) FROM audit_log")[0][0]


def line(resp, kind, detail, session=...):
    """What a request leaves in the log."""
    return (kind, detail, "127.0.0.1", resp.headers["X-Request-Id"], session)


def assert_audit(stack, who, after, *lines):
    got = audit(stack, who, after)
    assert [g[:4] for g in got] == [w[:4] for w in lines]
    assert all(w[4] is ... or w[4] == g[4] for g, w in zip(got, lines))


def test_registering_and_logging_in_are_noted(stack):
    new = Dm(stack)
    made = new.register(password=(password := fresh_password()))
    new.user = made.json()["user"]
    name = new.user["username"]
    assert_audit(stack, new, 0, line(made, "user_registered", None), line(made, "login", "conv"))
    after = mark(stack)
    for path, dialect in (("/api/v1/auth/login", "conv"), ("/v1/users/login", "p2p"), ("/v1/auth/login", "rooms"), ("/api/auth/login", "groups")):
        resp = new.call("POST", path, json={"username": name, "email": name, "password": password})
        assert_audit(stack, new, after, line(resp, "login", dialect))
        after = mark(stack)


def test_failures_are_noted_without_what_was_typed(stack, alice):
    after = mark(stack)
    wrong = alice.login(username=alice.name, password=fresh_password())
    stack.disable(alice.name)
    disabled = alice.login(username=alice.name, password=alice.password)
    assert disabled.status_code == 403
    kinds = [g for g in audit(stack, alice, after) if g[0] == "login_failed"]
    assert [k[1:4] for k in kinds] == [("wrong password", "127.0.0.1", wrong.headers["X-Request-Id"]),
                                       ("account disabled", "127.0.0.1", disabled.headers["X-Request-Id"])]
    typed = fresh_password()
    resp = alice.login(username=typed, password=fresh_password())
    row, = stack.query("SELECT kind, detail, user_id, audit_log::text FROM audit_log WHERE request_id = %s", resp.headers["X-Request-Id"])
    assert row[:3] == ("login_failed", "unknown name", None) and typed not in row[3]


def test_every_way_a_session_ends_is_noted(stack, alice):
    devices = [alice.another_device() for _ in range(5)]
    numbers = [number_of(current(d)["id"]) for d in devices]
    after = mark(stack)
    first = devices[1].refresh_token
    devices[1].refresh(devices[1].refresh(first).json()["refresh_token"])
    done = [line(devices[0].logout(), "session_revoked", "logout", numbers[0]),
            line(devices[1].refresh(first), "session_revoked", "refresh token used twice", numbers[1]),
            line(end(alice, current(devices[2])), "session_revoked", "ended by its user", numbers[2])]
    assert_audit(stack, alice, after, *done)
    after = mark(stack)
    resp = alice.call("DELETE", "/api/v1/sessions")
    got = audit(stack, alice, after)
    assert sorted(got) == sorted(line(resp, "session_revoked", "ended by its user", n) for n in numbers[3:])
    other = alice.another_device()
    after, number = mark(stack), number_of(current(other)["id"])
    resp = change(alice, fresh_password())
    assert_audit(stack, alice, after, line(resp, "password_changed", "password changed"),
                 line(resp, "session_revoked", "password changed", number))


def test_what_an_administrator_does_in_sql_is_noted(stack, alice):
    after = mark(stack)
    stack.disable(alice.name)
    stack.query("UPDATE users SET is_active = true WHERE username = %s", alice.name)
    stack.query("UPDATE users SET password_hash = '*' WHERE username = %s", alice.name)
    stack.query("DELETE FROM users WHERE username = %s", alice.name)
    assert sorted(g[0] for g in audit(stack, alice, after)) == sorted(
        ["user_disabled", "session_revoked", "user_enabled", "password_changed", "user_deleted"])
    assert stack.query("SELECT DISTINCT program, address FROM audit_log WHERE user_id = %s AND id > %s",
                       number_of(alice.id), after) == [("parley-tests", None)]


@pytest.mark.parametrize("sql", ["UPDATE audit_log SET detail = 'nothing happened'", "DELETE FROM audit_log", "TRUNCATE audit_log"])
def test_the_audit_log_is_append_only(stack, alice, sql):
    before = mark(stack)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        stack.query(sql)
    assert mark(stack) >= before and audit(stack, alice)


def test_the_audit_log_forgets_by_its_function_only_and_notes_it(stack, alice):
    stack.query("INSERT INTO audit_log (at, kind, user_id) VALUES (now() - interval '500 days', 'login', %s)", number_of(alice.id))
    gone = stack.query("SELECT audit_purge('400 days')")[0][0]
    assert gone >= 1
    assert stack.query("SELECT count(*) FROM audit_log WHERE at < now() - interval '400 days'") == [(0,)]
    assert len(audit(stack, alice)) == 2, "what is younger stays"
    assert stack.query("SELECT detail FROM audit_log WHERE kind = 'audit_purged' ORDER BY id DESC LIMIT 1") \
        == [(f"{gone} lines older than 400 days",)]
    with pytest.raises(psycopg2.Error):
        stack.query("SELECT audit_purge('1 hour')")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        stack.query("DELETE FROM audit_log")


# ---------------------------------------------------------------------- a daemon's start

def test_revoked_sessions_are_found_by_an_index(stack):
    conn = stack.db()
    with conn, conn.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN SELECT id FROM sessions WHERE revoked_at > now() - interval '8 days' ORDER BY revoked_at")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("EXPLAIN SELECT id FROM users WHERE NOT is_active")
        plan += "\n".join(row[0] for row in cursor.fetchall())
    conn.close()
    assert "sessions_revoked" in plan and "users_disabled" in plan and "Seq Scan" not in plan
