"""Events without a socket: GET /api/v1/events by polling, waiting and streaming, on behalf of an account."""

import http.client
import json
import socket as stdsocket
import threading
from urllib.parse import urlencode

from .wait import PATIENCE

PATH = "/api/v1/events"


def ask(user, accept=None, **query):
    """One request, as the response."""
    headers = {"Accept": accept} if accept else {}
    return user.call("GET", PATH, params=query, headers=headers, timeout=80)


def page(user, **query):
    """A page that has to be there: {events, cursor, has_more}."""
    resp = ask(user, **query)
    assert resp.status_code == 200, f"{resp.status_code} {resp.text}"
    return resp.json()


def now(user):
    """A cursor at the present."""
    return page(user)["cursor"]


def since(user, cursor, **query):
    """All events after a cursor, page by page, and the cursor behind them."""
    found, more = [], True
    while more:
        one = page(user, after=cursor, **query)
        found += one["events"]
        cursor, more = one["cursor"], one["has_more"]
    return found, cursor


def told(events):
    """What events say, in short: the text of messages, the types of others."""
    return [e["data"]["body"] if e["type"] == "message" else e["type"] for e in events]


class Waiting(threading.Thread):
    """A long poll under way; answer() is its response."""

    def __init__(self, user, **query):
        super().__init__(daemon=True)
        self.user, self.query = type(user)(user.stack, user.token), query
        self.resp = self.error = None
        self.start()

    def run(self):
        try:
            self.resp = ask(self.user, **self.query)
        except Exception as e:          # shown by answer()
            self.error = e

    def answer(self, timeout=PATIENCE):
        self.join(timeout)
        assert not self.is_alive(), f"still waiting after {timeout} s"
        if self.error:
            raise self.error
        return self.resp


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("parley", timeout=timeout)
        self.unix = path

    def connect(self):
        self.sock = stdsocket.socket(stdsocket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix)


class Stream:
    """An event stream; daemon=n goes to the n-th daemon's unix socket instead of through nginx."""

    def __init__(self, user, last=None, daemon=None, timeout=PATIENCE, accept="text/event-stream", token=..., **query):
        stack = user.stack
        self.http = (http.client.HTTPConnection("127.0.0.1", stack.port, timeout=timeout) if daemon is None
                     else _UnixConnection(stack.daemon_socket(daemon), timeout))
        headers = {"Accept": accept}
        token = user.token if token is ... else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if last is not None:
            headers["Last-Event-ID"] = last
        self.http.request("GET", PATH + ("?" + urlencode(query) if query else ""), headers=headers)
        self.resp = self.http.getresponse()
        self.status, self.headers = self.resp.status, self.resp.headers
        self.last, self.retry, self.comments = last, None, 0

    def record(self):
        """The fields of the next block; None at the end of the stream. Ids, comments and the retry time are noted."""
        fields = {}
        while True:
            line = self.resp.readline().decode()
            if not line:
                return None
            line = line.rstrip("\n")
            if not line:
                self.last, self.retry = fields.get("id", self.last), fields.get("retry", self.retry)
                self.comments += "comment" in fields
                return fields
            name, _, value = line.partition(":")
            fields[name or "comment"] = value.removeprefix(" ")

    def next(self):
        """The next event; None at the end."""
        while (fields := self.record()) is not None:
            if "data" in fields:
                return {**json.loads(fields["data"]), **({"event": fields["event"]} if "event" in fields else {})}
        return None

    def opened(self):
        """Reads up to the first id: what happens from now on is told."""
        assert self.status == 200, self.resp.read()
        while self.last is None:
            assert self.record() is not None
        return self

    def collect(self, count):
        return [self.next() for _ in range(count)]

    def close(self):
        self.resp.close()               # it holds the connection too
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
