"""conv (001), `/api/v1/ws` over two daemons: connecting, messages, receipts, bad frames. Typing, presence and
what happens to conversations is in test_conv_events.py."""


import pytest
import requests

from parley import tokens
from parley.api import json_bytes
from parley.check import assert_problem, number_of
from parley.conv import ConvSocket, conv_account, conv_socket
from parley.wait import eventually

ACCOUNT = conv_account
SOCKET = conv_socket
STACK = {"daemons": 2}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


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
    # The upgrade may reach the other daemon, which has to hear of it too.
    eventually(lambda: upgrade(stack, alice.token).status_code == 401)
    assert_problem(upgrade(stack, alice.token), 401, "unauthorized")


def test_disabled_account_is_refused_with_403(stack, alice, connect):
    sock = connect(alice)
    stack.disable(alice.name)
    sock.expect_close(4003)
    eventually(lambda: upgrade(stack, alice.token).status_code == 403)   # the other daemon too
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
    assert (echo["body"], echo["media_url"]) == ("", "https://example.org/w.jpg")


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


def test_a_receipt_is_told_to_each_sender_whose_messages_it_covers(alice, bob, carol, connect):
    group = alice.group(bob, carol)
    mine, theirs, receiver = connect(alice), connect(carol), connect(bob)
    first, second, third = alice.say(group, "1"), carol.say(group, "2"), alice.say(group, "3")
    for sock in (mine, theirs, receiver):
        sock.collect(3)
    for word, status in (("ack", "delivered"), ("read", "read")):
        receiver.tell(word, message_id=third["id"])
        for sock, newest in ((mine, third), (theirs, second)):
            told = sock.expect("delivery_ack")
            assert (told["message_id"], told["user_id"], told["status"]) == (newest["id"], bob.id, status)
    mine.expect_nothing(0.2)
    assert alice.deliveries(first)[bob.id]["status"] == "read"


def test_every_ack_is_told_however_quickly_they_come(alice, bob, group, connect):
    sender, receiver = connect(alice), connect(bob)
    ids = [alice.say(group, f"{n}")["id"] for n in range(20)]
    sender.collect(20), receiver.collect(20)
    for m in ids:
        receiver.tell("ack", message_id=m)
    assert [sender.expect("delivery_ack")["message_id"] for _ in ids] == ids


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
