"""conv (001), the Workflow Diagrams over REST: accounts and conversations. What is said in them is in
test_conv_messages.py, the socket in test_conv_socket.py."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import fresh_name, fresh_password
from parley.check import assert_id, assert_problem, id_parts, number_of, parse_time, with_timestamp
from parley.conv import Conv, conv_account

ACCOUNT = conv_account
CONVERSATION = {"id", "type", "name", "owner_id", "participants", "last_message", "unread_count", "created_at", "updated_at"}
PARTICIPANT = {"user_id", "username", "display_name", "role", "joined_at"}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"
STRANGE = "94A9bc43-1c2a-4025-b25a-735dbceb9d41"    # version 4: not of our making


@pytest.fixture
def anyone(stack):
    return Conv(stack)


# ---------------------------------------------------------------------- registration and login

def test_registration_answers_201_with_the_user_and_both_tokens(anyone):
    resp = anyone.sign_up(email="Ann.Lee@" + fresh_name("h") + ".org", display_name="Ann Lee")
    assert resp.status_code == 201
    body = resp.json()
    assert body["tokens"]["access_token"] and body["tokens"]["refresh_token"]
    assert body["user"]["display_name"] == "Ann Lee" and body["user"]["email"].startswith("Ann.Lee@")
    assert_id(body["user"]["id"], body["user"]["created_at"])
    assert {k: body[k] for k in body["user"]} == body["user"]     # one answer serves dm and conv
    assert "password" not in resp.text
    assert anyone.me(token=body["tokens"]["access_token"]).json()["id"] == body["user"]["id"]


def test_username_is_derived_from_the_display_name(anyone):
    one = fresh_name()
    assert anyone.sign_up(display_name=f"{one} van Dyke-Müller").json()["user"]["username"].startswith(f"{one}.van.dyke.m")


def test_derived_usernames_are_free_ones(anyone):
    name = fresh_name("Same")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: anyone.sign_up(display_name=name), range(6)))
    assert [a.status_code for a in answers] == [201] * 6
    names = [a.json()["user"]["username"] for a in answers]
    assert len(set(names)) == 6 and name.lower() in names
    assert {a.json()["user"]["display_name"] for a in answers} == {name}


@pytest.mark.parametrize("display_name", ["李小龍", "😀😀", "é", ".", "a", "ab", "-" * 100, "x" * 100])
def test_any_display_name_gives_a_valid_username(anyone, display_name):
    user = anyone.sign_up(display_name=display_name).json()["user"]
    assert user["display_name"] == display_name
    assert 3 <= len(user["username"]) <= 50
    assert not set(user["username"]) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


@pytest.mark.parametrize("body, code, names", [
    ({"email": None}, "missing_field", "email"), ({"password": None}, "missing_field", "password"),
    ({"display_name": None}, "missing_field", "username"), ({"email": "nonsense"}, "invalid_field", "email"),
    ({"password": "short"}, "weak_password", "password"), ({"password": "x" * 73}, "weak_password", "password"),
    ({"display_name": ""}, "invalid_field", "display_name"), ({"display_name": "x" * 101}, "invalid_field", "display_name"),
    ({"display_name": "  "}, "invalid_field", "display_name"),
    ({"display_name": 5}, "invalid_field", "display_name"), ({"email": ["a@b.org"]}, "invalid_field", "email"),
], ids=str)
def test_registration_validates_its_input(anyone, body, code, names):
    assert_problem(anyone.sign_up(**body), 400, code, names=names)


def test_email_is_taken_in_either_case(anyone, alice):
    assert_problem(anyone.sign_up(email=alice.user["email"].upper()), 400, "email_taken")


def test_registration_opens_a_session_with_a_refresh_token(alice):
    assert alice.refresh().status_code == 200


def test_registration_queues_a_verification_mail_in_the_same_transaction(stack, alice):
    assert stack.query("SELECT o.kind FROM mail_outbox o WHERE o.recipient = %s", alice.user["email"]) == [("verify",)]
    rows = stack.query("SELECT o.xmin::text = u.xmin::text FROM mail_outbox o JOIN users u ON u.email = o.recipient "
                       "WHERE o.recipient = %s AND o.xmin = u.xmin", alice.user["email"])
    assert rows in ([(True,)], [])      # the courier may have been at it already


def test_login_answers_200_with_the_user_and_both_tokens(alice):
    resp = alice.login(email=alice.user["email"], password=alice.password)
    assert resp.status_code == 200
    assert resp.json()["tokens"]["access_token"] and resp.json()["tokens"]["refresh_token"]
    assert resp.json()["user"] == alice.user
    assert alice.me(token=resp.json()["tokens"]["access_token"]).status_code == 200


def test_login_takes_username_or_email_in_either_field(alice):
    for field in ("email", "username"):
        for value in (alice.user["email"], alice.user["email"].upper(), alice.name, alice.name.upper()):
            assert alice.login(**{field: value, "password": alice.password}).status_code == 200


@pytest.mark.parametrize("known", [True, False])
def test_password_mismatch_answers_401_invalid_credentials(alice, known):
    email = alice.user["email"] if known else "nobody@example.org"
    body = assert_problem(alice.login(email=email, password=fresh_password()), 401, "invalid_credentials")
    assert body["error"] == "invalid credentials"


# ---------------------------------------------------------------------- creating conversations

def test_creating_a_group_answers_201_with_the_conversation(alice, bob, carol):
    resp = alice.create("group", [bob, carol], name="Climbing")
    assert resp.status_code == 201 and set(resp.json()) == {"conversation"}
    c = resp.json()["conversation"]
    assert set(c) == CONVERSATION
    assert (c["type"], c["name"], c["owner_id"]) == ("group", "Climbing", alice.id)
    assert (c["last_message"], c["unread_count"]) == (None, 0)
    assert_id(c["id"], c["created_at"])
    assert all(set(p) == PARTICIPANT for p in c["participants"])
    # the creator is a participant without being listed; then in the order named
    assert [(p["user_id"], p["role"]) for p in c["participants"]] == [(alice.id, "owner"), (bob.id, "member"), (carol.id, "member")]
    assert c["participants"][1]["display_name"] == bob.user["display_name"]
    for p in c["participants"]:
        parse_time(p["joined_at"])


def test_every_participant_sees_the_same_conversation(alice, bob, carol):
    c = alice.group(bob, carol)
    assert alice.conversation(c) == bob.conversation(c) == carol.conversation(c) == c


def test_creating_a_direct_conversation_answers_201_then_200_with_the_existing_one(alice, bob):
    first, again, back = alice.create("direct", [bob]), alice.create("direct", [bob]), bob.create("direct", [alice])
    assert [r.status_code for r in (first, again, back)] == [201, 200, 200]
    c = first.json()["conversation"]
    assert set(c) == CONVERSATION and (c["type"], c["name"], c["owner_id"]) == ("direct", None, None)
    assert {p["user_id"] for p in c["participants"]} == {alice.id, bob.id}
    assert again.json()["conversation"] == c and back.json()["conversation"]["id"] == c["id"]


def test_creator_may_be_listed_and_others_twice(alice, bob):
    direct = alice.create("direct", [alice, bob, bob])
    assert direct.status_code == 201
    group = alice.create("group", [bob, alice, bob], name="x").json()["conversation"]
    assert [p["user_id"] for p in group["participants"]] == [alice.id, bob.id]


def test_direct_conversation_of_a_dm_is_the_existing_one(alice, bob):
    alice.make_message(bob, "by dm")
    resp = bob.create("direct", [alice])
    assert resp.status_code == 200
    assert resp.json()["conversation"]["last_message"]["body"] == "by dm"


def test_twenty_racing_creations_make_one_direct_conversation(alice, bob):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda i: (alice, bob)[i % 2].create("direct", [(bob, alice)[i % 2]]), range(20)))
    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert len({a.json()["conversation"]["id"] for a in answers}) == 1
    assert len(alice.list()) == 1


def test_name_is_optional_and_a_group_may_begin_with_its_creator_alone(alice, bob):
    assert alice.create("group", [bob]).json()["conversation"]["name"] is None
    assert len(alice.create("group", [], name="Diary").json()["conversation"]["participants"]) == 1


@pytest.mark.parametrize("kind", ["direct", "group"])
def test_unknown_participant_is_a_404_that_names_it(alice, bob, kind):
    moved = with_timestamp(bob.id, id_parts(bob.id)[2] + 1)
    for unknown in (NOBODY, moved, STRANGE):
        people = [unknown] if kind == "direct" else [bob, unknown]
        assert_problem(alice.create(kind, people), 404, "user_not_found", names=unknown)
    assert alice.list() == [] and bob.list() == []


@pytest.mark.parametrize("body, code, names", [
    ({"type": None}, "missing_field", "type"), ({"type": "room"}, "invalid_field", "type"), ({"type": 1}, "invalid_field", "type"),
    ({"participant_ids": None}, "missing_field", "participant_ids"), ({"participant_ids": "x"}, "invalid_field", "participant_ids"),
    ({"participant_ids": ["x"]}, "invalid_field", "participant_ids"), ({"participant_ids": [5]}, "invalid_field", "participant_ids"),
    ({"participant_ids": [None]}, "invalid_field", "participant_ids"), ({"participant_ids": [NOBODY] * 1001}, "invalid_field", "participant_ids"),
    ({"name": ""}, "invalid_field", "name"), ({"name": "x" * 101}, "invalid_field", "name"), ({"name": 5}, "invalid_field", "name"),
    ({"type": "direct", "participant_ids": []}, "invalid_field", "participant_ids"),
], ids=lambda v: str(v)[:50])
def test_creation_validates_its_input(alice, body, code, names):
    good = {"type": "group", "participant_ids": [], "name": "x"}
    body = {k: v for k, v in {**good, **body}.items() if v is not None}
    assert_problem(alice.ask("POST", "/conversations", json=body), 400, code, names=names)


def test_direct_conversation_takes_one_other_person(alice, bob, carol):
    assert_problem(alice.create("direct", [bob, carol]), 400, "invalid_field", names="participant_ids")
    assert_problem(alice.create("direct", [alice]), 400, "self_message")


# ---------------------------------------------------------------------- reading conversations

def test_conversations_are_listed_latest_first(alice, bob, carol):
    direct, group, other = alice.direct(bob), alice.group(bob, name="one"), alice.group(carol, name="two")
    bob.say(group, "up")
    bob.say(direct, "and up")
    assert [c["id"] for c in alice.list()] == [direct["id"], group["id"], other["id"]]
    assert [c["id"] for c in bob.list()] == [direct["id"], group["id"]]
    assert all(set(c) == CONVERSATION for c in alice.list())
    assert alice.list()[0]["last_message"]["body"] == "and up"


def test_unread_count_counts_others_messages_until_read(alice, bob):
    c = alice.group(bob)
    for n in range(3):
        alice.say(c, f"n{n}")
    bob.say(c, "mine")
    assert (bob.conversation(c)["unread_count"], alice.list()[0]["unread_count"]) == (3, 1)
    assert bob.read(c).json()["conversation"]["unread_count"] == 0
    assert bob.list()[0]["unread_count"] == 0


def test_updated_at_moves_with_messages_members_and_the_name(alice, bob, carol):
    c = alice.group(bob)
    seen = [parse_time(c["updated_at"])]
    for change in (lambda: alice.say(c, "x"), lambda: alice.add(c, carol), lambda: alice.rename(c, "new"), lambda: carol.leave(c)):
        change()
        seen.append(parse_time(alice.conversation(c)["updated_at"]))
    assert seen == sorted(set(seen))


def test_unknown_conversation_is_not_found(alice, bob):
    c = alice.group(bob)
    for unknown in (NOBODY, with_timestamp(c["id"], id_parts(c["id"])[2] + 1), bob.id):
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/messages"), ("POST", "/leave")):
            assert_problem(alice.ask(method, f"/conversations/{unknown}{path}"), 404, "conversation_not_found")
    assert_problem(alice.ask("GET", f"/conversations/{number_of(c['id'])}"), 404)
    assert_problem(alice.ask("GET", "/conversations/nonsense"), 404)


@pytest.mark.parametrize("kind", ["direct", "group"])
def test_outsiders_get_403_everywhere(alice, bob, carol, kind):
    c = alice.direct(bob) if kind == "direct" else alice.group(bob)
    m = alice.say(c, "private")
    at, message = f"/conversations/{c['id']}", f"/messages/{m['id']}"
    for method, path, body in (
            ("GET", at, None), ("PATCH", at, {"name": "x"}), ("DELETE", at, None), ("POST", f"{at}/leave", None),
            ("POST", f"{at}/participants", {"user_id": carol.id}), ("DELETE", f"{at}/participants/{bob.id}", None),
            ("DELETE", f"{at}/participants/{carol.id}", None), ("POST", f"{at}/messages", {"body": "x"}),
            ("GET", f"{at}/messages", None), ("POST", f"{at}/read", {}), ("GET", f"{message}/deliveries", None),
            ("POST", f"{message}/read", None), ("PATCH", message, {"body": "x"}), ("DELETE", message, None)):
        resp = carol.ask(method, path, **({} if body is None else {"json": body}))
        assert_problem(resp, 403, "forbidden")
    assert alice.texts(c) == ["private"] and carol.list() == []


# ---------------------------------------------------------------------- groups

def test_owner_renames(alice, bob):
    c = alice.group(bob)
    resp = alice.rename(c, "Bouldering 🧗")
    assert resp.status_code == 200 and resp.json()["conversation"]["name"] == "Bouldering 🧗"
    assert bob.conversation(c)["name"] == "Bouldering 🧗"
    assert_problem(bob.rename(c, "mine"), 403, "forbidden")
    for name, code in ((None, "missing_field"), ("", "invalid_field"), ("x" * 101, "invalid_field"), (5, "invalid_field")):
        assert_problem(alice.rename(c, name), 400, code, names="name")


def test_owner_deletes_for_everybody(alice, bob):
    c = alice.group(bob)
    m = alice.say(c, "gone")
    assert_problem(bob.delete(c), 403, "forbidden")
    resp = alice.delete(c)
    assert resp.status_code == 204 and resp.content == b""
    for who in (alice, bob):
        assert_problem(who.messages(c), 404, "conversation_not_found")
        assert_problem(who.ask("GET", f"/messages/{m['id']}/deliveries"), 404, "message_not_found")
        assert who.list() == []


def test_owner_adds_one_or_several(alice, bob, carol, new_user):
    c = alice.group(bob)
    one = alice.ask("POST", f"/conversations/{c['id']}/participants", json={"user_id": carol.id})
    assert one.status_code == 200
    dave, erin = new_user(), new_user()
    both = alice.add(c, dave, erin, carol)      # she is in it already: left alone
    assert [p["user_id"] for p in both.json()["conversation"]["participants"]] == [u.id for u in (alice, bob, carol, dave, erin)]
    assert carol.say(c, "hello")


def test_adding_validates_its_input(alice, bob, carol):
    c = alice.group(bob)
    path = f"/conversations/{c['id']}/participants"
    for body, code in (({}, "missing_field"), ({"user_id": "x"}, "invalid_field"), ({"user_id": number_of(bob.id)}, "invalid_field"),
                       ({"user_id": carol.id, "participant_ids": [carol.id]}, "invalid_field"), ({"participant_ids": 5}, "invalid_field")):
        assert_problem(alice.ask("POST", path, json=body), 400, code)
    assert_problem(alice.ask("POST", path, json={"user_id": NOBODY}), 404, "user_not_found", names=NOBODY)
    for unknown in (NOBODY, STRANGE):
        assert_problem(alice.add(c, carol, unknown), 404, "user_not_found", names=unknown)
    assert_problem(alice.ask("POST", path, json={"user_id": STRANGE}), 404, "user_not_found", names=STRANGE)
    assert_problem(bob.add(c, carol), 403, "forbidden")
    assert len(alice.conversation(c)["participants"]) == 2


def test_owner_removes_and_anyone_removes_themself(alice, bob, carol):
    c = alice.group(bob, carol)
    assert_problem(bob.remove(c, carol), 403, "forbidden")
    assert alice.remove(c, bob).status_code == 204
    assert_problem(bob.messages(c), 403, "forbidden")
    assert_problem(bob.post(c, "still here?"), 403, "forbidden")
    assert carol.remove(c, carol).status_code == 204
    assert_problem(alice.remove(c, carol), 404, "user_not_found")
    assert [p["user_id"] for p in alice.conversation(c)["participants"]] == [alice.id]


def test_participants_leave_and_the_owner_deletes_instead(alice, bob):
    c = alice.group(bob)
    resp = bob.leave(c)
    assert resp.status_code == 204 and resp.content == b""
    assert bob.list() == []
    assert_problem(alice.leave(c), 403, "forbidden")
    assert_problem(alice.remove(c, alice), 403, "forbidden")


def test_direct_conversation_has_no_name_and_two_people_for_ever(alice, bob, carol):
    c = alice.direct(bob)
    for resp in (alice.rename(c, "x"), alice.delete(c), alice.add(c, carol), alice.remove(c, bob), alice.leave(c)):
        assert_problem(resp, 403, "forbidden")
    assert len(alice.conversation(c)["participants"]) == 2
