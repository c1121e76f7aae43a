"""`dm` (000) live: `/ws/chat`, frames in and out, several devices, close codes."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import websocket
from websocket import ABNF

from parley import tokens
from parley.check import assert_id, assert_problem, number_of, with_timestamp, id_parts

SIX = {"id", "sender_id", "sender_username", "recipient_id", "content", "created_at"}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


def assert_usable(sock, recipient):
    """The connection still does its work."""
    word = uuid.uuid4().hex
    assert sock.exchange(recipient, word)["content"] == word


def assert_error(frame):
    assert set(frame) == {"error"} and isinstance(frame["error"], str) and frame["error"], frame


# ---------------------------------------------------------------------- connecting

@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "..", "é", "x" * 6000], ids=lambda t: ascii(t[:10]))
def test_bad_token_is_accepted_by_http_and_closed_with_4001(alice, connect, token):
    alice.token = token
    connect(alice).expect_close(4001)


def test_missing_token_is_closed_with_4001(alice, connect):
    alice.token = None
    connect(alice).expect_close(4001)


def test_tampered_token_is_closed_with_4001(alice, bob, connect):
    head, body, signature = alice.token.split(".")
    other = bob.token.split(".")
    for wrong in (f"{head}.{other[1]}.{signature}", f"{head}.{body}.{other[2]}", f"{head}.{body}.", f"{head}.{body}"):
        alice.token = wrong
        connect(alice).expect_close(4001)


def test_frames_of_a_refused_connection_are_not_taken(alice, bob, connect):
    good, alice.token = alice.token, "nonsense"
    sock = connect(alice)
    try:
        sock.say(bob, "never")
    except (OSError, websocket.WebSocketException):
        pass
    sock.expect_close(4001)
    alice.token = good
    assert alice.history(bob).json() == []


def test_disabled_account_is_closed_with_4003(alice, stack, connect):
    sock = connect(alice)
    stack.disable(alice.name)
    sock.expect_close(4003)
    connect(alice).expect_close(4003)


def test_authorization_header_authenticates(alice, bob, connect):
    assert_usable(connect(alice, token_in_url=False), bob)


def test_dialect_subprotocol_is_echoed(alice, bob, connect):
    sock = connect(alice, header=["Sec-WebSocket-Protocol: chat.dm"])
    assert sock.headers["sec-websocket-protocol"] == "chat.dm"
    assert_usable(sock, bob)


def test_dialect_subprotocol_is_picked_out_of_a_list(alice, bob, connect):
    sock = connect(alice, header=["Sec-WebSocket-Protocol: other.v1, chat.dm"])
    assert sock.headers["sec-websocket-protocol"] == "chat.dm"
    assert_usable(sock, bob)


@pytest.mark.parametrize("offer", ["soap", "mqtt, soap", "chat.unheard-of"])
def test_unknown_subprotocol_is_ignored(alice, bob, connect, offer):
    sock = connect(alice, header=[f"Sec-WebSocket-Protocol: {offer}"])
    assert "sec-websocket-protocol" not in sock.headers
    assert_usable(sock, bob)


def test_request_without_upgrade_is_answered_in_json(alice):
    resp = alice.call("GET", f"/ws/chat?token={alice.token}", token=None)
    assert_problem(resp, 426, "upgrade_required")
    assert resp.headers["Upgrade"] == "websocket"       # RFC 9110, 15.5.22


def test_client_pings_are_answered(alice, connect):
    connect(alice).ping()


def test_closing_is_answered(alice, connect):
    sock = connect(alice)
    sock.ws.send_close(1000, b"bye")
    sock.expect_close(1000)


# ---------------------------------------------------------------------- messages

def test_message_has_the_six_documented_fields(alice, bob, connect):
    receiver, sender = connect(bob), connect(alice)
    sender.say(bob, "Hey Bob!")
    frame = receiver.recv_json()
    assert set(frame) == SIX
    assert frame["sender_id"] == alice.id and frame["sender_username"] == alice.name
    assert frame["recipient_id"] == bob.id and frame["content"] == "Hey Bob!"
    assert_id(frame["id"], frame["created_at"])
    assert sender.recv_json() == frame


def test_socket_message_is_in_the_history(alice, bob, connect):
    echo = connect(alice).exchange(bob, "remember me")
    stored = bob.history(alice).json()[0]
    assert {k: echo[k] for k in SIX - {"sender_username"}} == {k: stored[k] for k in SIX - {"sender_username"}}


def test_rest_message_arrives_at_both_peoples_sockets(alice, bob, connect):
    sockets = [connect(alice), connect(bob)]
    sent = alice.make_message(bob, "by REST")
    for sock in sockets:
        frame = sock.recv_json()
        assert set(frame) == SIX
        assert {k: frame[k] for k in ("id", "content", "created_at")} == {k: sent[k] for k in ("id", "content", "created_at")}


def test_echo_goes_to_every_device_of_the_sender_once(alice, bob, connect):
    phones = [connect(alice), connect(alice), connect(alice.another_device())]
    receiver = connect(bob)
    phones[0].say(bob, "one")
    phones[1].say(bob, "two")
    expected = phones[0].collect(2)
    assert sorted(f["content"] for f in expected) == ["one", "two"]
    for sock in (*phones[1:], receiver):
        assert sock.collect(2) == expected
        sock.expect_nothing(0.1)


def test_others_hear_nothing(alice, bob, new_user, connect):
    outsider = connect(new_user())
    connect(alice).exchange(bob, "private")
    outsider.expect_nothing()


def test_conversation_flows_both_ways(alice, bob, connect):
    a, b = connect(alice), connect(bob)
    for n in range(5):
        a.say(bob, f"ping {n}")
        assert b.recv_json() == a.recv_json()
        b.say(alice, f"pong {n}")
        assert a.recv_json() == b.recv_json()


def test_messages_arrive_in_the_order_of_the_history(alice, bob, connect):
    receivers = [connect(bob), connect(alice)]
    sender = connect(alice)
    for n in range(40):
        sender.say(bob, f"socket {n}")
        if n % 4 == 0:
            bob.make_message(alice, f"rest {n}")
    order = [[f["id"] for f in sock.collect(50)] for sock in (*receivers, sender)]
    assert order[0] == order[1] == order[2]
    assert order[0] == [m["id"] for m in alice.whole_history(bob)]


def test_one_senders_frames_are_stored_in_the_order_sent(alice, bob, connect):
    sender = connect(alice)
    for n in range(60):
        sender.say(bob, f"{n}")
    sender.collect(60)
    assert [m["content"] for m in alice.whole_history(bob)] == [str(n) for n in range(60)]


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "\"\\/", "\x01\x7f", "\U0010ffff", "</script>", "y" * 16384, "😀" * 4096,
                                  "\x01" * 16384], ids=lambda t: ascii(t)[:14])
def test_content_is_never_altered(alice, bob, connect, text):
    receiver = connect(bob)
    assert connect(alice).exchange(bob, text)["content"] == text
    assert receiver.recv_json()["content"] == text


def test_fragmented_frames_are_put_together(alice, bob, connect):
    sock = connect(alice)
    sock.send_fragments(json.dumps({"recipient_id": bob.id, "content": "in fragments 😀"}, ensure_ascii=False), size=3)
    assert sock.recv_json()["content"] == "in fragments 😀"


def test_fragments_with_a_ping_between_are_put_together(alice, bob, connect):
    sock = connect(alice)
    data = json.dumps({"recipient_id": bob.id, "content": "y" * 9000}).encode()
    sock._frame(data[:5000], ABNF.OPCODE_TEXT, 0)
    sock.ws.ping(b"between")
    sock._frame(data[5000:], ABNF.OPCODE_CONT, 1)
    assert sock.recv_json()["content"] == "y" * 9000


# ---------------------------------------------------------------------- bad frames

def bad_frames(alice, bob):
    good = {"recipient_id": bob.id, "content": "x"}
    return {
        "no JSON": "hello", "empty": "", "half": '{"recipient_id":', "trailing": '{"recipient_id":"x"} x',
        "array": [good], "string": '"text"', "number": "5", "null": "null", "empty object": {},
        "no content": {"recipient_id": bob.id}, "no recipient": {"content": "x"},
        "content is a number": {**good, "content": 5}, "content is null": {**good, "content": None},
        "content is an object": {**good, "content": {}}, "recipient is a number": {**good, "recipient_id": 5},
        "recipient is null": {**good, "recipient_id": None}, "recipient is no UUID": {**good, "recipient_id": "bob"},
        "recipient is an integer id": {**good, "recipient_id": number_of(bob.id)},
        "unknown recipient": {**good, "recipient_id": NOBODY},
        "another timestamp": {**good, "recipient_id": with_timestamp(bob.id, id_parts(bob.id)[2] + 1)},
        "oneself": {**good, "recipient_id": alice.id}, "no bytes": {**good, "content": ""},
        "too long": {**good, "content": "y" * 16385}, "NUL": {**good, "content": "a\0b"},
        "lone surrogate": '{"recipient_id":"%s","content":"\\ud800"}' % bob.id,
        "key is a number": {**good, "client_msg_id": 5}, "deep": "[" * 10000, "deep object": '{"a":' * 10000,
    }


def test_every_bad_frame_gets_an_error_and_the_connection_stays(alice, bob, connect):
    sock = connect(alice)
    for name, frame in bad_frames(alice, bob).items():
        sock.send(frame)
        answer = sock.recv_json()
        assert set(answer) == {"error"}, name
        assert_error(answer)
        assert_usable(sock, bob)


def test_bad_frames_disturb_no_one_else(alice, bob, connect):
    receiver, sock = connect(bob), connect(alice)
    frames = bad_frames(alice, bob)
    for frame in frames.values():
        sock.send(frame)
    sock.say(bob, "the only good one")
    assert receiver.recv_json()["content"] == "the only good one"
    answers = sock.collect(len(frames) + 1)
    assert sum("error" in a for a in answers) == len(frames)


def test_binary_frame_gets_an_error_and_the_connection_stays(alice, bob, connect):
    sock = connect(alice)
    sock.send_bytes(json.dumps({"recipient_id": bob.id, "content": "binary"}).encode(), ABNF.OPCODE_BINARY)
    assert_error(sock.recv_json())
    assert_usable(sock, bob)
    assert "binary" not in [m["content"] for m in alice.whole_history(bob)]


def test_invalid_utf8_ends_the_connection_as_the_rfc_says(alice, bob, connect):
    sock = connect(alice)
    sock.send_bytes(b'{"recipient_id":"%s","content":"\xff"}' % bob.id.encode())
    sock.expect_close(1007)


def test_frame_beyond_all_bounds_ends_the_connection_as_the_rfc_says(alice, bob, connect):
    sock = connect(alice)
    try:
        sock.say(bob, "y" * (2 << 20))
    except OSError:
        pass                            # it may hang up before we are through
    sock.expect_close(1009)


# ---------------------------------------------------------------------- catching up

def test_since_replays_what_was_missed_in_order_and_goes_on_live(alice, bob, connect):
    sender = connect(alice)
    ids = [sender.exchange(bob, f"n{i}")["id"] for i in range(8)]       # with the echoes the daemon is through with them
    sock = connect(bob, since=ids[2])
    assert [f["id"] for f in sock.collect(5)] == ids[3:]
    live = alice.make_message(bob, "live")["id"]
    assert sock.recv_json()["id"] == live
    sock.expect_nothing(0.1)


def test_replayed_frames_look_like_live_ones(alice, bob, connect):
    live = connect(bob)
    first = alice.make_message(bob, "first")["id"]
    alice.make_message(bob, "second")
    assert connect(bob, since=first).recv_json() == live.collect(2)[1]


def test_since_covers_all_conversations_and_own_messages(alice, bob, new_user, connect):
    carol = new_user()
    mark = alice.make_message(bob, "mark")["id"]
    ids = [bob.make_message(alice, "1")["id"], alice.make_message(carol, "2")["id"], carol.make_message(alice, "3")["id"],
           alice.make_message(bob, "4")["id"]]
    bob.make_message(carol, "not alice's")
    assert [f["id"] for f in connect(alice, since=mark).collect(4)] == ids


def test_since_the_newest_replays_nothing(alice, bob, connect):
    newest = alice.make_message(bob, "newest")["id"]
    connect(bob, since=newest).expect_nothing()


def test_without_since_nothing_old_is_sent(alice, bob, connect):
    connect(alice).exchange(bob, "old")     # its echo: the daemon is through with it
    sock = connect(bob)
    alice.make_message(bob, "new")
    assert sock.recv_json()["content"] == "new"


def test_since_replays_hundreds_in_order(alice, bob, connect):
    sender = connect(alice)
    first = sender.exchange(bob, "first")["id"]
    for n in range(400):
        sender.say(bob, f"{n}")
        if n % 50 == 49:
            sender.collect(50)
    assert [f["content"] for f in connect(bob, since=first).collect(400)] == [str(n) for n in range(400)]


def test_connecting_while_messages_flow_misses_and_doubles_none(alice, bob, connect):
    first = alice.make_message(bob, "first")["id"]
    with ThreadPoolExecutor(4) as pool:
        sends = [pool.submit(alice.make_message, bob, f"n{i}") for i in range(150)]
        sockets = [connect(bob, since=first) for _ in range(6)]
        for send in sends:
            send.result()
    history = [m["id"] for m in alice.whole_history(bob)][1:]
    for sock in sockets:
        assert [f["id"] for f in sock.collect(150)] == history
        sock.expect_nothing(0.1)


@pytest.mark.parametrize("since", ["nonsense", "5", "-1", "", NOBODY, "6b29fc40-ca47-4067-b31d-00dd010662da", "0193e000"])
def test_bad_since_gets_an_error_frame_and_live_messages_only(alice, bob, connect, since):
    connect(alice).exchange(bob, "old")     # its echo: the daemon is through with it
    sock = connect(bob, since=since)
    assert_error(sock.recv_json())
    alice.make_message(bob, "new")
    assert sock.recv_json()["content"] == "new"


# ---------------------------------------------------------------------- secrets

def test_refused_tokens_stay_out_of_every_log(alice, stack, connect):
    marker = uuid.uuid4().hex
    claims = tokens.parts(alice.token)[1]
    wrong = tokens.sign({"alg": "HS256", "typ": "JWT", "kid": "none"}, {**claims, "jti": marker}, b"guess")
    alice.token = wrong
    connect(alice).expect_close(4001)
    connect(alice, token_in_url=False).expect_close(4001)
    last = requests.get(f"{stack.url}/api/v1/users/me?token={wrong}", timeout=10,
                        headers={"Authorization": f"Bearer {wrong}"}).headers["X-Request-Id"]
    stack.wait_for_log(last)
    text = stack.log_text()
    assert wrong not in text and wrong.split(".")[2] not in text and wrong.split(".")[1] not in text
