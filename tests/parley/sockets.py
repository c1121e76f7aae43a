"""A WebSocket client over python3-websocket: one class per dialect.

recv_json waits for a frame and fails without one; expect_close asserts how a connection ended.
"""

import json
import socket as stdsocket
import struct
import time
from urllib.parse import quote

import websocket
from websocket import ABNF

from .wait import PATIENCE


class Closed(Exception):
    """The server closed; code is None when it just hung up."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed {code} {reason}")
        self.code = code
        self.reason = reason


class _WebSocket(websocket.WebSocket):
    """Answers a close frame, but does not mind a peer that has gone already."""

    def send_close(self, *args, **kwargs):
        try:
            super().send_close(*args, **kwargs)
        except (OSError, websocket.WebSocketException):
            pass


class Socket:
    """A connection. daemon=n goes to the n-th daemon's unix socket instead of through nginx; source is the
    address it comes from."""

    PATH = "/"

    def __init__(self, stack, token=None, since=None, daemon=None, header=(), timeout=PATIENCE,
                 token_in_url=True, origin=None, query="", path=None, source=None):
        self.header = list(header)
        params = [f"token={quote(token)}"] if token is not None and token_in_url else []
        params += [f"since={quote(str(since))}"] if since is not None else []
        params += [query] if query else []
        if token is not None and not token_in_url:
            self.header.append(f"Authorization: Bearer {token}")
        target = (path or self.PATH) + ("?" + "&".join(params) if params else "")
        options = {"origin": origin} if origin else {"suppress_origin": True}
        if daemon is not None:
            options["socket"] = self._unix(stack.daemon_socket(daemon), timeout)
        if source:
            options["socket"] = stdsocket.create_connection(("127.0.0.1", stack.port), timeout, (source, 0))
        self.ws = _WebSocket(enable_multithread=True)
        self.ws.settimeout(timeout)
        self.ws.connect(stack.ws_url + target, header=self.header, **options)
        self.headers = self.ws.handshake_response.headers

    @staticmethod
    def _unix(path, timeout):
        sock = stdsocket.socket(stdsocket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(path)
        return sock

    # ------------------------------------------------------------------ sending

    def send(self, frame):
        """A text frame: a string as it is, anything else as JSON."""
        self.ws.send(frame if isinstance(frame, str) else json.dumps(frame))

    def send_bytes(self, data, opcode=ABNF.OPCODE_TEXT):
        """One frame of exactly these bytes."""
        self.ws.send(data, opcode) if opcode != ABNF.OPCODE_TEXT else self._frame(data, opcode, 1)

    def _frame(self, data, opcode, fin):
        frame = ABNF(fin, 0, 0, 0, opcode, 1, data)
        self.ws.send_frame(frame)

    def send_fragments(self, text, size=5):
        """One text message in many frames."""
        data = text.encode()
        chunks = [data[i:i + size] for i in range(0, len(data), size)]
        for i, chunk in enumerate(chunks):
            opcode = ABNF.OPCODE_TEXT if i == 0 else ABNF.OPCODE_CONT
            self._frame(chunk, opcode, int(i == len(chunks) - 1))

    # ------------------------------------------------------------------ receiving

    def recv_text(self, timeout=PATIENCE):
        """The next frame's text; TimeoutError without one, Closed when the server closed."""
        deadline = time.monotonic() + timeout
        opcode = None
        while opcode in (None, ABNF.OPCODE_PING, ABNF.OPCODE_PONG):  # answered by the library, and no news
            self.ws.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                opcode, frame = self.ws.recv_data_frame(control_frame=True)
            except websocket.WebSocketTimeoutException:
                raise TimeoutError(f"no frame within {timeout} s") from None
            except (websocket.WebSocketConnectionClosedException, ConnectionError) as e:
                raise Closed(None, str(e)) from None
        if opcode == ABNF.OPCODE_CLOSE:
            code = struct.unpack("!H", frame.data[:2])[0] if len(frame.data) >= 2 else None
            raise Closed(code, frame.data[2:].decode(errors="replace"))
        assert opcode == ABNF.OPCODE_TEXT, f"opcode {opcode}"
        return frame.data.decode("utf-8")

    def recv_json(self, timeout=PATIENCE):
        return json.loads(self.recv_text(timeout))

    def collect(self, count, timeout=PATIENCE):
        """The next count frames."""
        return [self.recv_json(timeout) for _ in range(count)]

    def expect_nothing(self, seconds=0.4):
        try:
            frame = self.recv_text(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"an unexpected frame: {frame[:300]}")

    def expect_close(self, *codes, within=PATIENCE, unshown=None):
        """The server closes with one of codes; frames before that are let through, but those with unshown in them."""
        deadline = time.monotonic() + within
        while True:
            try:
                frame = self.recv_text(max(0.01, deadline - time.monotonic()))
                assert unshown is None or unshown not in frame, f"closed too late for {frame[:300]}"
            except Closed as end:
                assert end.code in codes, f"closed with {end.code} {end.reason!r}, not {codes}"
                return end
            except TimeoutError:
                raise AssertionError(f"still open after {within} s, expected close {codes}") from None

    def ping(self, timeout=PATIENCE):
        """A ping that has to be answered."""
        self.ws.settimeout(timeout)
        self.ws.ping(b"are you there")
        opcode, frame = self.ws.recv_data_frame(control_frame=True)
        assert (opcode, frame.data) == (ABNF.OPCODE_PONG, b"are you there")

    def close(self):
        self.ws.close(timeout=1)

    def abort(self):
        """Hang up without a close frame."""
        self.ws.shutdown()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.abort()


class DmSocket(Socket):
    """`/ws/chat`: bare message objects."""

    PATH = "/ws/chat"

    def say(self, recipient, content, **more):
        self.send({"recipient_id": getattr(recipient, "id", recipient), "content": content, **more})

    def exchange(self, recipient, content, **more):
        """Send and return the next frame, which is the echo unless others write meanwhile."""
        self.say(recipient, content, **more)
        return self.recv_json()


def dm_socket(user, **options):
    """A `/ws/chat` connection of an account."""
    return DmSocket(user.stack, user.token, **options)


def assert_closed_at_once(sockets, owner, speaker):
    """These sockets of owner's are being closed with 4001, as soon as any news is told: what speaker says now, and they
    would have heard, is not shown to them. That needs no clock, however busy the machine. Returns what was said."""
    said = speaker.make_message(owner, "said after the end")["content"]
    for sock in sockets:
        sock.expect_close(4001, unshown=said)
    return said
