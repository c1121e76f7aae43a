"""Messages that flow while a test breaks things.

Senders retry with their idempotency key until the server says yes; receivers reconnect with
`since`. What the server acknowledged is then compared with what is stored and what arrived.
"""

import threading
import time
from collections import defaultdict

import requests
import websocket

from .api import account
from .check import assert_problem
from .sockets import Closed, DmSocket
from .wait import eventually

RETRY = 0.05                            # a client's pause before it tries again
PACE = 0.01                             # between two messages: flow, not flood


class _Worker(threading.Thread):
    """A thread that keeps what went wrong for the test to find."""

    def __init__(self, stop):
        super().__init__(daemon=True)
        self.stopping = stop
        self.failures = []

    def run(self):
        try:
            self.work()
        except Exception as e:          # noqa: BLE001: reported by the test's own thread
            self.failures.append(repr(e))


class Sender(_Worker):
    """One person writing to another; finishes the message in hand before it stops."""

    def __init__(self, stop, name, sender, recipient):
        super().__init__(stop)
        self.label, self.sender, self.recipient = name, sender, recipient
        self.acknowledged = {}          # content → id
        self.retries = 0

    def work(self):
        n = 0
        while not self.stopping.is_set():
            content = f"{self.label}-{n}"
            self.acknowledged[content] = self._until_acknowledged(content)
            n += 1
            time.sleep(PACE)

    def _until_acknowledged(self, content):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            message_id = self.attempt(content)
            if message_id:
                return message_id
            self.retries += 1
            time.sleep(RETRY)
        raise AssertionError(f"{content} was not acknowledged within 30 s")


class RestSender(Sender):
    """Every refusal it meets has to be a temporary one, in the contract's shape."""

    def attempt(self, content):
        try:
            resp = self.sender.send(self.recipient, content, key=content)
        except requests.RequestException:
            return None
        if resp.status_code == 201:
            return resp.json()["id"]
        assert resp.status_code in (502, 503, 504), f"{resp.status_code} {resp.text[:300]}"
        assert_problem(resp, resp.status_code)
        return None


class SocketSender(Sender):
    """Sends over `/ws/chat` and takes the echo for the acknowledgement."""

    def __init__(self, *args, daemon=None):
        super().__init__(*args)
        self.daemon_number = daemon
        self.sock = None

    def attempt(self, content):
        try:
            if self.sock is None:
                self.sock = DmSocket(self.sender.stack, self.sender.token, daemon=self.daemon_number)
            self.sock.say(self.recipient, content, client_msg_id=content)
            return self._echo_of(content)
        except (Closed, TimeoutError, OSError, websocket.WebSocketException):
            self.sock = None
            return None

    def _echo_of(self, content):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            frame = self.sock.recv_json(timeout=5)
            if "error" in frame:
                return None
            if frame["content"] == content and frame["sender_id"] == self.sender.id:
                return frame["id"]
        return None


class Receiver(_Worker):
    """One device of a person: reads, and after a disconnect goes on after the last message it saw."""

    def __init__(self, stop, user, since, daemon=None):
        super().__init__(stop)
        self.user, self.last, self.daemon_number = user, since, daemon
        self.order = []                 # ids in order of first appearance
        self.seen = set()
        self.connections = 0
        self.connected = threading.Event()

    def work(self):
        while not self.stopping.is_set():
            try:
                self._read()
            except (Closed, OSError, websocket.WebSocketException) as end:
                self.connected.clear()
                assert getattr(end, "code", None) != 4001, "a good token was refused"
                time.sleep(RETRY)

    def _read(self):
        with DmSocket(self.user.stack, self.user.token, since=self.last, daemon=self.daemon_number) as sock:
            self.connections += 1
            self.connected.set()
            here = set()
            while not self.stopping.is_set():
                try:
                    frame = sock.recv_json(timeout=0.2)
                except TimeoutError:
                    continue
                assert "error" not in frame, frame
                assert frame["id"] not in here, f"{frame['content']} twice on one connection"
                here.add(frame["id"])
                self._take(frame["id"])

    def _take(self, message_id):
        self.last = message_id
        if message_id not in self.seen:
            self.seen.add(message_id)
            self.order.append(message_id)


