"""conv (001), `/api/v1/ws`: the socket of the Workflow Diagrams, over two daemons which share nothing."""

import time
from contextlib import ExitStack

import pytest
import requests

from parley import tokens
from parley.api import json_bytes
from parley.check import assert_problem, number_of
from parley.conv import EVENTS, ConvSocket, conv_account, conv_socket

STACK = {"daemons": 2}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture
def new_user(stack):
    return lambda name=None, **more: conv_account(stack, name, **more)


@pytest.fixture
def carol(new_user):
    return new_user()


@pytest.fixture
def group(alice, bob):
    return alice.group(bob)


@pytest.fixture
def connect():
    """A function that opens an `/api/v1/ws` connection which ends with the test."""
    with ExitStack() as sockets:
        yield lambda user, **options: sockets.enter_context(conv_socket(user, **options))


def upgrade(stack, token=None, in_url=False, path="/api/v1/ws"):
    """The handshake's answer as plain HTTP."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    if token is not None and not in_url:
        headers["Authorization"] = f"Bearer {token}"
    return requests.get(stack.url + path, params={"token": token} if in_url else None, headers=headers, timeout=10)


def assert_error(frame, code=None):
    assert frame["type"] == "error" and frame["error"] == frame["data"]["error"], frame
    assert code in (None, frame["data"]["code"]), frame


# ---------------------------------------------------------------------- connecting

@pytest.mark.parametrize("in_url", [True, False], ids=["?token=", "header"])
def test_token_in_header_or_address_authenticates(alice, connect, in_url):
    sock = connect(alice, token_in_url=in_url)
    sock.tell("ping")
    assert sock.recv_json() == {"type": "pong"}


@pytest.mark.parametrize("in_url", [True, False], ids=["?token=", "header"])
def test_bad_token_is_refused_with_401_before_the_upgrade(stack, alice, in_url):
    head, body, signature = alice.token.split(".")
    for bad in ("nonsense", f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}", ""):
        assert_problem(upgrade(stack, bad, in_url), 401, "unauthorized")
    assert_problem(upgrade(stack), 401, "unauthorized")


def test_expired_and_revoked_tokens_are_refused_with_401(stack, alice, connect):
    sock = connect(alice)
    alice.logout()
    sock.expect_close(4001)
    assert_problem(upgrade(stack, alice.token), 401, "unauthorized")


def test_disabled_account_is_refused_with_403(stack, alice, connect):
    sock = connect(alice)
    stack.disable(alice.name)
    sock.expect_close(4003)
    assert_problem(upgrade(stack, alice.token), 403, "account_disabled")


def test_tokens_of_every_surface_open_it(stack, alice, connect):
    claims = tokens.parts(alice.token)[1]
    assert claims["dialect"] == "conv"
    with ConvSocket(stack, alice.token, path="/ws") as sock:        # and /ws speaks the token's dialect
        sock.tell("ping")
        assert sock.recv_json() == {"type": "pong"}
    with ConvSocket(stack, alice.token, path="/ws/chat", header=["Sec-WebSocket-Protocol: chat.conv"]) as sock:
        assert sock.headers["sec-websocket-protocol"] == "chat.conv"
        sock.tell("ping")
        assert sock.recv_json() == {"type": "pong"}


# ---------------------------------------------------------------------- messages

def test_rest_message_is_pushed_to_every_participant_on_any_daemon(alice, bob, group, connect):
    sockets = [connect(who, daemon=n) for who in (alice, bob) for n in (1, 2)]
    sent = alice.say(group, "Hello!", client_msg_id="m1")
    for sock in sockets:
        assert sock.recv_json() == {"type": "message", "data": sent}


def test_direct_message_is_pushed_as_the_rest_answer_shows_it(alice, bob, connect):
    direct = alice.direct(bob)
    sock = connect(bob)
    sent = alice.say(direct, "hi")
    assert sock.recv_json() == {"type": "message", "data": sent}
    sent = alice.make_message(bob, "by dm")
    assert sock.expect("message")["id"] == sent["id"]


def test_sending_over_the_socket_is_echoed_as_the_message_frame(alice, bob, group, connect):
    receiver, sender = connect(bob), connect(alice)
    sender.say(group, "by socket", client_msg_id="c1")
    echo = sender.expect("message")
    assert (echo["body"], echo["content"], echo["client_msg_id"]) == ("by socket", "by socket", "c1")
    assert (echo["sender_id"], echo["conversation_id"]) == (alice.id, group["id"])
    assert receiver.expect("message") == echo == bob.page(group)["messages"][0]


def test_content_is_taken_for_body_and_media_goes_along(alice, group, connect):
    sock = connect(alice)
    sock.tell("message", conversation_id=group["id"], content="look", media_url="https://example.org/w.jpg")
    echo = sock.expect("message")
    assert (echo["body"], echo["media_url"]) == ("look", "https://example.org/w.jpg")


def test_media_may_stand_alone(alice, group, connect):
    sock = connect(alice)
    sock.tell("message", conversation_id=group["id"], media_url="https://example.org/w.jpg")
    echo = sock.expect("message")
    assert (echo["body"], echo["media_url"]) == (None, "https://example.org/w.jpg")


def test_repeating_client_msg_id_stores_nothing_twice_and_shows_the_first(alice, bob, group, connect):
    receiver, one, other = connect(bob), connect(alice, daemon=1), connect(alice, daemon=2)
    one.say(group, "once", client_msg_id="c2")
    first = one.expect("message")
    assert other.expect("message") == first
    other.say(group, "once", client_msg_id="c2")
    assert other.expect("message") == first
    assert alice.say(group, "once", key="c2")["id"] == first["id"]
    other.say(group, "something else", client_msg_id="c2")
    assert_error(other.recv_json(), "idempotency_conflict")
    assert receiver.expect("message") == first
    receiver.expect_nothing(0.3)
    assert bob.texts(group) == ["once"]


def test_outsiders_hear_nothing_and_say_nothing(alice, bob, carol, group, connect):
    outsider = connect(carol)
    outsider.say(group, "let me in")
    assert_error(outsider.recv_json(), "forbidden")
    outsider.say(NOBODY, "hello?")
    assert_error(outsider.recv_json(), "conversation_not_found")
    alice.say(group, "private")
    outsider.expect_nothing()


def test_order_is_the_same_on_every_socket_and_in_the_history(alice, bob, group, connect):
    sockets = [connect(who, daemon=n) for who in (alice, bob) for n in (1, 2)]
    for n in range(30):
        sockets[n % 4].say(group, f"{n}")
    orders = [[f["data"]["id"] for f in sock.collect(30)] for sock in sockets]
    assert orders[0] == [m["id"] for m in alice.page(group)["messages"]][::-1]
    assert all(order == orders[0] for order in orders)


def test_since_replays_what_was_missed_of_all_conversations(alice, bob, group, connect):
    mark = alice.say(group, "mark")["id"]
    missed = [alice.say(group, "1"), bob.say(alice.direct(bob), "2"), alice.say(group, "3")]
    sock = connect(bob, since=mark)
    assert [f["data"] for f in sock.collect(3)] == missed
    live = alice.say(group, "live")
    assert sock.expect("message") == live


def test_bad_since_gets_an_error_frame_and_live_messages(alice, bob, group, connect):
    sock = connect(bob, since="nonsense")
    assert_error(sock.recv_json())
    live = alice.say(group, "live")
    assert sock.expect("message") == live


# ---------------------------------------------------------------------- acks and receipts

@pytest.mark.parametrize("frame, status", [("ack", "delivered"), ("read", "read")])
def test_ack_and_read_reach_the_senders_sockets_on_any_daemon(alice, bob, group, connect, frame, status):
    senders, receiver = [connect(alice, daemon=1), connect(alice, daemon=2)], connect(bob, daemon=2)
    m = alice.say(group, "did you get it?")
    for sock in (*senders, receiver):
        sock.expect("message")
    receiver.tell(frame, message_id=m["id"])
    for sock in senders:
        assert sock.expect("delivery_ack") == {"message_id": m["id"], "conversation_id": group["id"], "user_id": bob.id, "status": status}
    receiver.expect_nothing(0.2)
    row = alice.deliveries(m)[bob.id]
    assert row["status"] == status and row["delivered_at"] and bool(row["read_at"]) == (status == "read")


def test_ack_is_a_watermark(alice, bob, group, connect):
    sender, receiver = connect(alice), connect(bob)
    first, second = alice.say(group, "1"), alice.say(group, "2")
    sender.collect(2), receiver.collect(2)
    receiver.tell("ack", message_id=second["id"])
    assert sender.expect("delivery_ack")["message_id"] == second["id"]
    assert alice.deliveries(first)[bob.id]["status"] == "delivered"
    receiver.tell("ack", message_id=first["id"])        # known already: no news
    assert receiver.sync() == []
    sender.expect_nothing(0.3)


def test_rest_receipt_reaches_the_sender_too(alice, bob, group, connect):
    sender = connect(alice)
    m = alice.say(group, "read me")
    sender.expect("message")
    bob.read(group)
    assert sender.expect("delivery_ack") == {"message_id": m["id"], "conversation_id": group["id"], "user_id": bob.id, "status": "read"}


def test_ack_of_what_is_not_there_gets_an_error(alice, carol, group, connect):
    m, sock = alice.say(group, "x"), connect(carol)
    for frame in ("ack", "read"):
        sock.tell(frame, message_id=NOBODY)
        assert_error(sock.recv_json(), "message_not_found")
        sock.tell(frame, message_id=m["id"])
        assert_error(sock.recv_json(), "forbidden")
        sock.tell(frame, message_id=number_of(m["id"]))
        assert_error(sock.recv_json(), "invalid_field")
        sock.tell(frame)
        assert_error(sock.recv_json(), "missing_field")


# ---------------------------------------------------------------------- typing

def typing(who, c):
    return {"user_id": who.id, "conversation_id": c["id"]}


def test_typing_is_shown_to_the_others_on_any_daemon(alice, bob, carol, group, connect):
    alice.add(group, carol)
    typist, own = connect(alice, daemon=1), connect(alice, daemon=2)
    others = [connect(bob, daemon=1), connect(bob, daemon=2), connect(carol)]
    for word in ("typing", "typing_stop"):
        typist.tell(word, conversation_id=group["id"])
        for sock in others:
            assert sock.expect(word) == typing(alice, group)
    own.expect_nothing(0.1)
    assert typist.sync() == []


def test_typing_stops_by_itself_after_three_seconds_without_a_fresh_one(alice, bob, connect):
    direct = alice.direct(bob)
    typist, watcher = connect(alice), connect(bob)
    typist.tell("typing", conversation_id=direct["id"])
    assert watcher.expect("typing") == typing(alice, direct)
    watcher.expect_nothing(1.5)
    typist.tell("typing", conversation_id=direct["id"])
    fresh = time.monotonic()
    assert watcher.expect("typing") == typing(alice, direct)
    assert watcher.expect("typing_stop") == typing(alice, direct)
    assert 2.7 < time.monotonic() - fresh < 4.5
    watcher.expect_nothing(0.2)


def test_typing_stops_on_disconnect(alice, bob, group, connect):
    typist, watcher = connect(alice), connect(bob)
    typist.tell("typing", conversation_id=group["id"])
    watcher.expect("typing")
    typist.abort()
    assert watcher.expect("typing_stop", timeout=2) == typing(alice, group)


def test_typing_where_one_is_no_participant_gets_an_error(bob, carol, group, connect):
    sock, watcher = connect(carol), connect(bob)
    for c in (group["id"], NOBODY):
        sock.tell("typing", conversation_id=c)
        assert_error(sock.recv_json())
    watcher.expect_nothing(0.2)


# ---------------------------------------------------------------------- presence

def presence(who, status):
    return {"type": "presence", "data": {"user_id": who.id, "status": status}}


def watch(connect, user, **options):
    """A socket that hears of presence and has been told who is there."""
    sock = connect(user, aside=EVENTS, **options)
    sock.settled()
    return sock


def test_first_socket_up_and_last_one_down_are_told_across_daemons(alice, bob, group, connect):
    watchers = [watch(connect, bob, daemon=n) for n in (1, 2)]
    first, second = connect(alice, daemon=1), connect(alice, daemon=2)
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "online")
    first.close()
    for sock in watchers:
        sock.expect_nothing(2.5)        # the second one is still up
    second.abort()
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "offline")
        sock.expect_nothing(0.2)


def test_reconnect_within_the_debounce_is_no_news(alice, bob, group, connect):
    watcher = watch(connect, bob)
    one = connect(alice)
    assert watcher.recv_json() == presence(alice, "online")
    one.close()
    connect(alice)
    watcher.expect_nothing(2.6)


def test_new_socket_is_told_who_of_its_people_is_online(alice, bob, carol, new_user, connect):
    dave, offline = new_user(), new_user()
    alice.direct(bob), alice.group(carol, offline), alice.befriend(dave)
    watch(connect, alice)
    for who in (bob, carol, dave, new_user()):      # the last one shares nothing with her
        watch(connect, who)
    frames = connect(alice, aside=EVENTS).settled()
    assert sorted(frames, key=str) == sorted((presence(who, "online") for who in (bob, carol, dave)), key=str)


def test_presence_goes_to_people_who_share_something_only(alice, bob, carol, group, connect):
    stranger, friend = watch(connect, carol), watch(connect, bob)
    connect(alice)
    assert friend.recv_json() == presence(alice, "online")
    stranger.expect_nothing(0.5)


# ---------------------------------------------------------------------- what happens to conversations and messages

def about(c, who, actor):
    return {"conversation_id": c["id"], "user_id": who.id, "actor_id": actor.id}


def listen(connect, user, **options):
    """A socket that hears of everything but presence, and has heard of all that was before."""
    sock = connect(user, aside={"presence"}, **options)
    sock.settled()
    return sock


def test_new_conversation_is_told_to_each_of_its_people(alice, bob, carol, connect):
    people = {who: listen(connect, who) for who in (alice, bob, carol)}
    c = alice.group(bob, carol)
    for who, sock in people.items():
        assert sock.expect("conversation_created") == about(c, who, alice)
    direct = bob.direct(carol)
    for who in (bob, carol):
        assert people[who].expect("conversation_created") == about(direct, who, bob)
    alice.say(c, "hello")
    for sock in people.values():
        assert sock.expect("message")["body"] == "hello"


def test_renaming_adding_and_removing_are_told_to_the_members(alice, bob, carol, group, connect):
    hers, his, new = listen(connect, alice, daemon=1), listen(connect, bob, daemon=2), listen(connect, carol)
    alice.rename(group, "Bouldering")
    for sock in (hers, his):
        assert sock.expect("conversation_renamed") == about(group, alice, alice)
    alice.add(group, carol)
    for sock in (hers, his, new):
        assert sock.expect("member_added") == about(group, carol, alice)
    m = bob.say(group, "welcome")
    for sock in (hers, his, new):
        assert sock.expect("message") == m
    carol.leave(group)
    for sock in (hers, his, new):
        assert sock.expect("member_removed") == about(group, carol, carol)


@pytest.mark.parametrize("how", ["removed", "left"])
def test_removal_takes_effect_on_live_sockets_at_once(alice, bob, group, connect, how):
    sockets = [connect(bob, daemon=1), connect(bob, daemon=2)]
    mine = connect(alice)
    alice.say(group, "before")
    for sock in (mine, *sockets):
        sock.expect("message")
    alice.remove(group, bob) if how == "removed" else bob.leave(group)
    alice.say(group, "after")
    for sock in sockets:
        sock.say(group, "still here?")
        assert sock.expect("member_removed") == about(group, bob, alice if how == "removed" else bob)
        assert_error(sock.recv_json(), "forbidden")
        sock.expect_nothing(0.2)
    mine.expect("member_removed")
    assert mine.expect("message")["body"] == "after"
    assert alice.texts(group) == ["after", "before"]
    alice.add(group, bob)
    m = alice.say(group, "back again")
    for sock in sockets:
        assert sock.expect("message") == m


def test_deleting_a_group_is_told_to_its_members(alice, bob, group, connect):
    people = {who: listen(connect, who) for who in (alice, bob)}
    alice.delete(group)
    for who, sock in people.items():
        assert sock.expect("conversation_deleted") == about(group, who, alice)
        sock.say(group, "anyone?")
        assert_error(sock.recv_json(), "conversation_not_found")


def test_edits_and_deletions_of_messages_are_told(alice, bob, group, connect):
    m = alice.say(group, "tpyo")
    sockets = [listen(connect, alice), listen(connect, bob)]
    edited = alice.edit(m, "typo").json()["message"]
    for sock in sockets:
        assert sock.expect("message_edited") == edited
    alice.unsend(m)
    for sock in sockets:
        assert sock.expect("message_deleted") == {"id": m["id"], "conversation_id": group["id"]}


def test_invitations_and_contacts_are_told(alice, bob, connect):
    hers, his = listen(connect, alice), listen(connect, bob)
    invitation = alice.invite(bob).json()["invitation"]
    assert his.expect("invitation_received") == {"user_id": bob.id, "actor_id": alice.id}
    contact = bob.answer(invitation, "accept").json()["contact"]
    for sock, who, other in ((hers, alice, bob), (his, bob, alice)):
        told = {f["type"]: f["data"] for f in sock.collect(2)}
        assert set(told) == {"conversation_created", "contact_added"}
        assert told["contact_added"] == {"user_id": who.id, "actor_id": other.id}
        assert told["conversation_created"]["conversation_id"] == contact["conversation_id"]
    alice.ask("DELETE", f"/contacts/{contact['id']}")
    assert hers.expect("contact_removed")["user_id"] == alice.id
    assert his.expect("contact_removed")["user_id"] == bob.id


# ---------------------------------------------------------------------- ping, and bad frames

def test_ping_gets_pong(alice, connect):
    sock = connect(alice)
    for _ in range(3):
        sock.tell("ping")
        assert sock.recv_json() == {"type": "pong"}
    sock.ping()


def bad_frames(group):
    message = {"type": "message", "conversation_id": group["id"], "body": "x"}
    return ["hello", "", "{", [message], "5", {}, {"type": "nonsense"}, {"type": 5}, {"type": None}, {"data": message},
            {**message, "conversation_id": 5}, {**message, "conversation_id": "x"}, {"type": "message", "body": "x"},
            {**message, "conversation_id": number_of(group["id"])}, {"type": "message", "conversation_id": group["id"]},
            {**message, "body": 5}, {**message, "body": ""}, {**message, "body": "a\0b"}, {**message, "body": "y" * 16385},
            {**message, "media_url": "file:///etc/passwd"}, {**message, "client_msg_id": 5}, {**message, "client_msg_id": ""},
            {"type": "typing"}, {"type": "typing", "conversation_id": "x"}, {"type": "ack", "message_id": "x"}, "[" * 5000]


def test_every_bad_frame_gets_an_error_and_the_connection_stays(alice, bob, group, connect):
    receiver, sock = connect(bob), connect(alice)
    for frame in bad_frames(group):
        sock.send(frame if isinstance(frame, str) else json_bytes(frame).decode())
        assert_error(sock.recv_json())
    sock.say(group, "the only good one")
    assert sock.expect("message")["body"] == "the only good one"
    assert receiver.expect("message")["body"] == "the only good one"
