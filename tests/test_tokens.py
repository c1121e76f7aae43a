"""Tokens for scripts: what they are good for, and when no more."""

import hashlib
import re

import pytest

from parley.api import Dm
from parley.check import assert_id, assert_problem, number_of, parse_time
from parley.conv import conv_account, conv_socket, refusal
from parley.events import Stream, ask, now, since, told
from parley.everywhere import SOCKETS, SURFACES
from parley.reference import SCOPES, routes, scopes_beside
from parley.sockets import assert_closed_at_once, dm_socket
from parley.wait import eventually, quickest, seconds

ACCOUNT = conv_account
MEMBERS = {"id", "label", "scopes", "conversation_id", "created_at", "expires_at", "used_at"}
PATH = "/api/v1/tokens"


def make(user, *scopes, label="a script", **more):
    """A token: what is shown of it, and a client that has it."""
    resp = user.call("POST", PATH, json={"label": label, "scopes": list(scopes or SCOPES), **more})
    assert resp.status_code == 201, resp.text
    answer = resp.json()
    user.stack.secrets.add(answer["secret"])
    script = type(user)(user.stack, answer["secret"])
    script.user = user.user
    return answer["token"], script


def listed(user, **query):
    resp = user.call("GET", PATH, params=query)
    assert resp.status_code == 200, resp.text
    return resp.json()["tokens"]


def revoke(user, token):
    return user.call("DELETE", f"{PATH}/{token['id']}")


def known(script):
    """A socket of the script's, once the daemon knows its token."""
    eventually(lambda: refusal(script) is None, what="the daemon knows the token")
    return conv_socket(script)


# ---------------------------------------------------------------------- making, listing, revoking

def test_a_token_is_shown_with_its_secret_once(alice, stack):
    token, script = make(alice, "read", "send", label="backup ☂")
    assert set(token) == MEMBERS
    assert_id(token["id"], token["created_at"])
    assert token == {**token, "label": "backup ☂", "scopes": ["read", "send"], "conversation_id": None,
                     "expires_at": None, "used_at": None}
    assert re.fullmatch(r"parley_[\w-]{43}", script.token)
    assert listed(alice) == [token]
    assert script.token not in alice.call("GET", PATH).text


def test_only_a_hash_is_kept(alice, stack):
    token, script = make(alice)
    row, = stack.query("SELECT t.*::text, encode(t.hash, 'hex'), s.*::text FROM tokens t JOIN sessions s ON s.id = t.session_id "
                       "WHERE s.id = %s", number_of(token["id"]))
    assert row[1] == hashlib.sha256(script.token.encode()).hexdigest()
    for table, in stack.query("SELECT name FROM kept_tables"):
        assert stack.query(f"SELECT count(*) FROM {table} x WHERE x::text LIKE %s", f"%{script.token[7:]}%") == [(0,)], table


def test_forms_are_taken(alice):
    resp = alice.call("POST", PATH, data={"label": "curl", "scopes": "read send", "expires_in": "3600"})
    assert resp.status_code == 201, resp.text
    token = resp.json()["token"]
    assert token["scopes"] == ["read", "send"]
    assert abs((parse_time(token["expires_at"]) - parse_time(token["created_at"])).total_seconds() - 3600) < 1


