"""`p2p` (002) live: `/ws` by the token's dialect, pending delivery, frames both ways, plain text."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import websocket

from parley.check import assert_problem, number_of, parse_time
from parley.p2p import PICTURE, P2p, assert_message, jerry, p2p_socket, spike, tom  # noqa: F401
from parley.wait import eventually

SOCKET = p2p_socket
NOBODY = 987654321098


def contents(frames):
    return [f["content"] for f in frames]


# ---------------------------------------------------------------------- stage 2: connecting

@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"], ids=str)
@pytest.mark.parametrize("offer", [(), ("Sec-WebSocket-Protocol: chat.p2p",)], ids=["plain", "chat.p2p"])
def test_bad_token_is_refused_with_401_before_the_upgrade(stack, token, offer):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        p2p_socket(P2p(stack, token), header=offer)
    assert refused.value.status_code == 401


def test_refusal_is_the_json_error(stack):
    resp = P2p(stack).call("GET", "/ws?token=nonsense", token=None, headers={
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert_problem(resp, 401, "unauthorized")


def test_welcome_comes_first_from_the_system(tom, connect):
    frame = connect(tom).welcome
    assert (frame["type"], frame["sender_id"]) == ("system", 0)
    assert frame["content"].startswith("Welcome") and tom.name in frame["content"]
    parse_time(frame["timestamp"])


def test_authorization_header_authenticates(tom, connect):
    assert connect(tom, token_in_url=False).welcome["type"] == "system"


def test_subprotocol_speaks_p2p_on_any_path_with_any_token(alice, tom, connect):
    for path in ("/ws", "/ws/chat", "/api/v1/ws", "/v1/messages/ws"):
        for user in (alice, tom):
            sock = connect(user, path=path, header=["Sec-WebSocket-Protocol: chat.p2p"])
            assert sock.headers["sec-websocket-protocol"] == "chat.p2p"
            assert sock.welcome["type"] == "system"


def test_token_of_another_api_gets_no_welcome(alice, connect):
    connect(alice, greeted=False).expect_nothing()


# ---------------------------------------------------------------------- what was not delivered yet

def test_undelivered_messages_come_oldest_first_and_once(tom, jerry, spike, connect):
    group = spike.group(jerry)
    for sender, to, text in ((tom, jerry, "1"), (spike, jerry, "2"), (spike, group, "3"), (tom, jerry, "4")):
        sender.say(to, text)
    jerry.say(tom, "my own")
    frames = connect(jerry).collect(4)
    assert contents(frames) == ["1", "2", "3", "4"]
    for frame in frames:
        assert_message(frame, group="group_id" in frame)
        assert frame["status"] == "DELIVERED"
    eventually(lambda: {m["status"] for m in tom.page(jerry) if m["sender_id"] == tom.id} == {"DELIVERED"})
    eventually(lambda: {m["status"] for m in spike.page(group)} == {"DELIVERED"})
    connect(jerry).expect_nothing()


def test_message_that_comes_while_connecting_counts_as_delivered(tom, jerry, connect):
    """It waits behind the undelivered ones, and is told when it goes out."""
    with ThreadPoolExecutor(1) as pool:
        for n in range(25):
            sends = pool.submit(lambda: [tom.say(jerry, f"{n}.{i}") for i in range(3)])
            sock = connect(jerry)
            assert contents(sock.collect(3)) == [f"{n}.{i}" for i in range(3)]
            last = sends.result()[-1]
            eventually(lambda: tom.status(last) == "DELIVERED", what="delivered")
            sock.close()


def test_delivered_is_told_in_the_database(tom, jerry, stack, connect):
    sent = tom.say(jerry, "x")
    rows = lambda: stack.query("SELECT status FROM message_deliveries WHERE message_id = %s", sent["id"])
    assert rows() == [("sent",)]
    assert connect(jerry).recv_json()["id"] == sent["id"]
    eventually(lambda: rows() == [("delivered",)])


def test_hundreds_of_undelivered_messages_come_in_order(tom, jerry, connect):
    sock = connect(tom)
    for n in range(450):
        sock.say(jerry, f"{n}")
    sock.collect(450)
    assert contents(connect(jerry).collect(450)) == [str(n) for n in range(450)]


def test_live_messages_come_after_the_undelivered_ones(tom, jerry, connect):
    for n in range(30):
        tom.say(jerry, f"{n}")
    sock = connect(jerry)
    tom.say(jerry, "live")
    assert contents(sock.collect(31)) == [str(n) for n in range(30)] + ["live"]
    sock.expect_nothing(0.1)


def test_what_another_dialect_read_live_is_delivered(alice, tom, connect):
    """Delivered means delivered to the user: on whatever socket."""
    first = alice.another_device()
    sock = connect(first, header=["Sec-WebSocket-Protocol: chat.p2p"])
    sent = tom.say(number_of(alice.id), "x")
    assert sock.recv_json()["id"] == sent["id"]
    eventually(lambda: tom.status(sent) == "DELIVERED")
    connect(alice, header=["Sec-WebSocket-Protocol: chat.p2p"]).expect_nothing()


def test_messages_from_before_one_joined_are_not_pending(tom, jerry, connect):
    group = tom.group()
    tom.say(group, "before")
    tom.add(group, jerry)
    tom.say(group, "after")
    assert contents(connect(jerry).collect(1)) == ["after"]


def test_since_replays_what_came_after_it_instead(tom, jerry, connect):
    sender = connect(tom)
    ids = [sender.exchange(jerry, f"{n}")["id"] for n in range(4)]      # with the echoes the daemon is through with them
    jerry.say(tom, "my own")
    frames = connect(jerry, since=ids[1]).collect(3)
    assert contents(frames) == ["2", "3", "my own"]


@pytest.mark.parametrize("since", ["x", "0", str(NOBODY)])
def test_bad_since_gets_an_error_frame_and_live_messages_only(tom, jerry, connect, since):
    connect(tom).exchange(jerry, "old")     # its echo: the daemon is through with it
    sock = connect(jerry, since=since)
    assert sock.refused()
    tom.say(jerry, "new")
    assert sock.recv_json()["content"] == "new"


def test_after_a_bad_since_nothing_counts_as_delivered(tom, jerry, connect):
    """What was missed was not shown, and a receipt would cover it."""
    missed = connect(tom).exchange(jerry, "missed")     # its echo: the daemon is through with it
    sock = connect(jerry, since="x")
    assert sock.refused()
    live = tom.say(jerry, "live")
    assert sock.recv_json()["id"] == live["id"]
    sock.expect_nothing(0.5)            # receipts are written by then
    assert tom.status(missed) != "DELIVERED"
    sock.close()
    assert [f["id"] for f in connect(jerry).collect(2)] == [missed["id"], live["id"]]


# ---------------------------------------------------------------------- stage 3: live messages

def test_rest_message_arrives_at_both_peoples_sockets(tom, jerry, spike, connect):
    mine, yours, other = connect(tom), connect(jerry), connect(spike)
    sent = tom.say(jerry, "Hey Jerry!", media_url=PICTURE)
    for sock, status in ((mine, "SENT"), (yours, "DELIVERED")):
        frame = assert_message(sock.recv_json())
        assert frame["status"] == status
        assert {k: sent[k] for k in frame if k != "status"} == {k: frame[k] for k in frame if k != "status"}
    other.expect_nothing(0.1)


def test_recipient_id_names_a_person(tom, jerry, connect):
    mine, yours = connect(tom), connect(jerry)
    frame = assert_message(mine.exchange(jerry, "Hey!"))
    assert (frame["sender_id"], frame["recipient_id"], frame["type"], frame["status"]) == (tom.id, jerry.id, "text", "SENT")
    assert yours.recv_json() == {**frame, "status": "DELIVERED"}
    assert jerry.page(tom)[0]["id"] == frame["id"]


@pytest.mark.parametrize("member", ["recipient_id", "group_id"])
def test_recipient_id_or_group_id_names_a_group(tom, jerry, spike, connect, member):
    group = tom.group(jerry, spike)
    sockets = [connect(u) for u in (tom, jerry, spike)]
    sockets[1].send({member: group["id"], "content": "Hello all"})
    frames = [assert_message(s.recv_json(), group=True) for s in sockets]
    assert {f["id"] for f in frames} == {frames[0]["id"]}
    assert {(f["group_id"], f["recipient_id"], f["sender_id"]) for f in frames} == {(group["id"], group["id"], jerry.id)}
    assert [f["status"] for f in frames] == ["DELIVERED", "SENT", "DELIVERED"]


def test_group_id_wins_over_recipient_id(tom, jerry, connect):
    group = tom.group(jerry)
    sock = connect(tom)
    sock.send({"recipient_id": group["id"], "group_id": group["id"], "content": "as the frames look"})
    assert sock.recv_json()["group_id"] == group["id"]


@pytest.mark.parametrize("more", [{}, {"content": ""}, {"content": None}], ids=str)
def test_media_alone_is_a_message(tom, jerry, connect, more):
    mine, yours = connect(tom), connect(jerry)
    mine.send({"recipient_id": jerry.id, "type": "image", "media_url": PICTURE, **more})
    for frame in (mine.recv_json(), yours.recv_json()):
        assert (frame["type"], frame["media_url"]) == ("image", PICTURE) and not frame["content"]


def test_empty_media_url_counts_as_absent(tom, jerry, connect):
    frame = connect(tom).exchange(jerry, "text", media_url="")
    assert (frame["content"], frame["media_url"]) == ("text", "")


def test_media_alone_with_a_key_is_stored_once(tom, jerry, connect):
    sock = connect(tom)
    first = sock.exchange(jerry, media_url=PICTURE, client_msg_id="m1")
    assert sock.exchange(jerry, media_url=PICTURE, client_msg_id="m1") == first
    sock.say(jerry, media_url=PICTURE + "?", client_msg_id="m1")
    assert sock.refused() == "idempotency_conflict"
    assert len(tom.page(jerry)) == 1


def test_every_device_of_both_gets_it_once(tom, jerry, connect):
    sockets = [connect(u) for u in (tom, tom, jerry, jerry)]
    sockets[0].say(jerry, "one")
    sockets[2].say(tom, "two")
    for sock in sockets:
        assert sorted(contents(sock.collect(2))) == ["one", "two"]
        sock.expect_nothing(0.05)


def test_order_is_that_of_the_history(tom, jerry, connect):
    mine, yours = connect(tom), connect(jerry)
    for n in range(20):
        mine.say(jerry, f"socket {n}")
        jerry.say(tom, f"rest {n}")
    seen = [[f["id"] for f in sock.collect(40)] for sock in (mine, yours)]
    assert seen[0] == seen[1] == [m["id"] for m in tom.page(jerry)]


def test_member_who_left_the_group_gets_no_more(tom, jerry, connect):
    group = tom.group(jerry)
    yours = connect(jerry)
    tom.say(group, "first")
    assert yours.recv_json()["content"] == "first"
    assert jerry.call("POST", f"/v1/rooms/{group['id']}/leave").status_code == 204
    tom.say(group, "second")
    yours.expect_nothing()


# ---------------------------------------------------------------------- typing

def test_typing_reaches_the_other_side_and_is_not_stored(tom, jerry, spike, connect):
    mine, yours, other = connect(tom), connect(jerry), connect(spike)
    mine.exchange(jerry, "hello")
    yours.recv_json()
    mine.send({"type": "typing", "recipient_id": jerry.id})
    frame = yours.recv_json()
    assert (frame["type"], frame["sender_id"]) == ("typing", tom.id) and "group_id" not in frame
    mine.expect_nothing(0.1)
    other.expect_nothing(0.05)
    assert len(tom.page(jerry)) == 1


@pytest.mark.parametrize("member", ["recipient_id", "group_id"])
def test_typing_in_a_group_names_it(tom, jerry, connect, member):
    group = tom.group(jerry)
    yours = connect(jerry)
    connect(tom).send({"type": "typing", member: group["id"]})
    frame = yours.recv_json()
    assert (frame["type"], frame["sender_id"], frame["group_id"]) == ("typing", tom.id, group["id"])


def test_typing_where_one_is_no_member_is_refused(tom, jerry, spike, connect):
    group = tom.group(jerry)
    yours, outsider = connect(jerry), connect(spike)
    for member in ("group_id", "recipient_id"):
        outsider.send({"type": "typing", member: group["id"]})
        assert outsider.refused() == "forbidden"
    yours.expect_nothing(0.1)


def test_typing_the_first_message_to_somebody_is_no_error(tom, jerry, connect):
    mine, yours = connect(tom), connect(jerry)
    for _ in range(2):
        mine.send({"type": "typing", "recipient_id": jerry.id})
    mine.send({"type": "typing", "recipient_id": NOBODY})
    assert mine.refused() == "user_not_found"       # and nothing before it
    yours.expect_nothing(0.1)
    mine.exchange(jerry, "hello")
    assert yours.recv_json()["content"] == "hello"
    mine.send({"type": "typing", "recipient_id": jerry.id})
    assert yours.recv_json()["type"] == "typing"


# ---------------------------------------------------------------------- set_recipient and plain text

def set_recipient(sock, **who):
    sock.send({"action": "set_recipient", **who})
    frame = sock.recv_json()
    assert (frame["type"], frame["sender_id"]) == ("system", 0), frame


def test_plain_text_goes_to_the_recipient_that_was_set(tom, jerry, connect):
    mine, yours = connect(tom), connect(jerry)
    set_recipient(mine, user_id=jerry.id)
    for text in ("Hey Jerry!", "5", '"quoted"', "[1]", "null", " {", "😀", "two\nlines"):
        mine.send(text)
        assert mine.recv_json()["content"] == yours.recv_json()["content"] == text
    assert (jerry.page(tom)[0]["sender_id"], jerry.page(tom)[0]["type"]) == (tom.id, "text")


def test_plain_text_goes_to_the_group_that_was_set(tom, jerry, connect):
    group = tom.group(jerry)
    mine, yours = connect(tom), connect(jerry)
    set_recipient(mine, group_id=group["id"])
    mine.send("all of you")
    assert yours.recv_json()["group_id"] == mine.recv_json()["group_id"] == group["id"]


def test_recipient_may_be_changed_and_json_frames_go_on_working(tom, jerry, spike, connect):
    mine, one, two = connect(tom), connect(jerry), connect(spike)
    set_recipient(mine, user_id=jerry.id)
    mine.send("to jerry")
    assert mine.recv_json()["content"] == "to jerry"
    set_recipient(mine, user_id=spike.id)
    mine.send("to spike")
    mine.say(jerry, "named")
    mine.send({"content": "not named", "type": "text"})
    assert contents(one.collect(2)) == ["to jerry", "named"]
    assert contents(two.collect(2)) == ["to spike", "not named"]


def test_plain_text_without_a_recipient_is_an_error(tom, connect):
    sock = connect(tom)
    for text in ("hello?", "[]", " 5", '"quoted"'):
        sock.send(text)
        frame = sock.recv_json()
        assert (frame["type"], frame["code"]) == ("error", "bad_json") and "no recipient is set" in frame["error"]
    for text in ("", " ", "{", " {"):
        sock.send(text)
        assert sock.refused() == "bad_json"


def test_json_may_begin_with_blanks(tom, jerry, connect):
    sock = connect(tom)
    sock.send(' \n{"recipient_id": %d, "content": "x"}' % jerry.id)
    assert sock.recv_json()["content"] == "x"


def test_text_to_a_recipient_who_is_not_there_is_refused(tom, jerry, spike, connect):
    sock, group = connect(tom), spike.group(jerry)
    for who, code in (({"user_id": NOBODY}, "user_not_found"), ({"group_id": NOBODY}, "conversation_not_found"),
                      ({"group_id": group["id"]}, "forbidden")):
        set_recipient(sock, **who)
        sock.send("hello?")
        assert sock.refused() == code


def test_plain_text_keeps_the_bounds(tom, jerry, connect):
    sock = connect(tom)
    set_recipient(sock, user_id=jerry.id)
    for text in ("y" * 16385, "a\0b"):
        sock.send(text)
        assert sock.refused() == "invalid_field"
    assert tom.page(jerry) == []


def test_recipient_is_of_one_socket(tom, jerry, connect):
    one, two = connect(tom), connect(tom)
    set_recipient(one, user_id=jerry.id)
    two.send("hello?")
    assert two.refused() == "bad_json"


# ---------------------------------------------------------------------- bad frames

def bad_frames(tom, jerry, group):
    good = {"recipient_id": jerry.id, "content": "x"}
    return {
        "half": '{"recipient_id":', "empty object": {}, "no recipient": {"content": "x"}, "no content": {"recipient_id": jerry.id},
        "content is a number": {**good, "content": 5}, "no bytes": {**good, "content": ""}, "too long": {**good, "content": "y" * 16385},
        "oneself": {**good, "recipient_id": tom.id}, "nobody": {**good, "recipient_id": NOBODY},
        "recipient is text": {**good, "recipient_id": "jerry"}, "recipient is zero": {**good, "recipient_id": 0},
        "group is text": {"group_id": "climbing", "content": "x"}, "group is a person": {"group_id": jerry.id, "content": "x"},
        "nobody's group": {"group_id": NOBODY, "content": "x"}, "another's group": {"group_id": group["id"], "content": "x"},
        "another's group by recipient_id": {**good, "recipient_id": group["id"]},
        "media is no URL": {**good, "media_url": "cheese.jpg"}, "media is a number": {**good, "media_url": 5},
        "type is a number": {**good, "type": 5}, "type is long": {**good, "type": "x" * 21},
        "unknown action": {"action": "dance"}, "action is a number": {"action": 5}, "set nobody": {"action": "set_recipient"},
        "set text": {"action": "set_recipient", "user_id": "jerry"}, "typing to none": {"type": "typing"},
        "key is a number": {**good, "client_msg_id": 5},
    }


def test_every_bad_frame_gets_an_error_and_the_connection_stays(tom, jerry, spike, connect):
    yours, sock = connect(jerry), connect(tom)
    for name, frame in bad_frames(tom, jerry, spike.group()).items():
        sock.send(frame)
        assert sock.refused(), name
    sock.say(jerry, "the only good one")
    assert yours.recv_json()["content"] == sock.recv_json()["content"] == "the only good one"


def test_logged_out_token_closes_its_sockets(tom, connect):
    sock = connect(tom)
    assert tom.call("POST", "/api/v1/auth/logout").status_code == 200
    sock.expect_close(4001)
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        connect(tom)
    assert refused.value.status_code == 401
