"""Hostile sockets: whatever comes as whichever frame, it is answered in the dialect's error shape or ends
that one connection with a documented code; nothing is kept, nothing grows, the neighbours do not notice.

The frames come from the daemon's own list of operations; what is tried on each is in parley/hostile.py.
"""

import json
import random
import threading
import time
from contextlib import ExitStack
from statistics import median

import pytest

from parley import frames, hostile
from parley.api import fresh_name
from parley.check import assert_problem
from parley.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Speaker, frame_bytes, handshake
from parley.growth import Growth, use_every_worker
from parley.reference import World, reference
from parley.realtime import PATHS
from parley.sockets import Closed, dm_socket
from parley.wait import eventually, lasting, seconds
from parley.wire import Wire

#: A bucket of frames that only a flood empties.
STACK = {"settings": {"SOCKET_RATE": 500, "SOCKET_BURST": 2000}}

#: What a frame need not have.
OPTIONAL = {"client_msg_id", "media_url", "type"}
SAMPLES = frames.samples()
DIALECTS = list(PATHS)
each_frame = pytest.mark.parametrize("op,shown", [(op, frame) for op, shown in SAMPLES.items() for frame in shown],
                                     ids=lambda x: "-".join(x) if isinstance(x, tuple) else "")
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module")
def world(stack):
    return World(stack)


@pytest.fixture
def sockets():
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def speak(stack, world, sockets):
    """A function that opens a socket of a dialect; it closes with the test."""
    return lambda dialect, who="alice", **options: sockets.enter_context(
        Speaker(stack, dialect, world.people[who].token, **options))


@pytest.fixture(scope="module", autouse=True)
def growth(stack, world):
    """The daemon, once it has had its fill of every dialect."""
    for dialect in DIALECTS * 2:
        with Speaker(stack, dialect, world.people["alice"].token) as sock:
            assert_usable(sock, world)
            sock.raw(frame_bytes(b"x" * 200000))
            sock.expect_close(1009)
    use_every_worker(stack, world.people["alice"])
    return Growth(stack)


def good(world, dialect):
    """A message for everybody of the dialect's conversation."""
    frame = SAMPLES.get((dialect, "message"), SAMPLES.get((dialect, "-"), SAMPLES.get((dialect, "send_message"))))[0]
    return world.real({k: v for k, v in frame.items() if k != "client_msg_id"})


def assert_usable(sock, world):
    """The socket still sends; rooms, which would have to subscribe to see it, is asked for a pong."""
    if sock.dialect == "rooms":
        sock.send({"type": "ping"})
    else:
        sock.send(good(world, sock.dialect))
    frame = sock.answer()
    assert not frames.is_error(sock.dialect, frame), frame


# ---------------------------------------------------------------------- text frames

def test_every_operation_is_shown_in_the_reference():
    assert [op for op, shown in SAMPLES.items() if not shown] == []


@each_frame
def test_a_frame_that_is_no_json_object_is_an_error(speak, world, kept, op, shown):
    sock = speak(op[0])
    with kept.unchanged():
        for why, body in hostile.broken_objects(world.real(shown)):
            if is_utf8(body):
                code = sock.refused(body, why)
                assert code in ((None,) if op[0] == "dm" else ("bad_json", "invalid_body")), f"{why}: {code}"
    assert_usable(sock, world)