@pytest.mark.parametrize("body", [
    {"scopes": ["read"]}, {"label": "", "scopes": ["read"]}, {"label": "x" * 101, "scopes": ["read"]}, {"label": "x"},
    {"label": "x", "scopes": []}, {"label": "x", "scopes": ["login"]}, {"label": "x", "scopes": ["read"] * 9},
    {"label": "x", "scopes": "read,all"}, {"label": "x", "scopes": ["read"], "expires_in": 59},
    {"label": "x", "scopes": ["read"], "expires_in": 1.5}, {"label": "x", "scopes": ["read"], "expires_in": "60s"},
    {"label": "x", "scopes": ["read"], "expires_in": 10**30}, {"label": "x", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00Z"}, {"label": "x", "scopes": ["read"], "conversation_id": "ops"}], ids=str)
def test_what_makes_no_sense_is_refused(alice, body):
    resp = alice.call("POST", PATH, json=body)
    assert_problem(resp, 400, "missing_field" if "label" not in body else "invalid_field")
    assert listed(alice) == []


def test_the_list_is_ones_own_and_has_pages(alice, bob):
    make(bob)
    tokens = [make(alice, label=f"no {n}")[0] for n in range(3)][::-1]
    assert listed(alice) == tokens
    assert listed(alice, limit=2) + listed(alice, limit=2, offset=2) == tokens


def test_a_forms_field_given_twice_is_refused(alice):
    resp = alice.call("POST", PATH, data=[("label", "f"), ("scopes", "read"), ("scopes", "send")])
    assert assert_problem(resp, 400, "invalid_body", names="scopes")["detail"] == "scopes is given twice"
    assert listed(alice) == []


def test_tokens_are_no_sessions(alice):
    make(alice)
    assert [s["current"] for s in alice.call("GET", "/api/v1/sessions").json()["sessions"]] == [True]


def test_only_ones_own_tokens_can_be_revoked(alice, bob):
    token, script = make(alice)
    assert_problem(revoke(bob, token), 404, "not_found")
    assert script.me().status_code == 200


def test_last_use_is_shown_and_written_once_a_minute(alice, stack):
    token, script = make(alice)
    assert script.me().status_code == 200
    used = eventually(lambda: listed(alice)[0]["used_at"], what="the use is noted")
    assert parse_time(used) >= parse_time(token["created_at"])
    for _ in range(20):
        assert script.me().status_code == 200
    assert listed(alice)[0]["used_at"] == used
    stack.query("UPDATE tokens SET used_at = now() - interval '2 minutes' WHERE session_id = %s RETURNING 1", number_of(token["id"]))
    known(script).close()
    assert eventually(lambda: parse_time(listed(alice)[0]["used_at"]) > parse_time(used), what="the socket's use is noted")


# ---------------------------------------------------------------------- where it is accepted

def test_sockets_know_a_new_token_within_a_second(alice):
    def seconds_unknown():
        _, script = make(alice)
        return seconds(lambda: known(script).close())
    assert quickest(seconds_unknown) < 1


def test_it_is_good_on_every_surface(alice, bob):
    _, script = make(alice, "read", "send")
    assert script.me().json()["id"] == alice.id
    assert script.call("GET", "/v1/auth/me").json()["username"] == alice.name
    assert script.call("GET", "/v1/users").status_code == 200
    assert script.call("GET", "/api/groups").status_code == 200
    assert script.call("POST", f"/v1/messages/p2p/{number_of(bob.id)}", json={"content": "by p2p"}).status_code == 201
    assert script.make_message(bob, "by conv")["sender_id"] == alice.id


@pytest.mark.parametrize("surface", SURFACES)
def test_it_opens_every_socket_and_revocation_closes_it_at_once(alice, bob, surface):
    token, script = make(alice, "read", "send")
    known(script).close()
    opens = SOCKETS[surface]
    with opens(script, header=[f"Sec-WebSocket-Protocol: chat.{surface}"]) as sock:
        sock.ping()
        if surface == "rooms":          # which shows what was subscribed to, and no more
            sock.subscribe(number_of(alice.direct(bob)["id"]))
        assert revoke(alice, token).status_code == 204
        assert_closed_at_once([sock], alice, bob)
        assert_problem(script.me(), 401, "unauthorized")
    assert listed(alice) == []


def test_it_waits_for_events_and_revocation_ends_the_stream(alice, bob):
    token, script = make(alice, "read")
    known(script).close()
    with Stream(script).opened() as stream:
        bob.make_message(alice, "hello")
        assert told([stream.next()]) == ["hello"]
        assert revoke(alice, token).status_code == 204
        last = stream.next()
        assert last["event"] == "error" and last["code"] == "unauthorized"
        assert stream.next() is None


# ---------------------------------------------------------------------- scopes

GUARDED = {route: guards for route, guards in routes().items() if guards & {"AUTH", "AUTH_TOKEN"}}
MISSING = {"uuid": "0193e000-0000-7000-bfff-ffffffffffff", "int": 987654321, "name": "nobody-of-this-name"}


def path_of(pattern, *first):
    """The path of nothing at all, or of what the first segment names."""
    path = re.sub(r"\{\w+\}", str(first[0]), pattern, count=1) if first else pattern
    return re.sub(r"\{(\w+)\}", lambda m: str(MISSING[m[1]]), path)


def attempt(script, route, *first):
    """Does the token get past the guard? What is asked for is nonsense, so that nothing happens."""
    method, pattern = route
    more = {"json": {}} if "BODY" in GUARDED[route] else {}
    resp = script.call(method, path_of(pattern, *first), params={"limit": "none"}, **more)
    if resp.status_code == 403 and resp.json()["code"] == "insufficient_scope":
        assert resp.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
        return False
    assert resp.status_code != 401, resp.text
    return True


@pytest.fixture(scope="module")
def scripts(stack):
    """Of one account: a token of each scope."""
    owner = conv_account(stack)
    return {scope: make(owner, scope)[1] for scope in SCOPES}


@pytest.mark.parametrize("route", GUARDED, ids="{0[0]} {0[1]}".format)
def test_a_token_does_what_its_scopes_say(scripts, route):
    allowed = [scope for scope in SCOPES if attempt(scripts[scope], route)]
    assert allowed == [s for s in SCOPES if s not in scopes_beside(GUARDED[route])]


def test_every_route_but_the_door_s_says_what_it_needs():
    """What stands here is for logins alone; a new route that is not meant to be says its scope."""
    bare = {pattern for (_, pattern), guards in GUARDED.items() if not guards & {"READ", "SEND", "ADMIN"}}
    assert bare == {"/api/v1/auth/logout", "/api/v1/auth/password", "/api/auth/logout", "/api/v1/sessions",
                    "/api/v1/sessions/{uuid}", "/api/v1/tokens", "/api/v1/tokens/{uuid}"}
    for (method, _), guards in GUARDED.items():
        assert len(guards & {"READ", "SEND", "ADMIN"}) < 2
        assert method != "GET" or not guards & {"SEND", "ADMIN"}


def test_reading_is_not_sending_on_sockets_either(alice, bob):
    _, reader = make(alice, "read")
    talk = alice.direct(bob)
    with known(reader) as sock:
        sock.send({"type": "message", "conversation_id": talk["id"], "body": "no"})
        assert sock.recv_json()["data"]["code"] == "insufficient_scope"
        bob.say(talk, "but this comes")
        assert sock.recv_json()["data"]["body"] == "but this comes"
    assert [m["body"] for m in alice.page(talk)["messages"]] == ["but this comes"]


@pytest.mark.parametrize("surface", SURFACES)
def test_sending_alone_opens_no_socket(scripts, surface):
    eventually(lambda: refusal(scripts["send"], SOCKETS[surface]) == 403, what="refused as what it is")


# ---------------------------------------------------------------------- limited to one conversation

@pytest.fixture(scope="module")
def limited(stack):
    """A token for one conversation, with all scopes, and another conversation of its owner's."""
    owner, other = conv_account(stack), conv_account(stack)
    mine, theirs = owner.group(other), owner.group(other)
    inside = owner.say(mine, "inside")
    outside = owner.say(theirs, "outside")
    token, script = make(owner, conversation_id=mine["id"])
    eventually(lambda: refusal(script) == 403, what="the daemon knows it, and refuses it as what it is")
    return {"owner": owner, "other": other, "mine": mine, "theirs": theirs, "inside": inside, "outside": outside,
            "token": token, "script": script}


@pytest.mark.parametrize("route", GUARDED, ids="{0[0]} {0[1]}".format)
def test_a_limited_token_touches_its_conversation_alone(limited, route):
    guards, script = GUARDED[route], limited["script"]
    kind = next((k for k in ("ROOM", "MESSAGE", "NARROWS") if k in guards), None)
    form = (re.findall(r"\{(\w+)\}", route[1]) or [None])[0]
    as_named = lambda thing: thing["id"] if form == "uuid" else number_of(thing["id"])
    if route[0] == "DELETE" or route[1].endswith(("/leave", "/read")):
        kind = kind and "there"          # it would happen: the other one has to do
    if kind in ("ROOM", "MESSAGE"):
        assert attempt(script, route, as_named(limited["mine" if kind == "ROOM" else "inside"]))
    if kind == "NARROWS":
        assert attempt(script, route)
    else:
        for thing in ("theirs", "outside"):
            first = [as_named(limited[thing])] if form in ("uuid", "int") else []
            assert not attempt(script, route, *first)


def test_a_limited_token_reads_and_writes_there(limited):
    script, mine = limited["script"], limited["mine"]
    assert script.say(mine, "from cron")["body"] == "from cron"
    message = script.say(mine, "typo")
    assert script.edit(message, "fixed").status_code == 200
    assert script.unsend(message).status_code == 204
    assert_problem(script.call("PATCH", f"/api/v1/messages/{limited['outside']['id']}", json={"body": "x"}), 403, "insufficient_scope")


def test_a_limited_token_is_told_of_its_conversation_alone(limited):
    owner, script = limited["owner"], limited["script"]
    cursor = now(script)
    owner.say(limited["theirs"], "not for you")
    owner.say(limited["mine"], "for you")
    assert told(since(script, cursor)[0]) == ["for you"]
    assert told(since(script, cursor, wait="1")[0]) == ["for you"]
    for query in ({"conversation": limited["theirs"]["id"]}, {"consumer": "x"}):
        for wait in ("0", "1"):
            assert_problem(ask(script, wait=wait, **query), 403, "insufficient_scope")
    assert ask(script, conversation=limited["mine"]["id"]).status_code == 200


def test_a_limited_token_opens_no_socket(limited):
    assert refusal(limited["script"]) == 403


def test_a_limited_token_is_for_a_conversation_one_is_in(alice, bob, stack):
    carol = conv_account(stack)
    group = bob.group(carol)
    body = {"label": "x", "scopes": ["read"], "conversation_id": group["id"]}
    assert_problem(alice.call("POST", PATH, json=body), 403, "forbidden")


def test_it_ends_with_its_conversation(alice, bob):
    group = alice.group(bob)
    _, script = make(alice, "read", conversation_id=group["id"])
    assert alice.call("DELETE", f"/api/v1/conversations/{group['id']}").status_code == 204
    assert_problem(script.me(), 401, "unauthorized")
    assert listed(alice) == []


# ---------------------------------------------------------------------- ends

def test_an_expired_token_is_refused(alice, stack):
    token, script = make(alice, "read", expires_in=60)
    soon = "UPDATE sessions SET expires_at = date_trunc('second', now()) + interval '3 s' WHERE id = %s RETURNING 1"
    stack.query(soon, number_of(token["id"]))   # nobody has asked for it yet, so nobody remembers the minute
    assert script.me().status_code == 200
    eventually(lambda: script.me().status_code == 401, what="it expires")
    assert_problem(script.me(), 401, "unauthorized")
    assert listed(alice) == []


def test_all_of_them_can_be_revoked_at_once(alice):
    scripts = [make(alice)[1] for _ in range(3)]
    assert alice.call("DELETE", PATH).json() == {"ended": 3}
    for script in scripts:
        assert_problem(script.me(), 401, "unauthorized")
    assert alice.me().status_code == 200


def test_a_disabled_users_tokens_do_not_work(stack):
    owner = conv_account(stack)
    _, script = make(owner, "read", "send")
    sock = known(script)
    stack.disable(owner.name)
    assert_problem(script.me(), 403, "account_disabled")
    sock.expect_close(4003)
    assert refusal(script) == 403


def test_scripts_go_on_when_their_owner_signs_out_elsewhere_or_takes_a_new_password(alice):
    _, script = make(alice)
    assert alice.call("DELETE", "/api/v1/sessions").status_code == 200
    body = {"current_password": alice.password, "password": "another horse entirely"}
    assert alice.call("POST", "/api/v1/auth/password", json=body).status_code == 200
    assert script.me().status_code == 200


def test_what_looks_like_a_token_is_none(alice, stack):
    _, script = make(alice)
    for text in ("parley_", "parley_" + "A" * 43, script.token[:-1], script.token + "A", script.token.swapcase()):
        assert_problem(alice.me(token=text), 401, "unauthorized")
        dm_socket(Dm(stack, text)).expect_close(4001)


def test_making_and_revoking_are_in_the_audit_log(alice, stack):
    token, _ = make(alice, label="noted")
    revoke(alice, token)
    lines = stack.query("SELECT kind, detail, address, request_id IS NOT NULL FROM audit_log WHERE session_id = %s ORDER BY id",
                        number_of(token["id"]))
    assert lines == [("token_created", "noted", "127.0.0.1", True), ("token_revoked", "by its user", "127.0.0.1", True)]


def test_no_secret_is_in_a_log(stack, alice, bob):
    _, script = make(alice)
    script.make_message(bob, "hello")
    known(script).close()
    script.me(token=script.token + "A")
    stack.assert_logs_are_clean()
