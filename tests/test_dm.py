"""`dm` (000) over REST: sending, history, conversations."""

import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import pytest

from parley.api import json_bytes
from parley.check import assert_id, assert_problem, number_of, parse_time, with_timestamp, id_parts

MESSAGE = {"id", "sender_id", "recipient_id", "content", "created_at"}
SEND = "/api/v1/messages/dm"

#: Whatever people write; none of it may be altered.
TEXTS = ["x", " ", "  padded  ", "line\nbreak\r\nand\ttab", "\n", "quote\" back\\slash 'single' / slash", "<b>&amp;</b>",
         "ümläut ß ñ", "日本語 العربية עברית", "😀👨‍👩‍👧‍👦🏳️‍🌈", "e\u0301 is not \u00e9", "\ufeffbom", "\uffff\ufffe", "\U0010ffff",
         "\x01\x1f\x7f\x80", "null", "{\"json\": [1]}", "%00 %41 +", "\u2028\u2029", "$1 $$ %s %n \\x00", "a" * 5000]


# ---------------------------------------------------------------------- sending

def test_send_answers_201_with_the_message(alice, bob):
    resp = alice.send(bob, "Hello!")
    assert resp.status_code == 201
    body = resp.json()
    assert MESSAGE <= set(body)
    assert (body["sender_id"], body["recipient_id"], body["content"]) == (alice.id, bob.id, "Hello!")
    assert_id(body["id"], body["created_at"])
    assert "Idempotency-Replayed" not in resp.headers


def test_message_is_stored_once_and_seen_by_both(alice, bob):
    sent = alice.make_message(bob, "to be found")
    for reader, other in ((alice, bob), (bob, alice)):
        assert [m["id"] for m in reader.history(other).json()] == [sent["id"]]


@pytest.mark.parametrize("text", TEXTS, ids=[ascii(t[:12]) for t in TEXTS])
def test_content_is_never_altered(alice, bob, stack, text):
    assert alice.make_message(bob, text)["content"] == text
    assert bob.history(alice).json()[0]["content"] == text
    raw = alice.raw("POST", SEND, json_bytes({"recipient_id": bob.id, "content": text}))
    assert raw.json()["content"] == text
    number = number_of(raw.json()["id"])
    assert stack.query("SELECT convert_to(content, 'UTF8') FROM messages WHERE id = %s", number)[0][0].tobytes() \
        == text.encode()


@pytest.mark.parametrize("text", ["y" * 16384, "😀" * 4096, "é" * 8192, "\x01" * 16384], ids=["ascii", "emoji", "accents", "controls"])
def test_content_of_16384_bytes_is_accepted(alice, bob, text):
    assert alice.make_message(bob, text)["content"] == text


@pytest.mark.parametrize("text", ["", "y" * 16385, "😀" * 4096 + "x", "é" * 8193], ids=["empty", "ascii", "emoji", "accents"])
def test_content_of_no_or_more_bytes_is_refused(alice, bob, text):
    assert_problem(alice.send(bob, text), 400, "invalid_field", names="content")


@pytest.mark.parametrize("text", ["\0", "a\0b", "ends\0"], ids=repr)
def test_nul_is_refused(alice, bob, text):
    assert_problem(alice.send(bob, text), 400, ("invalid_field", "bad_json"))
    assert alice.history(bob).json() == []


@pytest.mark.parametrize("value", [5, True, [], {}, ["x"]], ids=repr)
def test_content_of_another_type_is_refused(alice, bob, value):
    assert_problem(alice.send(bob, value), 400, "invalid_field", names="content")


@pytest.mark.parametrize("drop", ["recipient_id", "content"])
def test_missing_member_is_refused_by_name(alice, bob, drop):
    body = {"recipient_id": bob.id, "content": "x"}
    del body[drop]
    assert_problem(alice.call("POST", SEND, json=body), 400, "missing_field", names=drop)


# ---------------------------------------------------------------------- recipients

@pytest.mark.parametrize("value", [5, "5", "", "not-a-uuid", True, [], {}, "0193e000-0000-7000-8000", "g" * 36,
                                   "0193e000-0000-7000-8000-000000000001x"], ids=repr)
def test_malformed_recipient_is_refused(alice, value):
    assert_problem(alice.send(value, "x"), 400, "invalid_field", names="recipient_id")


def test_integer_id_is_the_other_surfaces_form(alice, bob):
    assert_problem(alice.send(number_of(bob.id), "x"), 400, "invalid_field", names="recipient_id")
    assert_problem(alice.send(str(number_of(bob.id)), "x"), 400, "invalid_field", names="recipient_id")
    assert_problem(alice.history(number_of(bob.id)), 404)