def is_utf8(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


@each_frame
def test_members_of_a_wrong_type_are_errors(speak, world, kept, op, shown):
    sock, frame = speak(op[0]), world.real(shown)
    with kept.unchanged():
        for name, value in frame.items():
            for why, raw in {**hostile.NO_TEXT, **hostile.NUL}.items():
                sock.refused(hostile.with_raw(frame, name, raw), f"{name} is {why}")
            code = sock.refused(hostile.with_raw(frame, name, json.dumps(hostile.MARK * 5000).encode()), f"a very long {name}")
            if code == "unauthorized":  # a token that is none
                sock.expect_close(4001)
                sock = speak(op[0])
            if value is None or name in OPTIONAL or (name == "content" and "media_url" in frame):
                continue
            sock.refused(hostile.with_raw(frame, name, b"null"), f"{name} is null")
            sock.refused(json.dumps({k: v for k, v in frame.items() if k != name}).encode(), f"no {name}")
    assert_usable(sock, world)


@each_frame
def test_more_members_than_there_are_do_nothing(speak, world, kept, op, shown):
    """What looks like a privilege is not taken, and of a member given twice the last one counts."""
    sock = speak(op[0])
    frame = {k: v for k, v in world.real(shown).items() if k != "client_msg_id"}
    said = {name: fresh_name("said") for name in ("content", "body") if name in frame}
    frame.update(said)
    body = hostile.with_more(frame)
    for name in frame:
        body = hostile.with_first(body, name, b"[]")
    sock.raw(frame_bytes(body))
    assert_usable(sock, world)
    eventually(lambda: all(text in kept.text() for text in said.values()), what="it is stored")
    kept.settle()                       # receipts are written a little later
    assert hostile.MARK not in kept.text()


@each_dialect
def test_unknown_operations_are_errors(speak, world, kept, dialect):
    sock = speak(dialect)
    with kept.unchanged():
        for member in ("type", "action", "nonsense"):
            for value in ("", "nonsense", "MESSAGE", "message ", "__proto__", hostile.MARK * 1000, "\U0001f4a9", "%s%n"):
                sock.refused(json.dumps({member: value}).encode(), f"{member} {value[:20]}")
    assert_usable(sock, world)


@each_frame
@pytest.mark.parametrize("why", [why for why, body in hostile.broken_objects({"a": "b"}) if not is_utf8(body)])
def test_a_text_frame_that_is_no_utf8_closes_1007(speak, world, op, shown, why):
    body = dict(hostile.broken_objects(world.real(shown)))[why]
    sock = speak(op[0])
    sock.raw(frame_bytes(body))
    sock.expect_close(1007)


@each_dialect
def test_broken_utf8_in_fragments_closes_1007(speak, dialect):
    for pieces in ([b'{"a":"\xe2\x82', b'"}'], [b'"\xf0\x9f', b'\x92'], [b"\xff", b"x"]):
        sock = speak(dialect)
        for n, piece in enumerate(pieces):
            sock.raw(frame_bytes(piece, CONT if n else TEXT, fin=int(n == len(pieces) - 1)))
        sock.expect_close(1007)


@each_dialect
def test_a_character_split_between_fragments_is_whole(speak, world, dialect):
    sock = speak(dialect)
    frame = json.dumps({**good(world, dialect), "content": "\u20ac", "body": "\u20ac"}, ensure_ascii=False).encode()
    for n, byte in enumerate(frame):
        sock.raw(frame_bytes(bytes([byte]), CONT if n else TEXT, fin=int(n == len(frame) - 1)))
        sock.raw(frame_bytes(b"between", PONG) if n % 9 == 0 else b"")
    assert "\u20ac" in json.dumps(sock.answer(), ensure_ascii=False)
    assert_usable(sock, world)


# ---------------------------------------------------------------------- sizes and kinds

@each_dialect
def test_oversized_frames_close_1009(speak, kept, dialect):
    for pieces in ([b"x" * hostile.MIB], [b'{"a":"' + b"x" * 4000] + [b"x" * 4000] * 40):
        sock = speak(dialect)
        with kept.unchanged():
            for n, piece in enumerate(pieces):
                sock.raw(frame_bytes(piece, CONT if n else TEXT, fin=int(n == len(pieces) - 1)))
            sock.expect_close(1009)


@each_dialect
def test_binary_frames_are_errors(speak, world, kept, dialect):
    sock = speak(dialect)
    with kept.unchanged():
        for body in (b"", b"\x00\xff" * 1000, json.dumps(good(world, dialect)).encode()):
            sock.raw(frame_bytes(body, BINARY))
            assert frames.is_error(dialect, sock.answer())
        sock.raw(frame_bytes(b"{", BINARY, fin=0) + frame_bytes(b"}", CONT))
        assert frames.is_error(dialect, sock.answer())
    assert_usable(sock, world)


#: Bytes no WebSocket client sends (RFC 6455, 5), and the close code; None: libwebsockets just hangs up.
#: (A frame without a mask it takes as any other. Masks protect proxies from pages, and not the server.)
VIOLATIONS = {
    "a reserved opcode": (frame_bytes(b"{}", 3), 1002),
    "a reserved control opcode": (frame_bytes(b"", 11), 1002),
    "reserved bits": (frame_bytes(b"{}", rsv=7), 1002),
    "a continuation of nothing": (frame_bytes(b"{}", CONT), 1002),
    "a text within a text": (frame_bytes(b"{", fin=0) + frame_bytes(b"}"), 1002),
    "a ping in fragments": (frame_bytes(b"a", PING, fin=0), 1002),
    "a long ping": (frame_bytes(b"a" * 126, PING), None),
    "a length beyond all": (frame_bytes(b"{}", length=1 << 63), None),
    "a very great length": (frame_bytes(b"x" * 200000, length=1 << 62), 1009),
    "a close of one byte": (frame_bytes(b"\x03", CLOSE), None),
    "a close with 1005": (frame_bytes(b"\x03\xed", CLOSE), 1002),
    "a close with 0": (frame_bytes(b"\x00\x00", CLOSE), 1002),
    "a close whose reason is no UTF-8": (frame_bytes(b"\x03\xe8\xff\xff", CLOSE), None),
    "a close of 126 bytes": (frame_bytes(b"\x03\xe8" + b"a" * 124, CLOSE), None),
    "a second handshake": (handshake(), 1002),
    "noise": (random.Random(4).randbytes(5000), (1002, 1007, None)),
}


@pytest.mark.parametrize("why", VIOLATIONS)
@pytest.mark.parametrize("daemon", [None, 1], ids=["nginx", "direct"])
def test_what_is_no_websocket_ends_the_connection(speak, kept, daemon, why):
    data, code = VIOLATIONS[why]
    sock = speak("conv", daemon=daemon)
    with kept.unchanged():
        sock.raw(data)
        sock.expect_close(*(code if isinstance(code, tuple) else (code,)))


# ---------------------------------------------------------------------- before the handshake

#: Handshakes that are refused: status, and what it is that comes.
REFUSED = {
    "an unknown path": (404, handshake("/ws/nope")),
    "a path with a dot": (404, handshake("/ws/./chat/")),
    "no token": (401, handshake("/api/v1/ws")),
    "a token of many": (401, handshake("/api/v1/ws?token=a&token=b&token=" + "c" * 3000)),
    "an escape that is none": (400, handshake("/ws?token=%zz")),
    "half an escape": (400, handshake("/ws?token=%f")),
    "NUL in a token": (400, handshake("/ws?token=a%00b")),
    "no UTF-8 in a token": (401, handshake("/ws?token=%ff%fe")),
    "a bearer of nothing": (401, handshake("/ws", Authorization="Bearer ")),
    "a very long bearer": (401, handshake("/ws", Authorization="Bearer " + "x" * 7900)),
    "a page's origin": (403, handshake("/ws/chat", Origin="https://evil.example")),
    "an endless origin": (403, handshake("/ws/chat", Origin="https://" + "e" * 3000)),
    "HTTP/2, a tunnel past nginx": (400, handshake("/ws", Connection="Upgrade, HTTP2-Settings", Upgrade="h2c",
                                                   HTTP2_Settings="AAMAAABkAAQCAAAAAAIAAAAA")),
    "an upgrade to something else": (400, handshake("/ws/chat", Upgrade="foo")),
    "an old version": (400, handshake("/ws/chat", Sec_WebSocket_Version="8")),
    "no version": (400, handshake("/ws/chat", Sec_WebSocket_Version=None)),
    "no key": (400, handshake("/ws/chat", Sec_WebSocket_Key=None)),
    "a short key": (400, handshake("/ws/chat", Sec_WebSocket_Key="x")),
    "an endless key": (400, handshake("/ws/chat", Sec_WebSocket_Key="k" * 5000)),
    "endless parameters": (400, handshake("/ws/chat?" + "&".join(f"p{n}=1" for n in range(900)))),
}


@pytest.mark.parametrize("why", REFUSED)
def test_bad_handshakes_are_refused_in_json(stack, why):
    status, data = REFUSED[why]
    with Wire(stack) as wire:
        assert_problem(wire.raw(data), status)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "FOO"])
