"""A send with a key happens once: on any worker or daemon, over REST and sockets, for ever."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import Dm
from parley.check import assert_problem


@pytest.fixture
def key():
    return f"key-{uuid.uuid4()}"


def assert_replay(resp, first):
    assert resp.status_code == 201, resp.text
    assert resp.headers["Idempotency-Replayed"] == "true"
    assert resp.json() == first


def count(alice, bob):
    return len(alice.whole_history(bob))


def test_the_same_key_returns_the_first_result_again(alice, bob, key):
    first = alice.send(bob, "once", key=key)
    assert first.status_code == 201 and "Idempotency-Replayed" not in first.headers
    for _ in range(3):
        assert_replay(alice.send(bob, "once", key=key), first.json())
    assert count(alice, bob) == 1


def test_client_msg_id_in_the_body_is_the_same_key(alice, bob, key):
    first = alice.send(bob, "once", client_msg_id=key).json()
    assert_replay(alice.send(bob, "once", client_msg_id=key), first)
    assert_replay(alice.send(bob, "once", key=key), first)
    assert count(alice, bob) == 1


def test_form_encoded_client_msg_id_is_the_same_key(alice, bob, key):
    first = alice.send(bob, "once", key=key).json()
    form = {"recipient_id": bob.id, "content": "once", "client_msg_id": key}
    assert_replay(alice.call("POST", "/api/v1/messages/dm", data=form), first)


def test_another_text_under_the_key_is_a_conflict(alice, bob, key):
    alice.make_message(bob, "once", key=key)
    for other in ("twice", "once ", "Once"):
        assert_problem(alice.send(bob, other, key=key), 409, "idempotency_conflict")
    assert count(alice, bob) == 1


def test_another_recipient_under_the_key_is_a_conflict(alice, bob, new_user, key):
    carol = new_user()
    alice.make_message(bob, "once", key=key)
    assert_problem(alice.send(carol, "once", key=key), 409, "idempotency_conflict")
    assert alice.history(carol).json() == []


def test_a_key_belongs_to_its_sender(alice, bob, key):
    mine = alice.send(bob, "once", key=key).json()
    theirs = bob.send(alice, "once", key=key)
    assert theirs.status_code == 201 and "Idempotency-Replayed" not in theirs.headers
    assert theirs.json()["id"] != mine["id"]


def test_a_refused_send_does_not_use_its_key_up(alice, bob, key):
    assert alice.send(bob, "", key=key).status_code == 400
    assert alice.send("0193e000-0000-7000-bfff-ffffffffffff", "once", key=key).status_code == 404
    assert alice.send(bob, "once", key=key).status_code == 201


def test_without_a_key_equal_texts_are_two_messages(alice, bob):
    assert alice.make_message(bob, "again")["id"] != alice.make_message(bob, "again")["id"]


@pytest.mark.parametrize("value", ["x", "with space", "ünï", "a" * 100, "{\"odd\"}"], ids=ascii)
def test_keys_are_any_text(alice, bob, value):
    first = alice.send(bob, "once", client_msg_id=value).json()
    assert_replay(alice.send(bob, "once", client_msg_id=value), first)


@pytest.mark.parametrize("value", [5, True, [], {}, "a\0b"], ids=repr)
def test_unusable_key_is_refused(alice, bob, value):
    assert_problem(alice.send(bob, "once", client_msg_id=value), 400, "invalid_field", names="client_msg_id")
    assert count(alice, bob) == 0


def test_endless_key_breaks_nothing(alice, bob):
    answers = [alice.send(bob, "once", client_msg_id="k" * 100000) for _ in range(2)]
    assert answers[0].status_code == answers[1].status_code in (201, 400)
    assert count(alice, bob) <= 1


@pytest.mark.parametrize("first", [True, False], ids=["their first", "a later one"])
def test_simultaneous_sends_with_one_key_store_one_message(alice, new_user, stack, key, first):
    bob = new_user()
    for attempt in range(5):
        bob = new_user() if first else bob
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: Dm(stack, alice.token).send(bob, "once", key=f"{key}-{attempt}"), range(12)))
        assert [a.status_code for a in answers] == [201] * 12
        assert len({a.json()["id"] for a in answers}) == 1
        assert sum("Idempotency-Replayed" not in a.headers for a in answers) == 1
    assert count(alice, bob) == (1 if first else 5)


def test_simultaneous_sends_with_one_key_to_two_people_store_one_message(alice, bob, new_user, key):
    carol = new_user()
    for attempt in range(5):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: Dm(alice.stack, alice.token).send((bob, carol)[i % 2], "once", key=f"{key}-{attempt}"),
                                    range(8)))
        assert sorted({a.status_code for a in answers}) == [201, 409]
        assert len({a.json()["id"] for a in answers if a.status_code == 201}) == 1
    assert count(alice, bob) + count(alice, carol) == 5


def test_the_key_holds_in_another_session(alice, bob, key):
    first = alice.send(bob, "once", key=key).json()
    assert_replay(alice.another_device().send(bob, "once", key=key), first)


# ---------------------------------------------------------------------- over sockets

def test_socket_replay_of_a_rest_send_returns_the_first_message(alice, bob, connect, key):
    first = alice.send(bob, "once", key=key).json()
    echo = connect(alice).exchange(bob, "once", client_msg_id=key)
    assert echo["id"] == first["id"] and echo["created_at"] == first["created_at"]
    assert count(alice, bob) == 1


def test_rest_replay_of_a_socket_send_returns_the_first_message(alice, bob, connect, key):
    echo = connect(alice).exchange(bob, "once", client_msg_id=key)
    resp = alice.send(bob, "once", key=key)
    assert resp.headers["Idempotency-Replayed"] == "true"
    assert resp.json()["id"] == echo["id"]
    assert count(alice, bob) == 1


def test_socket_conflict_is_an_error_frame(alice, bob, connect, key):
    sock = connect(alice)
    first = sock.exchange(bob, "once", client_msg_id=key)
    assert set(sock.exchange(bob, "twice", client_msg_id=key)) == {"error"}
    assert sock.exchange(bob, "once", client_msg_id=key)["id"] == first["id"]
    assert count(alice, bob) == 1


def test_recipient_gets_a_replayed_message_only_once(alice, bob, connect, key):
    receiver, sender = connect(bob), connect(alice)
    sender.exchange(bob, "once", client_msg_id=key)
    sender.exchange(bob, "once", client_msg_id=key)
    alice.send(bob, "once", key=key)
    alice.make_message(bob, "the end")
    assert [m["content"] for m in receiver.collect(2)] == ["once", "the end"]


def test_many_frames_with_one_key_store_one_message(alice, bob, connect, key):
    sockets = [connect(alice) for _ in range(3)]
    for _ in range(10):
        for sock in sockets:
            sock.say(bob, "once", client_msg_id=key)
    ids = {frame["id"] for sock in sockets for frame in sock.collect(10)}
    assert len(ids) == 1
    assert count(alice, bob) == 1
