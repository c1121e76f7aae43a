"""`rooms` (003) live: who may speak at `/v1/messages/ws`, by the first frame or without it."""

import json
import time

import pytest
import websocket
from websocket import ABNF

from parley.api import account
from parley.rooms import alice, assert_usable, bob, friends, new, room, silent, sockets  # noqa: F401


def test_first_frame_authenticates(alice, room, silent):
    sock = silent()
    answer = sock.auth(alice.token)
    assert set(answer) == {"type", "message"} and answer["type"] == "success" and answer["message"]
    assert_usable(sock.subscribe(room), room)


def test_frames_sent_behind_the_first_without_waiting_are_taken(alice, room, silent):
    sock = silent()
    sock.tell("auth", token=alice.token)
    sock.tell("subscribe", room_id=room["id"])
    sock.say(room, "at once")
    frames = sock.collect(3)
    assert [f["type"] for f in frames if f["type"] == "success"] == ["success"] * 2
    assert next(f for f in frames if f["type"] == "message")["message"]["content"] == "at once"


FIRST_FRAMES = {
    "no JSON": "hello", "empty": "", "array": "[]", "no type": {"token": "x"}, "unknown type": {"type": "hello"},
    "no token": {"type": "auth"}, "token is null": {"type": "auth", "token": None}, "token is a number": {"type": "auth", "token": 5},
    "empty token": {"type": "auth", "token": ""}, "nonsense": {"type": "auth", "token": "nonsense"},
    "not a signature": {"type": "auth", "token": "a.b.c"}, "long": {"type": "auth", "token": "x" * 5000},
    "subscribe": {"type": "subscribe", "room_id": 1}, "unsubscribe": {"type": "unsubscribe", "room_id": 1},
    "send": {"type": "send_message", "room_id": 1, "content": "x"}, "ping": {"type": "ping"},
}


@pytest.mark.parametrize("frame", FIRST_FRAMES.values(), ids=list(FIRST_FRAMES))
def test_any_other_first_frame_gets_an_error_and_close_4001(silent, frame):
    sock = silent()
    sock.send(frame)
    assert sock.refused()
    sock.expect_close(4001)


def test_binary_first_frame_gets_an_error_and_close_4001(alice, silent):
    sock = silent()
    sock.send_bytes(json.dumps({"type": "auth", "token": alice.token}).encode(), ABNF.OPCODE_BINARY)
    assert sock.refused()
    sock.expect_close(4001)


def test_frames_behind_a_refused_first_one_are_not_taken(alice, bob, room, silent):
    for _ in range(30):                     # the close has to reach a client that writes at that moment
        sock = silent()
        try:
            sock.tell("subscribe", room_id=room["id"])
            sock.tell("auth", token=alice.token)
            sock.say(room, "never")
        except (OSError, websocket.WebSocketException):
            pass
        sock.expect_close(4001)
    assert bob.texts(room) == []


def test_no_first_frame_within_10_seconds_gets_an_error_and_close_4001(silent):
    start = time.monotonic()
    sock = silent()
    frame = sock.recv_json()
    assert (frame["type"], frame["code"]) == ("error", "unauthorized") and 9 < time.monotonic() - start < 25
    sock.expect_close(4001)


@pytest.mark.parametrize("in_url", [True, False], ids=["url", "header"])
def test_token_in_header_or_url_authenticates_without_that_frame(alice, room, sockets, in_url):
    sock = sockets(alice, token_in_url=in_url)
    sock.tell("subscribe", room_id=room["id"])
    assert sock.recv_json() == {"type": "success", "message": "Subscribed to room", "room_id": room["id"]}
    assert_usable(sock, room)


def test_auth_frame_is_welcome_on_an_authenticated_socket(alice, room, sockets):
    sock = sockets(alice).subscribe(room)
    assert sock.auth(alice.token)["type"] == "success"
    assert_usable(sock, room)


def test_auth_frame_of_another_user_closes_with_4001(alice, bob, sockets):
    sock = sockets(alice)
    assert sock.auth(bob.token)["type"] == "error"
    sock.expect_close(4001)


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"], ids=repr)
def test_bad_token_in_the_url_gets_an_error_and_close_4001(alice, sockets, token):
    alice.token = token
    sock = sockets(alice)
    assert sock.refused() == "unauthorized"
    sock.expect_close(4001)


def test_tokens_of_every_surface_are_good(alice, stack, silent):
    sock = silent()
    assert sock.auth(account(stack).token)["type"] == "success"


def test_revoked_token_is_refused_and_logout_closes_the_socket(alice, room, sockets, silent):
    sock = sockets(alice).subscribe(room)
    assert_usable(sock, room)
    assert alice.call("POST", "/api/v1/auth/logout").status_code == 200
    sock.expect_close(4001)
    other = silent()
    assert other.auth(alice.token)["code"] == "unauthorized"
    other.expect_close(4001)


def test_disabled_account_is_closed_with_4003(alice, stack, sockets, silent):
    sock = sockets(alice)
    sock.sync()
    stack.disable(alice.name)
    sock.expect_close(4003)
    other = silent()
    assert other.auth(alice.token)["code"] == "account_disabled"
    other.expect_close(4003)


def test_subprotocol_is_echoed_and_speaks_rooms_on_any_path(alice, room, sockets):
    for path in ("/v1/messages/ws", "/ws", "/ws/chat", "/api/v1/ws"):
        sock = sockets(alice, path=path, header=["Sec-WebSocket-Protocol: chat.rooms"])
        assert sock.headers["sec-websocket-protocol"] == "chat.rooms"
        assert_usable(sock.subscribe(room), room)


def test_a_rooms_token_speaks_rooms_at_ws(alice, room, sockets):
    assert_usable(sockets(alice, path="/ws").subscribe(room), room)
