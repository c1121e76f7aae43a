"""HTTP as bytes, for requests no decent client would make: nothing is checked, encoded or completed.

Answers look like those of requests, so that check.py's assertions take them.
"""

import http.client
import json
import socket

from .wait import PATIENCE


class Answer:
    """One response; what: the request in short, for a failure's message."""

    def __init__(self, response, body, what):
        self.status_code = response.status
        self.headers = response.headers         # case does not matter
        self.content = body
        self.what = what

    @property
    def text(self):
        return f"{self.what} → {self.content[:300].decode(errors='replace')}"

    def json(self):
        try:
            return json.loads(self.content)
        except ValueError:
            raise AssertionError(f"no JSON: {self.text}") from None


def request_bytes(method, target, headers=(), body=None):
    """A request; target and header values may be bytes. Content-Length is added where there is a body."""
    lines = [_bytes(method) + b" " + _bytes(target) + b" HTTP/1.1", b"Host: parley"]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in dict(headers).items()]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


class Wire:
    """A connection to nginx that is kept open, and opened again where the server closed it."""

    def __init__(self, stack, timeout=PATIENCE):
        self.port, self.timeout = stack.port, timeout
        self.sock = None

    def ask(self, method, target, headers=(), body=None):
        """Send one request and read its answer."""
        return self.raw(request_bytes(method, target, headers, body), method)

    def raw(self, data, method="GET"):
        """Send these bytes and read one answer."""
        try:
            self.send(data)
        except OSError as fault:
            self.close()
            raise AssertionError(f"nobody takes {data[:160]!r}: {fault!r}") from fault
        return self.answer(data, method)

    def answer(self, data, method="GET"):
        """Read one answer; to these bytes, as a failure's message has it."""
        what = repr(data[:160])
        try:
            response = http.client.HTTPResponse(self.sock, method=method)
            response.begin()
            answer = Answer(response, response.read(), what)
        except (OSError, http.client.HTTPException) as fault:
            self.close()
            raise AssertionError(f"no answer to {what}: {fault!r}") from fault
        if response.will_close:
            self.close()
        return answer

    def hangs_up(self, data):
        """Send these bytes and nothing more: whether the connection ends without an answer."""
        self.close()
        self.send(data)
        self.sock.shutdown(socket.SHUT_WR)
        answer = self.sock.recv(1000)
        self.close()
        return answer == b""

    def send(self, data):
        """Send these bytes; the answer waits to be read."""
        self.sock = self.sock or socket.create_connection(("127.0.0.1", self.port), self.timeout)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass                        # refused before the end of the body; the answer is there to read

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