class Traffic:
    """Three people, their senders and devices; use as a context around the fault."""

    def __init__(self, stack, daemons=2):
        self.stack = stack
        self.alice, self.bob, self.carol = (account(stack) for _ in range(3))
        self.alice.make_message(self.carol, "mark")
        self.carol.make_message(self.bob, "mark")
        mark = self.bob.make_message(self.alice, "mark")["id"]
        self.senders_stop, self.receivers_stop = threading.Event(), threading.Event()
        self.senders = [
            RestSender(self.senders_stop, "ab", self.alice, self.bob),
            RestSender(self.senders_stop, "cb", self.carol, self.bob),
            RestSender(self.senders_stop, "ba", self.bob.another_device(), self.alice),
            SocketSender(self.senders_stop, "sab", self.alice, self.bob, daemon=1),
            SocketSender(self.senders_stop, "sba", self.bob, self.alice, daemon=daemons),
            SocketSender(self.senders_stop, "sac", self.alice, self.carol),
        ]
        routes = [None, *range(1, daemons + 1)]
        self.receivers = [Receiver(self.receivers_stop, user, mark, route)
                          for user in (self.alice, self.bob) for route in routes]

    def __enter__(self):
        for worker in (*self.receivers, *self.senders):
            worker.start()
        self.flow(20)
        eventually(lambda: all(r.connected.is_set() for r in self.receivers), what="receivers connected")
        return self

    def __exit__(self, kind, *_):
        self.senders_stop.set()
        for sender in self.senders:
            sender.join(40)
        try:
            if kind is None:
                self._settle()
        finally:
            self.receivers_stop.set()
            for receiver in self.receivers:
                receiver.join(5)
        if kind is None:
            self.verify()

    def flow(self, count, timeout=30):
        """Wait until every sender had count more messages acknowledged; fail on any failure."""
        goal = {s: len(s.acknowledged) + count for s in self.senders}

        def reached():
            self._raise_failures()
            return all(len(s.acknowledged) >= goal[s] for s in self.senders)
        eventually(reached, timeout, f"{count} more messages from each sender")

    def _raise_failures(self):
        failures = [f for w in (*self.senders, *self.receivers) for f in w.failures]
        assert not failures, failures

    def _histories(self):
        """{(one, other): ids in order} of everything stored after the marks."""
        found = defaultdict(list)
        for pair in ((self.alice, self.bob), (self.alice, self.carol), (self.bob, self.carol)):
            messages = pair[0].whole_history(pair[1])
            found[pair] = [m["id"] for m in messages if m["content"] != "mark"]
        return found

    def _expected(self, user):
        return {pair: ids for pair, ids in self._histories().items() if user in pair}

    def _settle(self):
        """Wait until every device has everything acknowledged to it."""
        for receiver in self.receivers:
            everything = {i for ids in self._expected(receiver.user).values() for i in ids}

            def complete():
                self._raise_failures()
                return everything <= receiver.seen
            eventually(complete, what=f"a device of {receiver.user.name} has all {len(everything)} messages")

    def verify(self):
        """Nothing lost, nothing doubled, one order for everybody."""
        self._raise_failures()
        histories = self._histories()
        stored = [i for ids in histories.values() for i in ids]
        acknowledged = [i for s in self.senders for i in s.acknowledged.values()]
        assert len(set(acknowledged)) == len(acknowledged), "two sends were given one message"
        assert sorted(stored) == sorted(acknowledged), \
            f"stored {len(stored)}, acknowledged {len(acknowledged)}"
        for receiver in self.receivers:
            for pair, ids in histories.items():
                mine = [i for i in receiver.order if i in set(ids)]
                assert mine == (ids if receiver.user in pair else []), "another order than the history's"
        self._verify_sequences()

    def _verify_sequences(self):
        gaps = self.stack.query(
            "SELECT conversation_id FROM messages GROUP BY 1 "
            "HAVING count(*) <> max(seq) OR min(seq) <> 1 OR count(DISTINCT seq) <> count(*)")
        assert gaps == [], f"gaps in the sequence of conversations {gaps}"
