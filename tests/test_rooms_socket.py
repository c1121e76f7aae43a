"""`rooms` (003) live: `/v1/messages/ws`, subscriptions and messages. Authentication is in test_rooms_socket_auth."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.check import parse_time, uuid_of
from parley.rooms import (alice, assert_usable, assert_user, bob, friends, new, room, silent,  # noqa: F401
                          sockets)

MESSAGE = {"id", "room_id", "sender", "content", "edited_at", "created_at", "updated_at"}
NOBODY = 4611686018427387903


# ---------------------------------------------------------------------- messages

def test_message_frame_holds_the_message_object(friends, room, sockets):
    alice, bob, _ = friends
    receiver = sockets(bob).subscribe(room)
    sock = sockets(alice).subscribe(room)
    sock.say(room, "Hello!")
    frame = receiver.recv_json()
    assert set(frame) == {"type", "message"} and set(frame["message"]) == MESSAGE
    assert_user(frame["message"]["sender"], alice)
    assert (frame["message"]["room_id"], frame["message"]["content"], frame["message"]["edited_at"]) == (room["id"], "Hello!", None)
    assert sock.recv_json() == frame
    assert bob.page(room)["messages"] == [frame["message"]]


def test_message_goes_to_every_subscribed_socket_once_and_to_no_other(friends, room, sockets):
    alice, bob, carol = friends
    subscribed = [sockets(who).subscribe(room) for who in (alice, alice, bob, bob)]
    others = [sockets(alice), sockets(bob), sockets(carol), sockets(bob).subscribe(alice.system_room(bob))]
    sent = subscribed[0].exchange(room, "one")
    assert [s.message() for s in subscribed[1:]] == [sent] * 3
    assert [s.sync() for s in subscribed + others] == [[]] * 8


def test_subscribing_twice_delivers_once(alice, room, sockets):
    sock = sockets(alice).subscribe(room, room)
    sock.exchange(room, "once")
    assert sock.sync() == []


def test_system_room_carries_messages(friends, sockets):
    alice, bob, _ = friends
    room = alice.system_room(bob)
    receiver = sockets(bob).subscribe(room)
    sent = sockets(alice).subscribe(room).exchange(room, "just us")
    assert receiver.message() == sent and sent["room_id"] == room["id"]


def test_unsubscribe_ends_it(friends, room, sockets):
    alice, bob, _ = friends
    sock, sender = sockets(bob).subscribe(room), sockets(alice).subscribe(room)
    sock.tell("unsubscribe", room_id=room["id"])
    assert sock.recv_json() == {"type": "success", "message": "Unsubscribed from room", "room_id": room["id"]}
    sender.exchange(room, "unheard")
    assert sock.sync() == []
    assert_usable(sock.subscribe(room), room)


def test_subscribe_and_unsubscribe_without_waiting_end_unsubscribed(friends, room, sockets):
    alice, bob, _ = friends
    sock, sender = sockets(bob), sockets(alice).subscribe(room)
    for _ in range(20):
        sock.tell("subscribe", room_id=room["id"])
        sock.tell("unsubscribe", room_id=room["id"])
    assert {f["type"] for f in sock.collect(40)} == {"success"}
    sender.exchange(room, "unheard")
    assert sock.sync() == []


def test_everyone_sees_the_order_of_the_history(friends, room, sockets):
    alice, bob, _ = friends
    socks = [sockets(who).subscribe(room) for who in (alice, bob, alice, bob)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda s: [s.say(room, f"{n}") for n in range(25)], socks))
    seen = [[s.message()["id"] for _ in range(100)] for s in socks]
    assert seen[0] == seen[1] == seen[2] == seen[3] == [m["id"] for m in bob.whole_history(room)]


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "\"\\/", "\x01\x7f", "\U0010ffff", "y" * 16384, "\x01" * 16384],
                         ids=lambda t: ascii(t)[:14])
def test_content_is_never_altered(alice, room, sockets, text):
    assert sockets(alice).subscribe(room).exchange(room, text)["content"] == text
    assert alice.texts(room) == [text]


def test_same_key_stores_once_and_answers_the_first_message(friends, room, sockets):
    alice, bob, _ = friends
    sock, receiver = sockets(alice).subscribe(room), sockets(bob).subscribe(room)
    first = sock.exchange(room, "once", client_msg_id="k1")
    assert sock.exchange(room, "once", client_msg_id="k1") == first
    sock.say(room, "other", client_msg_id="k1")
    assert sock.refused() == "idempotency_conflict"
    assert receiver.message() == first and receiver.sync() == []
    assert bob.texts(room) == ["once"]


def test_sending_without_a_subscription_is_answered_with_the_message_and_no_more(friends, room, sockets):
    alice, bob, _ = friends
    sock, other, receiver = sockets(alice), sockets(alice), sockets(bob).subscribe(room)
    sent = sock.exchange(room, "once", client_msg_id="k1")
    assert receiver.message() == sent
    assert sock.exchange(room, "once", client_msg_id="k1") == sent
    receiver.exchange(room, "unheard")
    assert (sock.sync(), other.sync()) == ([], [])
    assert bob.texts(room) == ["once", "unheard"]


# ---------------------------------------------------------------------- what is refused

def test_subscribing_as_an_outsider_is_an_error_and_it_stays_open(friends, room, sockets):
    alice, bob, carol = friends
    sock, own = sockets(carol), carol.system_room(alice)
    for target, code in ((room["id"], "forbidden"), (alice.system_room(bob)["id"], "forbidden"), (NOBODY, "conversation_not_found"),
                         (bob.id, "conversation_not_found")):
        sock.tell("subscribe", room_id=target)
        assert sock.refused() == code
    sockets(alice).subscribe(room).exchange(room, "private")
    assert sock.sync() == []
    assert_usable(sock.subscribe(own), own)


def test_sending_as_an_outsider_is_an_error_and_it_stays_open(friends, room, sockets):
    alice, bob, carol = friends
    sock, own = sockets(carol), carol.system_room(alice)
    sock.subscribe(own)
    for target, code in ((room["id"], "forbidden"), (NOBODY, "conversation_not_found")):
        sock.say(target, "let me in")
        assert sock.refused() == code
    assert_usable(sock, own)
    assert bob.texts(room) == []


def bad_frames(room):
    uid = uuid_of(room["id"], room["created_at"])
    frames = ["hello", "", '{"type":', "[]", "5", "null", {}, {"type": None}, {"type": 5}, {"type": "shout"}, {"room_id": room["id"]},
              '{"type":"subscribe","room_id":1} x', "[" * 10000, {"type": "send_message", "room_id": room["id"]}]
    for kind in ("subscribe", "unsubscribe", "send_message"):
        frames += [{"type": kind, "content": "x", "room_id": bad} for bad in (None, "x", uid, -1, 0, 1.5, True, [], {}, 10 ** 30)]
        frames += [{"type": kind, "content": "x"}]
    frames += [{"type": "send_message", "room_id": room["id"], "content": bad} for bad in (None, 5, "", [], {}, "y" * 16385, "a\0b")]
    frames += ['{"type":"send_message","room_id":%d,"content":"\\ud800"}' % room["id"],
               {"type": "send_message", "room_id": room["id"], "content": "x", "client_msg_id": 5},
               {"type": "auth"}, {"type": "auth", "token": 5}]
    return frames


def test_every_bad_frame_gets_an_error_and_the_connection_stays(friends, room, sockets):
    alice, bob, _ = friends
    sock, other = sockets(alice).subscribe(room), sockets(bob).subscribe(room)
    for frame in bad_frames(room):
        sock.send(frame)
        answer = sock.recv_json()
        assert set(answer) == {"type", "error", "code"} and answer["type"] == "error" and answer["error"], (frame, answer)
    assert_usable(sock, room)
    assert len(other.sync()) == 1


def test_the_501st_subscription_is_an_error_and_it_stays_open(alice, stack, sockets):
    ids = [row[0] for row in stack.query("SELECT g.conversation FROM generate_series(1, 501) n, "
                                         "LATERAL group_create(%s, 'room ' || n, '{}', NULL) g", alice.id)]
    sock = sockets(alice).subscribe(*ids[:500])
    sock.tell("subscribe", room_id=ids[500])
    assert sock.refused() == "forbidden"
    sock.tell("unsubscribe", room_id=ids[0])
    sock.expect("success")
    assert_usable(sock.subscribe(ids[500]), ids[500])


# ---------------------------------------------------------------------- ends of subscriptions

@pytest.mark.parametrize("way", ["leave", "removal"])
def test_leaving_and_removal_end_the_subscription_at_once(friends, room, sockets, way):
    alice, bob, _ = friends
    gone, stays = [sockets(bob).subscribe(room) for _ in range(2)], sockets(alice).subscribe(room)
    assert (bob.leave(room) if way == "leave" else alice.remove(room, bob)).status_code in (200, 204)
    stays.exchange(room, "without bob")
    gone[0].say(room, "still here?")
    assert gone[0].refused() == "forbidden"
    assert [s.sync() for s in gone] == [[], []]
    assert alice.texts(room) == ["without bob"]


def test_one_who_comes_back_has_to_subscribe_again(friends, room, sockets):
    alice, bob, _ = friends
    sock, sender = sockets(bob).subscribe(room), sockets(alice).subscribe(room)
    bob.leave(room)
    alice.add(room, bob)
    sender.exchange(room, "unheard")
    assert sock.sync() == []
    sock.subscribe(room)
    assert sender.exchange(room, "heard") == sock.message()


def test_deletion_ends_the_subscription_for_all(friends, room, sockets):
    alice, bob, _ = friends
    socks = [sockets(who).subscribe(room) for who in (alice, bob)]
    assert alice.delete(room).status_code == 204
    for sock in socks:
        sock.say(room, "anyone?")
        assert sock.refused() == "conversation_not_found"
        sock.tell("subscribe", room_id=room["id"])
        assert sock.refused() == "conversation_not_found"
        assert sock.sync() == []


def test_added_member_may_subscribe_at_once(friends, room, sockets):
    alice, _, carol = friends
    sock, sender = sockets(carol), sockets(alice).subscribe(room)
    sender.exchange(room, "before")
    alice.add(room, carol)
    sock.subscribe(room)
    assert sender.exchange(room, "after") == sock.message()


# ---------------------------------------------------------------------- catching up

def test_since_replays_all_rooms_without_subscription(friends, room, sockets):
    alice, bob, carol = friends
    system = alice.system_room(bob)
    sender = sockets(alice).subscribe(room, system)
    mark = sender.exchange(room, "mark")
    missed = [sender.exchange(*m) for m in ((system, "1"), (room, "2"), (system, "3"))]
    other = carol.system_room(alice)
    sockets(carol).subscribe(other).exchange(other, "not bob's")
    sock = sockets(bob, since=mark["id"])
    assert [sock.message() for _ in missed] == missed
    sender.exchange(room, "live, not subscribed")
    assert sock.sync() == []
    sock.subscribe(room)
    assert sender.exchange(room, "live") == sock.message()


def test_since_works_with_the_first_frame_too(friends, room, silent, sockets):
    alice, bob, _ = friends
    sender = sockets(alice).subscribe(room)
    mark, missed = sender.exchange(room, "mark"), sender.exchange(room, "missed")
    sock = silent(since=mark["id"])
    assert sock.auth(bob.token)["type"] == "success"
    assert sock.message() == missed


def test_replayed_message_shows_when_it_was_edited(friends, room, sockets):
    alice, bob, _ = friends
    sender = sockets(alice).subscribe(room)
    mark, typo = sender.exchange(room, "mark"), sender.exchange(room, "tpyo")
    resp = alice.call("PATCH", f"/api/v1/messages/{uuid_of(typo['id'], typo['created_at'])}", json={"content": "typo"})
    assert resp.status_code == 200
    shown = sockets(bob, since=mark["id"]).message()
    assert (shown["id"], shown["content"], shown["created_at"]) == (typo["id"], "typo", typo["created_at"])
    assert parse_time(shown["edited_at"]) > parse_time(typo["created_at"]) and shown["updated_at"] == shown["edited_at"]


@pytest.mark.parametrize("since", ["nonsense", "-1", "0", "", str(NOBODY), "0193e000-0000-7000-8000-000000000001"])
def test_bad_since_gets_an_error_frame_and_live_messages_only(friends, room, sockets, since):
    alice, bob, _ = friends
    sender = sockets(alice).subscribe(room)
    sender.exchange(room, "old")
    sock = sockets(bob, since=since)
    assert sock.refused() == "invalid_parameter"
    sock.subscribe(room)
    assert sender.exchange(room, "new") == sock.message()