def test_unknown_recipient_is_not_found(alice):
    assert_problem(alice.send("0193e000-0000-7000-bfff-ffffffffffff", "x"), 404, "user_not_found")


def test_uuid_with_another_timestamp_is_not_found(alice, bob):
    ms = id_parts(bob.id)[2]
    for other in (ms + 1, ms - 1, 0):
        assert_problem(alice.send(with_timestamp(bob.id, other), "x"), 404, "user_not_found")
        assert_problem(alice.history(with_timestamp(bob.id, other)), 404, "user_not_found")


def test_uuid_of_something_else_is_not_a_user(alice, bob):
    message = alice.make_message(bob, "not a person")
    assert_problem(alice.send(message["id"], "x"), 404, "user_not_found")
    assert_problem(alice.history(message["id"]), 404, "user_not_found")


def test_uuid_of_another_version_names_nobody(alice):
    other = str(uuid.uuid4())
    resp = alice.send(other, "x")
    assert_problem(resp, resp.status_code, ("invalid_field", "user_not_found"))
    assert resp.status_code in (400, 404)
    assert_problem(alice.history(other), 404)


def test_uuid_is_read_in_any_case(alice, bob):
    assert alice.send(bob.id.upper(), "shouted").status_code == 201
    assert len(alice.history(bob.id.upper()).json()) == 1


def test_message_to_oneself_is_refused(alice):
    assert_problem(alice.send(alice, "me again"), 400, "self_message")


def test_simultaneous_first_messages_share_one_conversation(alice, bob, stack):
    with ThreadPoolExecutor(12) as pool:
        sends = [pool.submit((alice if i % 2 else bob).make_message, bob if i % 2 else alice, f"m{i}") for i in range(12)]
        ids = {s.result()["id"] for s in sends}
    assert len(ids) == 12
    pair = sorted(map(number_of, (alice.id, bob.id)))
    rows = stack.query("SELECT count(*) FROM conversations WHERE user_low = %s AND user_high = %s", *pair)
    assert rows == [(1,)]
    assert {m["id"] for m in alice.whole_history(bob)} == ids


# ---------------------------------------------------------------------- form-encoded bodies

def form(user, body):
    return user.raw("POST", SEND, body.encode(), "application/x-www-form-urlencoded")


@pytest.mark.parametrize("text", ["plain", "a+b&c=d;e", "100 %", "ünï 😀", "two\nlines", " x "])
def test_form_encoded_send_is_decoded_exactly(alice, bob, text):
    resp = form(alice, urlencode({"recipient_id": bob.id, "content": text}))
    assert resp.status_code == 201, resp.text
    assert resp.json()["content"] == text


@pytest.mark.parametrize("content", ["%", "%4", "%zz", "a%00b", "%ff", "%c3%28", ""], ids=repr)
def test_undecodable_form_is_refused(alice, bob, content):
    assert_problem(form(alice, f"recipient_id={bob.id}&content={content}"), 400)
    assert alice.history(bob).json() == []


def test_form_without_a_member_is_refused(alice, bob):
    assert_problem(form(alice, f"recipient_id={bob.id}"), 400, "missing_field", names="content")


# ---------------------------------------------------------------------- history

def fill(alice, bob, count):
    """count messages from both sides; their ids, oldest first."""
    return [(alice if i % 3 else bob).make_message(bob if i % 3 else alice, f"n{i}")["id"] for i in range(count)]


def test_history_is_newest_first(alice, bob):
    ids = fill(alice, bob, 7)
    page = alice.history(bob).json()
    assert [m["id"] for m in page] == ids[::-1]
    assert all(MESSAGE <= set(m) for m in page)
    times = [parse_time(m["created_at"]) for m in page]
    assert times == sorted(times, reverse=True)
    assert page == bob.history(alice).json()


def test_history_of_strangers_is_empty(alice, bob):
    assert alice.history(bob).json() == []


def test_history_shows_only_the_two_of_them(alice, bob, new_user):
    carol = new_user()
    alice.make_message(carol, "for carol")
    bob.make_message(carol, "for carol too")
    assert alice.history(bob).json() == []
    assert bob.history(alice).json() == []


@pytest.mark.parametrize("limit", [1, 3, 10, 24, 25, 26, 100])
def test_pages_by_offset_neither_skip_nor_repeat(alice, bob, limit):
    ids = fill(alice, bob, 25)
    seen = []
    while page := alice.history(bob, limit=limit, offset=len(seen)).json():
        assert len(page) == min(limit, 25 - len(seen))
        seen += [m["id"] for m in page]
    assert seen == ids[::-1]