@each_dialect
def test_a_socket_path_is_for_sockets(stack, dialect, method):
    """Without an upgrade, or with a body, there is nothing here; never a fault of the server."""
    with Wire(stack) as wire:
        for body in (None, b"x" * 5000):
            answer = wire.ask(method, PATHS[dialect], {}, body)
            assert 400 <= answer.status_code < 500, answer.text
            if method != "HEAD":
                assert_problem(answer, answer.status_code)


@pytest.mark.parametrize("name", ["Sec-WebSocket-Extensions", "User-Agent", "X-Long"])
def test_a_long_header_of_no_interest_does_no_harm(stack, name):
    with Wire(stack) as wire:
        assert_problem(wire.raw(handshake("/ws", **{name: "a=b, " * 1500})), 401)


GARBAGE = {
    "noise": random.Random(7).randbytes(20000),
    "a frame without a handshake": frame_bytes(b'{"type":"ping"}') * 50,
    "line breaks": b"\r\n" * 5000,
    "a line without an end": b"GET /" + b"a" * 60000,
    "headers without an end": b"GET /ws/chat HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
    "a header without an end": b"GET /ws/chat HTTP/1.1\r\nX: " + b"y" * 60000,
    "NULs": b"\0" * 10000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 500,
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "half a handshake": handshake()[:-10],
    "an old version": handshake("/ws/chat", Sec_WebSocket_Version="7"),
    "no version": handshake("/ws/chat", Sec_WebSocket_Version=None),
    "no key": handshake("/ws/chat", Sec_WebSocket_Key=None),
    "an endless key": handshake("/ws/chat", Sec_WebSocket_Key="k" * 5000),
    "another upgrade": handshake("/ws/chat", Upgrade="h2c"),
    "endless subprotocols": handshake("/ws/chat", Sec_WebSocket_Protocol="a," * 3000),
    "endless extensions": handshake("/ws/chat", Sec_WebSocket_Extensions="permessage-deflate; a=b, " * 300),
}


