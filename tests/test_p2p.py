"""`p2p` (002) over REST: accounts, messages with media, people, chats, groups."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import fresh_name, fresh_password
from parley.check import assert_problem, parse_time
from parley.p2p import (MESSAGE, PICTURE, P2p, assert_message, jerry, p2p_socket,  # noqa: F401
                        spike, tom)
from parley.wait import eventually

NOBODY = 987654321098
SOME_UUID = "0193e000-0000-7000-bfff-ffffffffffff"


# ---------------------------------------------------------------------- stage 1: registration and login

def test_registration_answers_201_with_the_new_user_id_and_a_token(stack):
    name, email = fresh_name(), f"{fresh_name()}@example.org"
    resp = P2p(stack).register(email=email, password=fresh_password(), username=name)
    assert resp.status_code == 201
    body = resp.json()
    assert set(body) == {"id", "username", "email", "created_at", "message", "token"}
    assert type(body["id"]) is int and (body["username"], body["email"]) == (name, email)
    assert body["message"] == "User registered successfully"
    parse_time(body["created_at"])
    assert P2p(stack, body["token"]).users(limit=1).json()[0]["id"] == body["id"]


def test_taken_email_or_username_is_a_conflict_in_either_case(stack, tom):
    other = P2p(stack)
    assert_problem(other.register(email=tom.user["email"].upper(), password=fresh_password(), username=fresh_name()),
                   409, "email_taken")
    assert_problem(other.register(email="x@example.org", password=fresh_password(), username=tom.name.upper()),
                   409, "username_taken")


@pytest.mark.parametrize("drop", ["email", "password", "username"])
def test_registration_needs_every_field(stack, drop):
    body = {"email": f"{fresh_name()}@example.org", "password": fresh_password(), "username": fresh_name()}
    del body[drop]
    assert_problem(P2p(stack).register(**body), 400, "missing_field", names=drop)


def test_one_of_many_registrations_with_one_email_wins(stack):
    email = f"{fresh_name()}@example.org"
    register = lambda _: P2p(stack).register(email=email, password=fresh_password(), username=fresh_name()).status_code
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(register, range(8))) == [201] + [409] * 7


def test_login_answers_200_with_a_token_and_the_user(stack, tom):
    for who in ({"email": tom.user["email"]}, {"username": tom.name}):
        resp = P2p(stack).login(password=tom.password, **who)
        assert resp.status_code == 200
        body = resp.json()
        assert set(body) == {"message", "token", "user"} and body["message"] == "Login successful"
        assert (body["user"]["id"], body["user"]["email"]) == (tom.id, tom.user["email"])
        assert P2p(stack, body["token"]).users(limit=1).status_code == 200


def test_wrong_password_and_unknown_user_are_refused_alike(stack, tom):
    one = assert_problem(P2p(stack).login(email=tom.user["email"], password="not the one"), 401, "invalid_credentials")
    two = assert_problem(P2p(stack).login(email="nobody@example.org", password="not the one"), 401, "invalid_credentials")
    assert one == two


@pytest.mark.parametrize("method, path", [("POST", "/messages/p2p/1"), ("GET", "/messages/history/1"), ("GET", "/users"),
                                          ("GET", "/users/with-chat-info"), ("GET", "/users/1"), ("GET", "/chats"),
                                          ("GET", "/groups"), ("POST", "/groups"), ("GET", "/groups/1/members"),
                                          ("POST", "/groups/1/members"), ("POST", "/messages/group/1"),
                                          ("GET", "/groups/1/messages")])
def test_everything_else_needs_the_token(stack, method, path):
    for token in (None, "nonsense"):
        assert_problem(P2p(stack, token).ask(method, path, json={"content": "x"}), 401, "unauthorized")


# ---------------------------------------------------------------------- stage 3: sending

def test_send_with_media_answers_201_with_the_message(tom, jerry):
    resp = tom.send(jerry, "Hey Jerry!", media_url=PICTURE)
    assert resp.status_code == 201
    body = resp.json()
    assert set(body) == MESSAGE | {"message"} and "sent" in body.pop("message")
    assert_message(body)
    assert (body["sender_id"], body["recipient_id"]) == (tom.id, jerry.id)
    assert (body["content"], body["media_url"], body["type"]) == ("Hey Jerry!", PICTURE, "text")


def test_message_is_seen_by_both_and_nobody_else(tom, jerry, spike):
    sent = tom.say(jerry, "between us", media_url=PICTURE)
    del sent["message"]
    assert tom.page(jerry) == jerry.page(tom) == [sent]
    assert spike.page(tom) == spike.page(jerry) == []


def test_to_oneself_is_refused(tom):
    assert_problem(tom.send(tom, "Dear diary"), 400, "self_message")


@pytest.mark.parametrize("recipient", [NOBODY, 1 << 62, 9223372036854775807])
def test_unknown_recipient_is_not_found(tom, recipient):
    assert_problem(tom.send(recipient, "x"), 404, "user_not_found")


@pytest.mark.parametrize("recipient", ["0", "-1", "01", "1e3", "x", "", "99999999999999999999", SOME_UUID])
def test_what_is_no_integer_names_nothing(tom, recipient):
    assert_problem(tom.send(recipient, "x"), 404)


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": ""}, {"media_url": ""}, {"content": "", "media_url": ""},
                                  {"content": None, "media_url": None}], ids=str)
def test_neither_content_nor_media_is_refused(tom, jerry, body):
    assert_problem(tom.ask("POST", f"/messages/p2p/{jerry.id}", json=body), 400, ("missing_field", "invalid_field"))
    assert tom.page(jerry) == []


@pytest.mark.parametrize("more", [{}, {"content": ""}, {"content": None}], ids=str)
def test_media_may_stand_alone(tom, jerry, more):
    sent = tom.ask("POST", f"/messages/p2p/{jerry.id}", 201, json={"media_url": PICTURE, **more})
    assert sent["media_url"] == PICTURE and not sent["content"]
    assert jerry.page(tom)[0]["media_url"] == PICTURE


def test_empty_media_url_counts_as_absent(tom, jerry):
    assert tom.say(jerry, "no picture", media_url="")["media_url"] == ""


@pytest.mark.parametrize("url", ["cheese.jpg", "ftp://example.org/x", "javascript:alert(1)", "https://", "https:///x",
                                 "https://example.org/a b", "https://example.org/" + "x" * 2048, 5, True, ["https://example.org"]],
                         ids=lambda u: str(u)[:24])
def test_media_url_has_to_be_one(tom, jerry, url):
    assert_problem(tom.send(jerry, "look", media_url=url), 400, "invalid_field", names="media_url")


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "null", "\x01", "y" * 16384], ids=lambda t: ascii(t)[:12])
def test_content_is_never_altered(tom, jerry, text):
    tom.say(jerry, text)
    assert jerry.texts(tom) == [text]


@pytest.mark.parametrize("text", ["y" * 16385, "a\0b", 5, {}], ids=lambda t: ascii(t)[:12])
def test_content_out_of_bounds_is_refused(tom, jerry, text):
    assert_problem(tom.send(jerry, text), 400, "invalid_field", names="content")


def test_type_is_kept(tom, jerry):
    assert tom.say(jerry, media_url=PICTURE, type="image")["type"] == "image"
    assert tom.say(jerry, "x", type="")["type"] == "text"
    assert [m["type"] for m in jerry.page(tom)] == ["image", "text"]
    for wrong in ("x" * 21, 5):
        assert_problem(tom.send(jerry, "x", type=wrong), 400, "invalid_field", names="type")


def test_the_same_key_stores_once(tom, jerry):
    first = tom.send(jerry, "once", key="k1", media_url=PICTURE)
    again = tom.send(jerry, "once", key="k1", media_url=PICTURE)
    assert again.status_code == 201 and again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert_problem(tom.send(jerry, "once", key="k1"), 409, "idempotency_conflict")
    assert tom.texts(jerry) == ["once"]


def test_the_same_key_across_sockets_and_media_alone_stores_once(tom, jerry):
    first = tom.send(jerry, key="k2", media_url=PICTURE).json()
    with p2p_socket(tom) as sock:
        assert sock.exchange(jerry, media_url=PICTURE, client_msg_id="k2")["id"] == first["id"]
    assert len(tom.page(jerry)) == 1


# ---------------------------------------------------------------------- status

def test_message_is_pending_until_somebody_connects_then_delivered(tom, jerry):
    sent = tom.say(jerry, "are you there?")
    assert sent["status"] == tom.status(sent) == "PENDING"
    with p2p_socket(jerry) as sock:
        assert sock.recv_json()["id"] == sent["id"]
        eventually(lambda: tom.status(sent) == "DELIVERED", what="delivered")
    assert tom.chats()[0]["status"] == "DELIVERED"


def test_message_to_somebody_connected_is_not_pending(tom, jerry):
    with p2p_socket(jerry) as sock:
        eventually(lambda: tom.say(jerry, "now?")["status"] != "PENDING", what="online")
        first = sock.recv_json()
        eventually(lambda: tom.status(first) == "DELIVERED", what="delivered")


def test_group_message_is_delivered_when_all_have_it(tom, jerry, spike):
    group = tom.group(jerry, spike)
    sent = tom.send_to_group(group, "all?").json()
    assert sent["status"] == "PENDING"
    with p2p_socket(jerry) as one:
        assert one.recv_json()["id"] == sent["id"]
        eventually(lambda: tom.status(sent) == "SENT", what="jerry is online, spike has not got it")
        with p2p_socket(spike) as two:
            assert two.recv_json()["id"] == sent["id"]
            eventually(lambda: tom.status(sent) == "DELIVERED", what="delivered")


def test_a_status_asks_of_everybody_but_the_sender(stack, tom, jerry, spike):
    group = tom.group(jerry, spike)
    people = (tom, jerry, spike)
    sent = [who.send_to_group(group, "line").json()["id"] for who in people]
    for reached in itertools.product(range(4), repeat=3):       # the watermarks: how many each of them has
        for who, seq in zip(people, reached):
            stack.query("UPDATE participants SET delivered_seq = %s WHERE conversation_id = %s AND user_id = %s",
                        seq, group["id"], who.id)
        shown = {m["id"]: m["status"] for m in tom.page(group)}
        for n, message in enumerate(sent):
            everybody = all(seq > n for i, seq in enumerate(reached) if i != n)
            assert shown[message] == ("DELIVERED" if everybody else "PENDING"), (reached, n)


# ---------------------------------------------------------------------- history and chats

def test_history_is_oldest_first_and_paged_by_before_id(tom, jerry):
    ids = [(tom if n % 3 else jerry).say(jerry if n % 3 else tom, f"{n}")["id"] for n in range(25)]
    assert [m["id"] for m in jerry.page(tom)] == ids
    assert [m["id"] for m in jerry.page(tom, limit=10)] == ids[15:]
    assert [m["id"] for m in jerry.page(tom, limit=10, before_id=ids[15])] == ids[5:15]
    assert [m["id"] for m in jerry.page(tom, limit=10, before_id=ids[5])] == ids[:5]
    assert jerry.page(tom, before_id=ids[0]) == []
    assert [m["id"] for m in jerry.page(tom, limit=5, before_id=0)] == ids[-5:]


def test_history_pages_neither_skip_nor_repeat_while_messages_arrive(tom, jerry):
    ids = [tom.say(jerry, f"{n}")["id"] for n in range(12)]
    found = []
    while page := jerry.page(tom, limit=5, **({"before_id": found[0]["id"]} if found else {})):
        found = page + found
        tom.say(jerry, "meanwhile")
    assert [m["id"] for m in found] == ids


def test_history_limit_is_50_and_at_most_100(tom, jerry):
    with p2p_socket(tom) as sock:
        for n in range(105):
            sock.say(jerry, f"{n}")
        sock.collect(105)
    assert [len(tom.page(jerry, **q)) for q in ({}, {"limit": 100}, {"limit": 5000})] == [50, 100, 100]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": -1}, {"limit": "x"}, {"limit": ""}, {"before_id": ""},
                                   {"before_id": "x"}, {"before_id": -3}, {"before_id": SOME_UUID}], ids=str)
def test_bad_parameter_is_refused(tom, jerry, query):
    assert_problem(tom.history(jerry, **query), 400, "invalid_parameter", names=next(iter(query)))


def test_history_with_a_stranger_is_empty_and_with_nobody_not_found(tom, jerry):
    assert tom.page(jerry) == [] and tom.page(tom) == []
    assert_problem(tom.history(NOBODY), 404, "user_not_found")


def test_chats_are_the_last_messages_latest_first(tom, jerry, spike):
    assert tom.chats() == []
    group = tom.group(jerry)
    tom.say(jerry, "one")
    spike.say(tom, "two")
    tom.send_to_group(group, "three")
    last = jerry.say(tom, "four")
    del last["message"]
    chats = tom.chats()
    assert [c["content"] for c in chats] == ["four", "three", "two"]
    assert chats[0] == last
    for chat in chats:
        assert_message(chat, group="group_id" in chat)
    assert [c["content"] for c in spike.chats()] == ["two"]