def test_messages_of_one_moment_page_exactly(alice, bob, stack):
    ids = fill(alice, bob, 12)
    stack.query("UPDATE messages SET created_at = (SELECT max(created_at) FROM messages WHERE id = ANY(%s)) "
                "WHERE id = ANY(%s)", *[[number_of(i) for i in ids]] * 2)
    pages = [alice.history(bob, limit=5, offset=o).json() for o in (0, 5, 10)]
    assert [m["content"] for page in pages for m in page] == [f"n{i}" for i in range(11, -1, -1)]


def test_offset_counts_from_the_newest_so_arrivals_shift_it(alice, bob):
    ids = fill(alice, bob, 6)
    first = alice.history(bob, limit=3).json()
    arrived = bob.make_message(alice, "meanwhile")["id"]
    second = alice.history(bob, limit=3, offset=4).json()
    assert [m["id"] for m in first + second] == ids[::-1]
    assert alice.history(bob, limit=1).json()[0]["id"] == arrived


def test_limit_defaults_to_50_and_is_clamped_to_100(alice, bob):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: alice.make_message(bob, f"n{i}"), range(105)))
    assert len(alice.history(bob).json()) == 50
    for limit in (100, 101, 1000, 2**31, 2**63, 10**30):
        assert len(alice.history(bob, limit=limit).json()) == 100, limit
    assert len(alice.history(bob, limit=100, offset=100).json()) == 5
    assert alice.history(bob, offset=105).json() == []
    assert alice.history(bob, offset=2**31).json() == []


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", "", " ", "5 ", "5x", "0x10", "1e2", "NaN", "-"], ids=repr)
def test_limit_that_is_no_positive_integer_is_refused(alice, bob, value):
    assert_problem(alice.history(bob, limit=value), 400, "invalid_parameter", names="limit")


@pytest.mark.parametrize("value", ["-1", "abc", "1.5", "", "5x", "0x10", "1e2"], ids=repr)
def test_offset_that_is_no_natural_number_is_refused(alice, bob, value):
    assert_problem(alice.history(bob, offset=value), 400, "invalid_parameter", names="offset")


def test_undecodable_query_is_refused(alice, bob):
    for query in ("limit=%zz", "limit=%", "limit=1%00"):
        resp = alice.call("GET", f"/api/v1/messages/dm/{bob.id}?{query}")
        assert_problem(resp, 400, "invalid_parameter")


@pytest.mark.parametrize("segment", ["5", "nope", "0193e000-0000-7000-8000", "a%2Fb", "..%2f", "%ff", "%C3%A9"])
def test_malformed_id_in_the_path_is_not_found(alice, segment):
    assert_problem(alice.call("GET", f"/api/v1/messages/dm/{segment}"), 404)


def test_nul_in_the_path_is_refused(alice):
    resp = alice.call("GET", "/api/v1/messages/dm/%00")
    assert resp.status_code in (400, 404)       # nginx itself refuses it
    assert_problem(resp, resp.status_code)


def test_history_of_an_unknown_user_is_not_found(alice):
    assert_problem(alice.history("0193e000-0000-7000-bfff-ffffffffffff"), 404, "user_not_found")


def test_order_is_the_same_for_every_reader_under_load(alice, bob):
    with ThreadPoolExecutor(10) as pool:
        people = [(alice, bob), (bob, alice)]
        list(pool.map(lambda i: people[i % 2][0].make_message(people[i % 2][1], f"n{i}"), range(120)))
    history = alice.whole_history(bob)
    assert len(history) == 120
    assert history == bob.whole_history(alice)
    times = [m["created_at"] for m in history]
    assert times == sorted(times)


# ---------------------------------------------------------------------- conversations

def test_conversations_are_listed_latest_first(alice, new_user):
    people = [new_user() for _ in range(4)]
    for who in random.sample(people, 4):
        alice.make_message(who, "first")
    order = random.sample(people, 4)
    last = {who.id: who.make_message(alice, f"last of {who.name}") for who in order}
    rows = alice.conversations().json()
    assert [row["user_id"] for row in rows] == [who.id for who in order[::-1]]
    for row in rows:
        assert set(row) == {"user_id", "username", "last_message", "last_at"}
        assert row["last_message"] == last[row["user_id"]]["content"]
        assert row["last_at"] == last[row["user_id"]]["created_at"]
    assert {row["username"] for row in rows} == {who.name for who in people}


def test_both_people_list_the_conversation(alice, bob):
    alice.make_message(bob, "one")
    assert [row["user_id"] for row in bob.conversations().json()] == [alice.id]
    assert [row["username"] for row in alice.conversations().json()] == [bob.name]


def test_nobody_else_lists_it(alice, bob, new_user):
    alice.make_message(bob, "private")
    assert new_user().conversations().json() == []