@pytest.mark.parametrize("why", GARBAGE)
def test_garbage_before_the_handshake_harms_nobody(stack, speak, world, why):
    """Through nginx and straight to the daemon; a socket that was open before stays in use."""
    pid, sock = stack.pid("ws-daemon"), speak("conv")
    for address in (("127.0.0.1", stack.port), stack.daemon_socket(1)):
        for _ in range(5):
            with frames.stream(address) as peer:
                try:
                    peer.sendall(GARBAGE[why])
                except (BrokenPipeError, ConnectionResetError):
                    pass                # refused before its end
    assert_usable(sock, world)
    assert stack.pid("ws-daemon") == pid


@each_dialect
def test_a_bad_since_is_an_error_and_live_messages_follow(stack, world, sockets, dialect):
    for since in ("", "nonsense", "-1", "9" * 400, "0", "\u20ac", "' OR 1=1", "1.5", "null", "0193e000-0000-7000-bfff-ffffffffffff"):
        sock = sockets.enter_context(Speaker(stack, dialect, world.people["alice"].token, since=since, wait=False))
        assert frames.is_error(dialect, sock.answer()), since
        assert_usable(sock, world)


# ---------------------------------------------------------------------- outsiders

#: Frames that are not answered; and what changes nothing but one's own socket.
UNANSWERED = {("conv", "typing"), ("conv", "typing_stop")}
OWN = {("rooms", "unsubscribe")}
#: A stranger may write to a person.
PERSONS = {value for thing in reference()["x-example-world"].values() if "email" in thing for value in thing.values()}


def foreign(shown):
    """The members that name what an outsider has no part in."""
    return [name for name, value in shown.items()
            if name.endswith("_id") and name != "client_msg_id" and value and value not in PERSONS]


@pytest.mark.parametrize("op,shown", [(op, frame) for op, shown in SAMPLES.items() for frame in shown
                                      if foreign(frame) and op not in OWN], ids=lambda x: "-".join(x) if isinstance(x, tuple) else "")
def test_an_outsiders_frame_reaches_nobody(speak, world, kept, op, shown):
    """Erin sends, in every dialect, what Alice may: nobody in the conversation hears of it."""
    frame = {k: v for k, v in world.real(shown).items() if k != "client_msg_id"}
    inside, outside = speak("conv", "bob"), speak(op[0], "erin")
    with kept.unchanged():
        for sent in (frame, {**frame, **{name: strange(frame[name]) for name in foreign(shown)}}):
            outside.send(sent)
            if op not in UNANSWERED:
                assert frames.is_error(op[0], outside.answer()), sent
        assert_hears_nothing(inside)


