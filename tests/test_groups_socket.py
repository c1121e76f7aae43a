"""`groups` (004) live: `/ws` with its tokens, frames both ways, error frames, subprotocols."""

import uuid

import pytest
import websocket
from websocket import ABNF

from parley.check import assert_problem, number_of, with_timestamp
from parley.groups import Groups, ann, assert_message, ben, cid, groups_socket  # noqa: F401
from parley.p2p import p2p_account

SOCKET = groups_socket
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


@pytest.fixture(params=["conversation", "group"])
def place(request, ann, ben):
    """Where ann and ben talk: everything below holds in both."""
    return ann.direct(ben) if request.param == "conversation" else ann.group(ben)


# ---------------------------------------------------------------------- connecting

@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"], ids=str)
@pytest.mark.parametrize("offer", [(), ("Sec-WebSocket-Protocol: chat.groups",)], ids=["plain", "chat.groups"])
def test_bad_token_is_refused_with_401_before_the_upgrade(stack, token, offer):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        groups_socket(Groups(stack, token), header=offer)
    assert refused.value.status_code == 401


def test_refusal_is_the_json_error(stack):
    resp = Groups(stack).call("GET", "/ws?token=nonsense", token=None, headers={
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert assert_problem(resp, 401, "unauthorized")["error"] == "Invalid or expired token"


def test_token_in_the_address_or_the_header_connects_without_a_greeting(ann, connect):
    for in_url in (True, False):
        connect(ann, token_in_url=in_url).expect_nothing(0.1)


def test_logout_closes_the_socket(ann, connect):
    sock = connect(ann)
    assert ann.logout().status_code == 200
    sock.expect_close(4001)


@pytest.mark.parametrize("path", ["/ws", "/ws/chat", "/api/v1/ws", "/v1/messages/ws"])
def test_subprotocol_overrides_on_any_path_and_is_echoed(ann, ben, alice, connect, path):
    direct = ann.direct(ben)
    for user in (ann, alice):
        sock = connect(user, path=path, header=["Sec-WebSocket-Protocol: other, chat.groups"])
        assert sock.headers["sec-websocket-protocol"] == "chat.groups"
        sock.send({"type": "message", "content": "to none"})
        assert sock.refused() == "missing_field"
    sock = connect(ann, path=path, header=["Sec-WebSocket-Protocol: chat.groups"])
    assert sock.exchange(direct, "hello")["content"] == "hello"


@pytest.mark.parametrize("dialect, first", [("chat.p2p", "system"), ("chat.dm", None), ("chat.conv", None)])
def test_groups_token_speaks_another_dialect_by_subprotocol(ann, connect, dialect, first):
    sock = connect(ann, header=[f"Sec-WebSocket-Protocol: {dialect}"])
    assert sock.headers["sec-websocket-protocol"] == dialect
    if first:
        assert sock.recv_json()["type"] == first
    sock.send("no JSON")
    assert "error" in sock.recv_text()


def test_unknown_subprotocol_is_ignored(ann, ben, connect):
    sock = connect(ann, header=["Sec-WebSocket-Protocol: soap"])
    assert "sec-websocket-protocol" not in sock.headers
    assert sock.exchange(ann.direct(ben), "x")["content"] == "x"


# ---------------------------------------------------------------------- messages

def test_message_reaches_both_and_the_sender_gets_the_frame_too(ann, ben, cid, place, connect):
    mine, yours, other = connect(ann), connect(ben), connect(cid)
    mine.say(place, "Hello!")
    frame = mine.message()
    assert_message(frame, place, both=True)
    assert (frame["sender_id"], frame["content"]) == (ann.id, "Hello!")
    assert yours.message() == frame
    other.expect_nothing(0.1)
    assert ben.page(place)["messages"][0]["id"] == frame["id"]


def test_rest_message_arrives_at_every_device_of_both(ann, ben, place, connect):
    sockets = [connect(u) for u in (ann, ann, ben, ben)]
    sent = ann.say(place, "by REST")
    for sock in sockets:
        frame = sock.message()
        assert {k: frame[k] for k in sent} == sent
        sock.expect_nothing(0.05)


def test_the_other_id_may_be_null_or_absent(ann, ben, connect):
    direct, group = ann.direct(ben), ann.group(ben)
    sock = connect(ann)
    for ids in ({"conversation_id": direct["id"]}, {"conversation_id": direct["id"], "group_id": None},
                {"group_id": group["id"]}, {"conversation_id": None, "group_id": group["id"]}):
        sock.send({"type": "message", "content": "x", **ids})
        frame = sock.message()
        assert {k: frame[k] for k, v in ids.items()} == ids


def test_order_is_that_of_the_history(ann, ben, place, connect):
    mine, yours = connect(ann), connect(ben)
    for n in range(20):
        mine.say(place, f"socket {n}")
        ben.say(place, f"rest {n}")
    seen = [[sock.message()["id"] for _ in range(40)] for sock in (mine, yours)]
    assert seen[0] == seen[1] == [m["id"] for m in ann.page(place)["messages"]][::-1]


def test_the_same_key_is_stored_once_and_shown_again(ann, ben, place, connect):
    yours, sock = connect(ben), connect(ann)
    first = sock.exchange(place, "once", client_msg_id="k")
    assert sock.exchange(place, "once", client_msg_id="k") == first
    sock.say(place, "twice", client_msg_id="k")
    assert sock.refused() == "idempotency_conflict"
    assert yours.message() == first
    yours.expect_nothing(0.1)


@pytest.mark.parametrize("text", [" padded ", "a\nb", "😀", "\x01", "y" * 16384], ids=lambda t: ascii(t)[:12])
def test_content_is_never_altered(ann, place, connect, text):
    assert connect(ann).exchange(place, text)["content"] == text


def test_since_replays_what_was_missed_in_order(ann, ben, place, connect):
    other = connect(ann)
    ids = [(ann, ben)[n % 2].say(place, f"{n}")["id"] for n in range(6)]
    assert [other.message()["id"] for _ in ids] == ids      # the daemon is through with them
    sock = connect(ben, since=ids[2])
    assert [sock.message()["id"] for _ in range(3)] == ids[3:]
    live = ann.say(place, "live")
    assert sock.message()["id"] == live["id"]


@pytest.mark.parametrize("since", ["x", "5", NOBODY])
def test_bad_since_gets_an_error_frame_and_live_messages_only(ann, ben, place, connect, since):
    connect(ann).exchange(place, "old")     # its echo: the daemon is through with it
    sock = connect(ben, since=since)
    assert sock.refused()
    ann.say(place, "new")
    assert sock.message()["content"] == "new"


def test_media_of_another_dialect_is_shown_with_an_empty_content(ann, stack, connect):
    tom, sock = p2p_account(stack), connect(ann)
    tom.say(number_of(ann.id), media_url="https://example.org/cheese.jpg")
    frame = sock.message()
    assert (frame["content"], frame["media_url"]) == ("", "https://example.org/cheese.jpg")


# ---------------------------------------------------------------------- error frames

def bad_frames(direct, group, foreign):
    good = {"type": "message", "conversation_id": direct["id"], "content": "x"}
    into = lambda **ids: {"type": "message", "content": "x", **ids}
    return {
        "no JSON": "hello", "empty": "", "half": '{"type":', "array": [good], "null": "null", "no type": {**good, "type": None},
        "unknown type": {**good, "type": "dance"}, "type is a number": {**good, "type": 5}, "neither": into(),
        "both null": into(conversation_id=None, group_id=None), "both": into(conversation_id=direct["id"], group_id=group["id"]),
        "conversation is a number": into(conversation_id=5), "no UUID": into(conversation_id="nonsense"),
        "integer id": into(group_id=str(number_of(group["id"]))), "nowhere": into(conversation_id=NOBODY),
        "no group": into(group_id=NOBODY), "another timestamp": into(group_id=with_timestamp(group["id"], 5)),
        "a group as conversation": into(conversation_id=group["id"]), "a conversation as group": into(group_id=direct["id"]),
        "another's group": into(group_id=foreign["id"]), "no content": {**good, "content": None}, "no bytes": {**good, "content": ""},
        "content is a number": {**good, "content": 5}, "too long": {**good, "content": "y" * 16385}, "NUL": {**good, "content": "a\0b"},
        "key is a number": {**good, "client_msg_id": 5}, "deep": "[" * 10000,
    }


def test_every_bad_frame_gets_an_error_frame_and_the_connection_stays(ann, ben, cid, connect):
    direct, group = ann.direct(ben), ann.group(ben)
    yours, sock = connect(ben), connect(ann)
    for name, frame in bad_frames(direct, group, cid.group()).items():
        sock.send(frame)
        assert sock.refused(), name
        word = uuid.uuid4().hex
        assert sock.exchange(direct, word)["content"] == word
        assert yours.message()["content"] == word, name
    assert ann.texts(group) == []


def test_outsider_gets_an_error_frame_and_nothing_is_stored(ann, ben, cid, place, connect):
    sock = connect(cid)
    sock.say(place, "let me in")
    assert sock.refused() == "forbidden"
    assert ann.texts(place) == []


def test_binary_frame_gets_an_error_frame(ann, connect):
    sock = connect(ann)
    sock.send_bytes(b'{"type":"message"}', ABNF.OPCODE_BINARY)
    assert sock.refused()
