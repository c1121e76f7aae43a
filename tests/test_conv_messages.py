"""conv (001) over REST: messages of a conversation, their history and how far they got."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import json_bytes
from parley.check import assert_id, assert_problem, number_of
from parley.conv import conv_account

ACCOUNT = conv_account
MESSAGE = {"id", "conversation_id", "sender_id", "sender_username", "body", "content", "media_url", "client_msg_id",
           "created_at", "edited_at"}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


# ---------------------------------------------------------------------- sending

def test_sending_answers_201_with_the_message(alice, group):
    resp = alice.post(group, "Hello!")
    assert resp.status_code == 201 and set(resp.json()) == {"message"}
    m = resp.json()["message"]
    assert set(m) == MESSAGE
    assert m["body"] == m["content"] == "Hello!"
    assert (m["sender_id"], m["sender_username"], m["conversation_id"]) == (alice.id, alice.name, group["id"])
    assert (m["media_url"], m["client_msg_id"], m["edited_at"]) == (None, None, None)
    assert_id(m["id"], m["created_at"])


def test_content_is_accepted_for_body(alice, group):
    resp = alice.ask("POST", f"/conversations/{group['id']}/messages", json={"content": "by another name"})
    assert resp.status_code == 201 and resp.json()["message"]["body"] == "by another name"


def test_form_encoded_messages_are_accepted(alice, group):
    resp = alice.ask("POST", f"/conversations/{group['id']}/messages", data={"body": "by curl -d & more"})
    assert resp.status_code == 201 and resp.json()["message"]["body"] == "by curl -d & more"


def test_direct_message_names_its_recipient_and_is_a_dm(alice, bob):
    m = alice.say(alice.direct(bob), "hi")
    assert set(m) == MESSAGE | {"recipient_id"} and m["recipient_id"] == bob.id
    assert [d["id"] for d in bob.history(alice).json()] == [m["id"]]


def test_media_goes_along_or_alone(alice, group):
    url = "https://example.org/wall.jpg"
    assert alice.say(group, "look", media_url=url)["media_url"] == url
    alone = alice.ask("POST", f"/conversations/{group['id']}/messages", json={"media_url": url}).json()["message"]
    assert (alone["body"], alone["content"], alone["media_url"]) == ("", "", url)
    assert [m["media_url"] for m in alice.page(group)["messages"]] == [url, url]


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "\"\\/", "\x01\x7f", "</script>", "y" * 16384, "😀" * 4096], ids=lambda t: ascii(t)[:14])
def test_body_is_never_altered(alice, bob, group, text):
    assert alice.say(group, text)["body"] == text
    assert bob.texts(group, limit=1) == [text]


@pytest.mark.parametrize("body, code, names", [
    ({}, "missing_field", "body"), ({"body": None}, "missing_field", "body"), ({"body": ""}, "invalid_field", "content"),
    ({"body": 5}, "invalid_field", "body"), ({"content": ["x"]}, "invalid_field", "content"), ({"body": "a\0b"}, "invalid_field", "body"),
    ({"body": "y" * 16385}, "invalid_field", "content"), ({"body": "x", "media_url": "ftp://x/y"}, "invalid_field", "media_url"),
    ({"body": "x", "media_url": 5}, "invalid_field", "media_url"), ({"body": "x", "client_msg_id": 5}, "invalid_field", "client_msg_id"),
    ({"body": "x", "client_msg_id": ""}, "invalid_field", "client_msg_id"),
], ids=lambda v: str(v)[:40])
def test_sending_validates_its_input(alice, group, body, code, names):
    resp = alice.raw("POST", f"/api/v1/conversations/{group['id']}/messages", json_bytes(body))
    assert_problem(resp, 400, code, names=names)
    assert alice.texts(group) == []


def test_only_participants_send(alice, bob, group, new_user):
    assert_problem(new_user().post(group, "x"), 403, "forbidden")
    alice.remove(group, bob)
    assert_problem(bob.post(group, "x"), 403, "forbidden")
    assert_problem(bob.post(NOBODY, "x"), 404, "conversation_not_found")
    assert_problem(alice.ask("POST", f"/conversations/{group['id']}/messages", json={"body": "x"}, token=None), 401, "unauthorized")


# ---------------------------------------------------------------------- once and only once

@pytest.mark.parametrize("by", ["Idempotency-Key", "client_msg_id"])
def test_repeating_a_send_with_its_key_stores_nothing_twice(alice, group, by):
    send = lambda: alice.post(group, "once", key="k1") if by == "Idempotency-Key" else alice.post(group, "once", client_msg_id="k1")
    first, again = send(), send()
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() and first.json()["message"]["client_msg_id"] == "k1"
    assert "Idempotency-Replayed" not in first.headers and again.headers["Idempotency-Replayed"] == "true"
    assert alice.texts(group) == ["once"]


def test_key_holds_across_surfaces_and_conflicts_on_another_message(alice, bob, group):
    sent = alice.make_message(bob, "by dm", client_msg_id="k2")
    direct = alice.direct(bob)
    assert alice.post(direct, "by dm", key="k2").json()["message"]["id"] == sent["id"]
    assert_problem(alice.post(direct, "another text", key="k2"), 409, "idempotency_conflict")
    assert_problem(alice.post(group, "by dm", key="k2"), 409, "idempotency_conflict")
    assert bob.post(group, "his own key", key="k2").status_code == 201


def test_racing_repeats_store_one_message(alice, group):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: alice.post(group, "raced", key="k3"), range(10)))
    assert {a.status_code for a in answers} == {201} and len({a.json()["message"]["id"] for a in answers}) == 1
    assert alice.texts(group) == ["raced"]


# ---------------------------------------------------------------------- the history

def test_messages_are_listed_newest_first_with_next_cursor(alice, bob, group):
    ids = [alice.say(group, f"n{i}")["id"] for i in range(5)][::-1]
    page = bob.page(group)
    assert {"messages", "next_cursor"} <= set(page) and page["next_cursor"] is None
    assert [m["id"] for m in page["messages"]] == ids
    assert all(set(m) == MESSAGE for m in page["messages"])


def test_cursor_goes_through_all_pages_exactly_once_while_others_arrive(alice, bob, group):
    ids = [alice.say(group, f"n{i}")["id"] for i in range(10)][::-1]
    seen, cursor = [], None
    while True:
        page = bob.page(group, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [m["id"] for m in page["messages"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        alice.say(group, "meanwhile")
    assert seen == ids


def test_next_cursor_is_null_exactly_on_the_last_page(alice, group):
    for i in range(4):
        alice.say(group, f"n{i}")
    assert alice.page(group, limit=4)["next_cursor"] is None
    cursor = alice.page(group, limit=2)["next_cursor"]
    assert alice.page(group, limit=2, cursor=cursor)["next_cursor"] is None


def test_limit_defaults_to_50_and_is_clamped_to_100(alice, group):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: alice.say(group, f"n{i}"), range(105)))
    assert len(alice.texts(group)) == 50
    assert len(alice.texts(group, limit=1000)) == 100
    for bad in ("0", "-1", "x", "1.5", ""):
        assert_problem(alice.messages(group, limit=bad), 400, "invalid_parameter", names="limit")


def test_empty_cursor_is_the_first_page(alice, group):
    for text in "abc":
        alice.say(group, text)
    assert alice.page(group, limit=2, cursor="") == alice.page(group, limit=2)


@pytest.mark.parametrize("cursor", ["x", "b", "b0", "b-1", "b1x", "c1", "b99999999999999999999", NOBODY])
def test_bad_cursor_is_refused(alice, group, cursor):
    assert_problem(alice.messages(group, cursor=cursor), 400, "invalid_parameter", names="cursor")


def test_order_is_the_same_for_every_reader_under_load(alice, bob, group):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: (alice, bob)[i % 2].say(group, f"n{i}"), range(60)))
    pages = [who.page(group, limit=100)["messages"] for who in (alice, bob)]
    assert pages[0] == pages[1] and len(pages[0]) == 60
    times = [m["created_at"] for m in pages[0]]
    assert times == sorted(times, reverse=True)


def test_new_members_read_what_was_said_before_and_have_nothing_unread(alice, group, new_user):
    alice.say(group, "before")
    carol = new_user()
    alice.add(group, carol)
    assert carol.texts(group) == ["before"] and carol.conversation(group)["unread_count"] == 0
    assert carol.id not in alice.deliveries(alice.page(group)["messages"][0])


# ---------------------------------------------------------------------- deliveries

def test_deliveries_show_one_line_per_recipient(alice, bob, group, new_user):
    carol = new_user()
    alice.add(group, carol)
    m = alice.say(group, "how far?")
    rows = alice.deliveries(m)
    assert set(rows) == {bob.id, carol.id}
    for row in rows.values():
        assert set(row) == {"user_id", "status", "delivered_at", "read_at"}
        assert (row["status"], row["delivered_at"], row["read_at"]) == ("sent", None, None)
    assert bob.deliveries(m) == rows            # any participant may look


def test_reading_shows_in_the_deliveries_and_in_the_view(stack, alice, bob, group):
    m, later = alice.say(group, "one"), alice.say(group, "two")
    bob.read(group, message_id=m["id"])
    row = alice.deliveries(m)[bob.id]
    assert row["status"] == "read" and row["read_at"] and row["delivered_at"]
    assert alice.deliveries(later)[bob.id]["status"] == "sent"
    view = stack.query("SELECT status FROM message_deliveries WHERE message_id = %s", number_of(m["id"]))
    assert view == [("read",)]


def test_deliveries_of_an_unknown_message_are_not_found(alice, group):
    assert_problem(alice.ask("GET", f"/messages/{NOBODY}/deliveries"), 404, "message_not_found")
    assert_problem(alice.ask("GET", f"/messages/{group['id']}/deliveries"), 404, "message_not_found")