def strange(value):
    """An id of the same form that names nothing."""
    return 987654321 if isinstance(value, int) else "0193e000-0000-7000-bfff-ffffffffffff"


def assert_hears_nothing(sock, seconds=0.2):
    """Nothing but who is online."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            frame = sock.recv_json(left)
        except TimeoutError:
            return
        assert frame["type"] == "presence", frame


# ---------------------------------------------------------------------- floods

def neighbours(world, over, echoes, sends):
    """Notes how long Bob and Dave wait meanwhile: for an echo on a socket, for an answer over REST."""
    bob, dave, heard = world.people["bob"], world.people["dave"], []
    with dm_socket(bob) as sock:
        while not over():
            sock.say(dave, "calm")
            echoes.append(seconds(lambda: heard.append(sock.recv_json()["content"])))
            sends.append(seconds(lambda: bob.make_message(dave, "calm too")))
            heard.append(sock.recv_json()["content"])
    assert heard == ["calm", "calm too"] * len(sends)


def assert_quick(*taken):
    """They were answered while it went on: who waits until a flood is over waits for a second and more."""
    for times in taken:
        assert median(times) < 0.5, times


#: What is poured, whole frames each time.
FLOODS = {
    "broken frames": frame_bytes(b"{") * 100,
    "costly frames": frame_bytes(b'{"a":[{}' + b",{}" * 4000 + b"]}") * 5,
    "empty frames": frame_bytes(b"") * 200,
    "binary frames": frame_bytes(b"\0" * 1000, BINARY) * 50,
    "pings": frame_bytes(b"p" * 125, PING) * 100,
    "pongs": frame_bytes(b"p" * 125, PONG) * 100,
    "empty fragments": frame_bytes(b"", fin=0) + frame_bytes(b"", CONT, fin=0) * 500,
}


@pytest.mark.parametrize("why", FLOODS)
def test_a_flood_does_not_hold_up_the_others(stack, speak, world, why):
    """Two sockets pour for a second, or until they are closed for it; one of them never reads."""
    pid, echoes, sends = stack.pid("ws-daemon"), [], []
    over = lasting(1, lambda: len(sends) >= 5)
    pourers = [threading.Thread(target=pour, args=(speak(dialect, "erin"), FLOODS[why], over)) for dialect in ("conv", "p2p")]
    for thread in pourers:
        thread.start()
    neighbours(world, over, echoes, sends)
    for thread in pourers:
        thread.join()
    assert_quick(echoes, sends)
    assert stack.pid("ws-daemon") == pid


def pour(sock, data, over):
    """Send data over and over, whole, until it is over or until the server hangs up."""
    sock.ws.settimeout(0.1)
    left = memoryview(data)
    while not over():
        try:
            left = left[sock.ws.sock.send(left):] or memoryview(data)
        except TimeoutError:
            pass                        # full, as nobody reads the answers
        except OSError:
            return


@each_dialect
def test_a_flood_ends_with_an_error_and_4009(speak, dialect):
    sock = speak(dialect, "erin")
    flood = threading.Thread(target=sock.raw, args=(frame_bytes(b"{") * 10000,))
    flood.start()
    answers = []
    with pytest.raises(Closed) as end:
        while True:
            answers.append(sock.recv_json())
    flood.join()
    assert end.value.code == 4009
    assert frames.is_error(dialect, answers[-1]) and "Rate limit" in json.dumps(answers[-1])
    assert len(answers) < 5000


# ---------------------------------------------------------------------- growth

def test_nothing_grew(stack, world, growth):
    """After all of the above, some 600 connections: 4 kB of each left behind would be 2.4 MB. Then by
    a steady coming and going: 1 kB of each would be 600 KiB."""
    growth.assert_none(kib=2048)

    def come_and_go(rounds):
        for n in range(rounds):
            with Speaker(stack, DIALECTS[n % 5], world.people["erin"].token) as sock:
                sock.raw(frame_bytes(b'{"a":[{}' + b",{}" * 1000 + b"]}") + frame_bytes(b"{" * 3000, fin=0))
                sock.answer()
    come_and_go(20)
    settled = Growth(stack)
    come_and_go(600)
    settled.assert_none(kib=600)
