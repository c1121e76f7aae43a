"""`groups` (004) over REST: accounts, conversations and messages, with the cursor that is a timestamp."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from parley import tokens
from parley.api import fresh_name, fresh_password
from parley.check import assert_id, assert_problem, number_of, parse_time, with_timestamp
from parley.groups import Groups, ann, assert_message, ben, cid, groups_socket, path_of  # noqa: F401

NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


# ---------------------------------------------------------------------- authentication

def test_register_answers_200_with_the_user_and_both_tokens(stack):
    name, email = fresh_name(), f"{fresh_name()}@example.org"
    resp = Groups(stack).register(username=name, email=email, password=fresh_password())
    assert resp.status_code == 200
    body = resp.json()
    assert set(body) == {"user", "access_token", "refresh_token"}
    assert set(body["user"]) == {"id", "username", "email", "created_at"}
    assert (body["user"]["username"], body["user"]["email"]) == (name, email)
    assert_id(body["user"]["id"], body["user"]["created_at"])
    assert Groups(stack, body["access_token"]).groups() == []


def test_taken_username_or_email_is_refused_in_either_case(stack, ann):
    fresh = {"username": fresh_name(), "email": "fresh@example.org", "password": fresh_password()}
    assert_problem(Groups(stack).register(**{**fresh, "username": ann.name.upper()}), 400, "username_taken")
    assert_problem(Groups(stack).register(**{**fresh, "email": ann.user["email"].upper()}), 400, "email_taken")


@pytest.mark.parametrize("drop", ["username", "email", "password"])
def test_register_needs_every_field(stack, drop):
    body = {"username": fresh_name(), "email": f"{fresh_name()}@example.org", "password": fresh_password()}
    del body[drop]
    assert_problem(Groups(stack).register(**body), 400, "missing_field", names=drop)


def test_login_answers_200_with_the_user_and_both_tokens(stack, ann):
    resp = Groups(stack).login(username=ann.name, password=ann.password)
    assert resp.status_code == 200
    body = resp.json()
    stack.secrets.add(body["refresh_token"])
    assert body["user"] == {k: ann.user[k] for k in ("id", "username", "email")}
    assert Groups(stack, body["access_token"]).groups() == []
    assert body["refresh_token"] not in (ann.refresh_token, body["access_token"])


def test_wrong_password_is_refused(stack, ann):
    assert_problem(Groups(stack).login(username=ann.name, password="not the one"), 401, "invalid_credentials")


def test_access_token_lives_an_hour_and_names_its_dialect(ann):
    claims = tokens.parts(ann.token)[1]
    assert (claims["dialect"], claims["sub"], claims["exp"] - claims["iat"]) == ("groups", ann.id, 3600)


def test_refresh_answers_only_a_new_access_token_and_keeps_the_refresh_token(stack, ann):
    seen = {ann.token}
    for _ in range(3):
        resp = ann.refresh()
        assert resp.status_code == 200 and set(resp.json()) == {"access_token"}
        seen.add(resp.json()["access_token"])
        assert Groups(stack, resp.json()["access_token"]).groups() == []
    assert len(seen) == 4
    assert ann.groups() == [], "the former access token is still good"


@pytest.mark.parametrize("value, status", [("nonsense", 401), ("", 401), (None, 400), (5, 400)], ids=str)
def test_bad_refresh_token_is_refused(ann, value, status):
    assert_problem(ann.refresh(value), status)


def test_logout_invalidates_the_refresh_token_and_the_access_token(ann):
    resp = ann.logout()
    assert resp.status_code == 200 and resp.json() == {"message": "Logged out successfully"}
    assert_problem(ann.refresh(), 401, "unauthorized")
    assert_problem(ann.ask("GET", "/groups"), 401, "unauthorized")
    assert_problem(ann.logout(), 401)


@pytest.mark.parametrize("method, path", [
    ("POST", "/auth/logout"), ("GET", "/conversations"), ("POST", "/conversations"), ("GET", f"/conversations/{NOBODY}"),
    ("GET", f"/conversations/{NOBODY}/messages"), ("POST", f"/conversations/{NOBODY}/messages"), ("GET", "/groups"),
    ("POST", "/groups"), ("GET", f"/groups/{NOBODY}"), ("POST", f"/groups/{NOBODY}/members"),
    ("DELETE", f"/groups/{NOBODY}/members/{NOBODY}"), ("GET", f"/groups/{NOBODY}/messages"), ("POST", f"/groups/{NOBODY}/messages")])
def test_everything_else_needs_the_token(stack, method, path):
    for token in (None, "nonsense"):
        body = assert_problem(Groups(stack, token).ask(method, path, json={"content": "x"}), 401, "unauthorized")
        assert body["error"] == "Invalid or expired token"


# ---------------------------------------------------------------------- conversations

def test_conversation_is_created_or_found_with_200(ann, ben):
    resp = ann.open(ben)
    assert resp.status_code == 200
    made = resp.json()["conversation"]
    assert set(made) == {"id", "participants", "created_at", "updated_at"}
    assert sorted(made["participants"]) == sorted((ann.id, ben.id))
    assert_id(made["id"], made["created_at"])
    assert ann.direct(ben) == ben.direct(ann) == made


def test_one_conversation_when_many_create_it_at_once(ann, ben):
    with ThreadPoolExecutor(10) as pool:
        opened = list(pool.map(lambda n: (ann, ben)[n % 2].direct((ben, ann)[n % 2])["id"], range(20)))
    assert len(set(opened)) == 1
    assert [c["id"] for c in ann.conversations()] == [c["id"] for c in ben.conversations()] == opened[:1]


@pytest.mark.parametrize("value, status", [(NOBODY, 404), ("nonsense", 400), (5, 400), ("5", 400), (None, 400), ([], 400)], ids=str)
def test_conversation_needs_a_user(ann, value, status):
    assert_problem(ann.ask("POST", "/conversations", json={"user_id": value}), status)
    assert ann.conversations() == []


def test_conversation_with_oneself_is_refused(ann):
    assert_problem(ann.open(ann), 400, "self_message")


def test_conversations_are_listed_latest_first_without_groups(ann, ben, cid):
    one, two = ann.direct(ben), ann.direct(cid)
    ann.group(ben)
    ann.say(one, "to the front")
    listed = ann.conversations()
    assert [c["id"] for c in listed] == [one["id"], two["id"]]
    assert parse_time(listed[0]["updated_at"]) > parse_time(one["updated_at"])
    assert [c["id"] for c in ben.conversations()] == [one["id"]]


def test_conversation_by_id(ann, ben):
    made = ann.direct(ben)
    for who in (ann, ben):
        assert who.get(made).json()["conversation"] == made
    assert ann.get({**made, "id": made["id"].upper()}).status_code == 200


def test_outsider_is_refused_and_what_is_not_there_not_found(ann, ben, cid):
    made = ann.direct(ben)
    for place, status in ((made, 403), ({**made, "id": NOBODY}, 404), ({**made, "id": "5"}, 404),
                          ({**made, "id": with_timestamp(made["id"], 5)}, 404)):
        for resp in (cid.get(place), cid.history(place), cid.send(place, "x")):
            assert_problem(resp, status, ("forbidden",) if status == 403 else ("conversation_not_found", "not_found"))
    assert ann.texts(made) == []


def test_group_is_no_conversation_and_a_conversation_no_group(ann, ben):
    group, direct = ann.group(ben), ann.direct(ben)
    as_conversation, as_group = {**direct, "id": group["id"]}, {**group, "id": direct["id"]}
    for wrong in (as_conversation, as_group):
        for resp in (ann.get(wrong), ann.history(wrong), ann.send(wrong, "x")):
            assert_problem(resp, 404, "conversation_not_found")
    assert_problem(ann.add(direct, ben), 404, "conversation_not_found")
    assert_problem(ann.remove(direct, ben), 404, "conversation_not_found")
    assert ann.texts(group) == ann.texts(direct) == []


# ---------------------------------------------------------------------- messages of a conversation or a group

@pytest.fixture(params=["conversation", "group"])
def place(request, ann, ben):
    """Where ann and ben talk: everything below holds in both."""
    return ann.direct(ben) if request.param == "conversation" else ann.group(ben)


def test_send_answers_201_with_the_message(ann, ben, place):
    resp = ann.send(place, "Hello!")
    assert resp.status_code == 201 and set(resp.json()) == {"message"}
    sent = assert_message(resp.json()["message"], place)
    assert (sent["sender_id"], sent["content"]) == (ann.id, "Hello!")
    assert ann.page(place) == ben.page(place) == {"messages": [sent], "next_cursor": None}


@pytest.mark.parametrize("body", [{}, {"content": ""}, {"content": None}, {"content": 5}, {"content": "y" * 16385}, {"content": "a\0b"}],
                         ids=lambda b: ascii(b)[:30])
def test_bad_content_is_refused(ann, place, body):
    assert_problem(ann.ask("POST", path_of(place) + "/messages", json=body), 400, ("missing_field", "invalid_field"), names="content")
    assert ann.texts(place) == []


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "\x01", "y" * 16384], ids=lambda t: ascii(t)[:12])
def test_content_is_never_altered(ann, ben, place, text):
    ann.say(place, text)
    assert ben.texts(place) == [text]


def test_messages_are_newest_first_and_50_by_default(ann, ben, place):
    with groups_socket(ann) as sock:
        for n in range(105):
            sock.say(place, f"{n}")
        sock.collect(105)
    texts = [str(n) for n in reversed(range(105))]
    assert [ann.texts(place, **q) for q in ({}, {"limit": 3}, {"limit": 5000})] == [texts[:50], texts[:3], texts[:100]]
    assert [m["content"] for page in ben.pages(place, 50) for m in page] == texts


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 9])
def test_cursor_is_a_timestamp_and_null_on_the_last_page(ann, ben, place, limit):
    ids = [ann.say(place, f"{n}")["id"] for n in range(8)][::-1]
    pages = list(ben.pages(place, limit))
    assert [len(p) for p in pages[:-1]] == [limit] * (len(pages) - 1) and pages[-1]
    assert [m["id"] for p in pages for m in p] == ids
    first = ben.page(place, limit=3)
    assert first["next_cursor"].startswith(first["messages"][-1]["created_at"].rstrip("Z"))


def test_cursor_is_exact_between_messages_of_one_microsecond(ann, ben, place, stack):
    ids = [ann.say(place, f"{n}")["id"] for n in range(10)][::-1]
    changed = stack.query("UPDATE messages SET created_at = (SELECT max(created_at) FROM messages WHERE id = ANY(%s))"
                          " WHERE id = ANY(%s) RETURNING id", *[[number_of(i) for i in ids]] * 2)
    assert len(changed) == 10
    for limit in (1, 2, 3, 7):
        texts = [m["content"] for page in ben.pages(place, limit) for m in page]
        assert texts == [str(n) for n in reversed(range(10))], limit


def test_any_rfc_3339_timestamp_is_a_cursor(ann, place):
    times = [ann.say(place, f"{n}")["created_at"] for n in range(5)]
    elsewhere = (parse_time(times[2]) + timedelta(hours=2)).isoformat(timespec="microseconds")[:-6] + "+02:00"
    for cursor in (times[2], times[2].replace("Z", "+00:00"), times[2].lower(), times[2].replace("Z", "000Z"), elsewhere):
        assert ann.texts(place, cursor=cursor) == ["1", "0"], cursor
    assert ann.texts(place, cursor="2020-01-01T00:00:00Z") == []
    assert len(ann.texts(place, cursor="2100-01-01T00:00:00Z")) == 5
    assert len(ann.texts(place, cursor="")) == 5


@pytest.mark.parametrize("cursor", ["x", "5", "2024-01-01", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "null"])
def test_bad_cursor_is_refused(ann, place, cursor):
    assert_problem(ann.history(place, cursor=cursor), 400, "invalid_parameter", names="cursor")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", ""])
def test_bad_limit_is_refused(ann, place, limit):
    assert_problem(ann.history(place, limit=limit), 400, "invalid_parameter", names="limit")


def test_pages_neither_skip_nor_repeat_while_messages_arrive(ann, ben, place):
    ids = [ann.say(place, f"{n}")["id"] for n in range(11)][::-1]
    found = []
    for page in ben.pages(place, 3):
        found += [m["id"] for m in page]
        ann.say(place, "meanwhile")
    assert found == ids


def test_the_same_key_stores_once(ann, place):
    first = ann.send(place, "once", key="k1")
    again = ann.send(place, "once", client_msg_id="k1")
    assert again.status_code == 201 and again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert_problem(ann.send(place, "twice", key="k1"), 409, "idempotency_conflict")
    with groups_socket(ann) as sock:
        assert sock.exchange(place, "once", client_msg_id="k1")["id"] == first.json()["message"]["id"]
    assert ann.texts(place) == ["once"]
