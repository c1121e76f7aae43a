"""Every frame a client may send, by the daemon's own list, and a socket that speaks any dialect.

The good frame of each operation is the one docs/realtime.md shows: an operation without one fails the
tests that try them all.
"""

import os
import socket
import struct
import subprocess

from websocket import WebSocketProtocolException

from .realtime import PATHS, sections
from .sockets import Closed, Socket
from .stack import binary
from .wait import PATIENCE

#: The members of an error frame.
ERROR = {"dm": {"error"}, "conv": {"type", "error", "data"}, "p2p": {"type", "sender_id", "content", "error", "code"},
         "rooms": {"type", "error", "code"}, "groups": {"type", "message", "code"}}

TEXT, BINARY, CONT, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def operations():
    """[(dialect, type)] as `ws-daemon --ops` prints them; `-` is any other frame."""
    out = subprocess.run([binary("ws-daemon"), "--ops"], capture_output=True, text=True, check=True).stdout
    return [tuple(line.split()) for line in out.splitlines()]


def operation_of(dialect, frame, known):
    """The operation a good frame asks for."""
    asked = [(dialect, frame.get(member)) for member in ("action", "type")]
    return next((a for a in asked if a in known), (dialect, "-"))


def samples():
    """{(dialect, type): [frame]}, of every operation; Alice's, where the reference has one of hers."""
    known = operations()
    found = {op: [] for op in known}
    for dialect, title, steps in sections():
        if title in ("Errors", "Authentication refused"):
            continue
        for frame in [content for kind, _, content in steps if kind == "client" and isinstance(content, dict)]:
            found[operation_of(dialect, frame, known)].append(frame)
    return found


def is_error(dialect, frame):
    return set(frame) == ERROR[dialect]


def frame_bytes(payload=b"", opcode=TEXT, fin=1, rsv=0, masked=True, length=None):
    """A WebSocket frame; length: what it claims to be long, whatever it is."""
    length = len(payload) if length is None else length
    bit = 0x80 if masked else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if length < 126:
        head += bytes([bit | length])
    elif length < 1 << 16:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    pad = key * (len(payload) // 4 + 1)
    return head + key + (int.from_bytes(payload, "big") ^ int.from_bytes(pad[:len(payload)], "big")).to_bytes(len(payload), "big")


class Speaker(Socket):
    """A socket of any dialect. What others cause (presence, the welcome) is passed over."""

    def __init__(self, stack, dialect, token, wait=True, **options):
        self.dialect = dialect
        super().__init__(stack, token, path=PATHS[dialect], header=[f"Sec-WebSocket-Protocol: chat.{dialect}"], **options)
        if wait:
            self.ping()                 # it is admitted, and told who is there, by now

    def ping(self, timeout=PATIENCE):
        """A pong comes; what comes before it is passed over."""
        self.raw(frame_bytes(b"there?", PING))
        self.ws.settimeout(timeout)
        while self.ws.recv_data_frame(control_frame=True)[0] != PONG:
            pass

    def raw(self, data):
        """Bytes past the WebSocket client. A server that has hung up meanwhile is for the reader to notice."""
        try:
            self.ws.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def recv_text(self, timeout=PATIENCE):
        try:
            return super().recv_text(timeout)
        except WebSocketProtocolException as fault:     # a close of one byte comes back as it is
            raise Closed(None, str(fault)) from None

    def answer(self, timeout=PATIENCE):
        """The next frame that is not about others."""
        while True:
            frame = self.recv_json(timeout)
            if frame.get("type") not in ("presence", "system", "typing", "delivery_ack") or "Recipient" in str(frame):
                return frame

    def refused(self, payload, why):
        """Send a text frame that has to be answered with an error; its code, None in dm."""
        self.raw(frame_bytes(payload))
        try:
            frame = self.answer()
        except Exception as end:
            raise AssertionError(f"{self.dialect}, {why}: {end!r} {payload[:200]}") from end
        assert is_error(self.dialect, frame), f"{self.dialect}, {why}: {frame} {payload[:200]}"
        sentence = frame.get("error") or frame.get("message")
        assert isinstance(sentence, str) and sentence, frame
        return (frame.get("data") or frame).get("code")


def handshake(path="/ws/chat", **headers):
    """The bytes of an upgrade; a header that is None is left out."""
    known = {"Host": "parley", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
             "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    known.update({name.replace("_", "-"): value for name, value in headers.items()})
    lines = [f"GET {path} HTTP/1.1"] + [f"{k}: {v}" for k, v in known.items() if v is not None]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def stream(address, timeout=PATIENCE):
    """A plain connection: to a port, or to a unix socket."""
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    sock.settimeout(timeout)
    sock.connect(address)
    return sock
