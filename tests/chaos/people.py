"""Who talks and listens while things break, as a good client would: a send is repeated with its key until it is
acknowledged, a socket that ends or falls silent is opened again and goes on after the last message it had.

Every one is a thread. What a client should never have been answered goes to `refusals`, and the thread goes on.
"""

import copy
import random
import threading
import time

import requests
import websocket

from parley.check import assert_problem
from parley.everywhere import SOCKETS, message_in, said, shout
from parley.sockets import Closed

from .verdict import Ear, Heard, Sent

PATIENCE = 4.0                          # seconds without an answer after which a client tries again
SILENCE = 5.0                           # seconds without a frame after which a receiver connects again
GIVE_UP = 60.0                          # seconds after which a send counts as never acknowledged
TEMPORARY = {"unavailable", "going_away", "too_slow", "the service is unavailable for a moment; try again"}
RECONNECT = {None, 1000, 1001, 1006, 4008}      # close codes that ask for another try
GONE = (requests.RequestException, Closed, OSError, websocket.WebSocketException)   # TimeoutError is an OSError


class Refused(Exception):
    """An answer that was wrong, whatever had been broken."""


class _Hasty(requests.Session):
    """HTTP of one thread; does not wait for ever."""

    def request(self, *args, **kwargs):
        return super().request(*args, **{**kwargs, "timeout": PATIENCE})


def own(person, surface):
    """A person's client of a surface for one thread alone."""
    client = copy.copy(getattr(person, surface))
    client.http = _Hasty()
    client.http.trust_env = False
    return client


def succeeded(resp, *statuses):
    """Whether it worked; if not, it has to be for a moment, and said in the contract's shape."""
    if resp.status_code in statuses:
        return True
    if resp.status_code not in (502, 503, 504):
        raise Refused(f"{resp.request.method} {resp.request.path_url.partition('?')[0]}: {resp.status_code} {resp.text[:200]}")
    assert_problem(resp, resp.status_code)
    return False


def judge(end):
    """What ended a connection or kept it from being made has to be temporary."""
    if isinstance(end, Closed) and end.code not in RECONNECT:
        raise Refused(f"a socket was closed: {end}")
    if isinstance(end, websocket.WebSocketBadStatusException) and end.status_code not in (502, 503, 504):
        raise Refused(f"a socket was refused: {end}")


def error_in(surface, frame):
    """The code of an error frame (dm has none: the sentence), None for another frame."""
    if surface == "dm":
        return frame.get("error")
    return (frame.get("data") or frame)["code"] if frame["type"] == "error" else None


class Client(threading.Thread):
    """A thread that works until it is told to stop, whatever it meets."""

    def __init__(self, name, stop, seed):
        super().__init__(daemon=True, name=name)
        self.stopping = stop
        self.rng = random.Random(f"{seed} {name}")
        self.refusals = []

    def run(self):
        while not self.stopping.is_set():
            try:
                self.step()
            except GONE as end:
                self.tolerate(end)
            except Exception as wrong:      # noqa: BLE001: reported by the verdict
                self.refusals.append(f"{self.name}: {wrong!r}")
                self.stopping.wait(0.5)

    def tolerate(self, end):
        try:
            judge(end)
        except Refused as wrong:
            self.refusals.append(f"{self.name}: {wrong}")
        time.sleep(self.rng.uniform(0.05, 0.3))

    def until_done(self, ask):
        """Ask until it works; False when it never did."""
        deadline, pause = time.monotonic() + GIVE_UP, 0.05
        while time.monotonic() < deadline:
            try:
                answer = ask()
                if answer:
                    return answer
            except GONE as end:
                self.tolerate(end)
            except (Refused, AssertionError) as wrong:
                self.refusals.append(f"{self.name}: {wrong}")
            time.sleep(self.rng.uniform(pause / 2, pause))
            pause = min(1.0, 2 * pause)
        return False


# ---------------------------------------------------------------------- talking

def post(client, surface, talk, text, key):
    """A send over REST; the response."""
    if surface == "dm":
        return client.send(talk.other.uuid, text, key=key)
    if surface == "conv":
        return client.post(talk.uuid, text, key=key)
    if surface == "groups":
        return client.send(talk.place, text, key=key)
    return client.send(talk.other.number if talk.other else talk.number, text, key=key)


class Sender(Client):
    """Sends one message after the other over REST, each to one of the talks."""

    def __init__(self, name, stop, seed, person, surface, talks, pace):
        super().__init__(name, stop, seed)
        self.person, self.surface, self.talks, self.pace = person, surface, talks, pace
        self.client = own(person, surface)
        self.sent = []
        self.retries = 0

    def step(self):
        talk, text = self.rng.choice(self.talks), f"{self.name}-{len(self.sent)}"
        begun, self.attempts = time.time(), 0
        number = self.until_done(lambda: self._attempt(talk, text)) or None
        self.sent.append(Sent(number, talk.number, self.person.number, text, begun, time.time()))
        self.retries += self.attempts - 1
        self.stopping.wait(self.rng.uniform(0.5, 1.5) * self.pace)

    def _attempt(self, talk, text):
        self.attempts += 1
        return self.attempt(talk, text)

    def attempt(self, talk, text):
        """The id of the stored message, None when it has to be tried again."""
        resp = post(self.client, self.surface, talk, text, key=text)
        if not succeeded(resp, 201):
            return None
        body = resp.json()
        m = said(self.surface, body["message"] if self.surface in ("conv", "groups") else body)
        if m[1:] != (self.person.number, text):
            raise Refused(f"{text} was answered with {m}")
        return m.id


class SocketSender(Sender):
    """Sends over a socket and takes the echo for the acknowledgement. Once in a while it tries again over
    REST instead (where the surface has such a send): the key counts there as well."""

    sock = None

    def attempt(self, talk, text):
        if self.attempts > 1 and self.surface != "rooms" and self.rng.random() < 0.3:
            return super().attempt(talk, text)
        try:
            self.sock = self.sock or self._connect()
            shout(self.sock, talk, text, client_msg_id=text)
            return self._echo_of(text)
        except BaseException:
            self._hang_up()
            raise

    def _connect(self):
        sock = SOCKETS[self.surface](self.client, timeout=PATIENCE)
        sock.surface = self.surface
        if self.surface == "rooms":
            subscribe(sock, self.talks)
        return sock

    def _hang_up(self):
        if self.sock:
            self.sock.abort()
        self.sock = None

    def _echo_of(self, text):
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            frame = self.sock.recv_json(left)
            if (code := error_in(self.surface, frame)) is not None:
                if code not in TEMPORARY:
                    raise Refused(f"{text} was answered with {frame}")
                return None
            m = message_in(self.surface, frame)
            if m and said(self.surface, m)[1:] == (self.person.number, text):
                return said(self.surface, m).id
        raise TimeoutError(f"no echo of {text}")


def subscribe(sock, talks, shut=()):
    """Subscribe a rooms socket; shut: conversations that may be closed to it. The frames that came meanwhile, and
    what was closed."""
    early, refused = [], []
    for talk in talks:
        sock.tell("subscribe", room_id=talk.number)
        while (frame := sock.recv_json(PATIENCE))["type"] not in ("success", "error"):
            early.append(frame)
        if frame["type"] == "error" and frame["code"] in TEMPORARY:
            raise TimeoutError("no subscription for the moment")
        if frame["type"] == "error":
            refused.append(talk)
            if talk not in shut:
                raise Refused(f"subscription refused: {frame}")
    return early, refused


class Visitor(Client):
    """Logs in again and again: the auth pool's share of the traffic. The new token has to be good."""

    def __init__(self, name, stop, seed, person, pace):
        super().__init__(name, stop, seed)
        self.person, self.client, self.pace = person, own(person, "conv"), pace
        self.waits = []                 # (begun, logged in)

    def step(self):
        begun = time.time()
        if self.until_done(self._visit):
            self.waits.append((begun, time.time()))
        else:
            self.refusals.append(f"{self.name}: no login within {GIVE_UP} s")
        self.stopping.wait(self.rng.uniform(0.5, 1.5) * self.pace)

    def _visit(self):
        resp = self.client.login(username=self.person.name, password=self.person.password)
        if not succeeded(resp, 200):
            return False
        return succeeded(self.client.me(token=resp.json()["access_token"]), 200)


# ---------------------------------------------------------------------- listening

class Receiver(Client):
    """A device of a person: hears, and after a disconnect goes on by `since`; rooms, whose document has none, by the
    history. base: messages up to this id are from before the run; mark: one of them, in this surface's form;
    shut: conversations the person may be out of, so that `since` never names one of their messages."""

    def __init__(self, name, stop, seed, person, surface, talks, base, mark, shut=()):
        super().__init__(name, stop, seed)
        self.surface, self.talks, self.shut, self.base, self.last = surface, talks, shut, base, mark
        self.client = own(person, surface)
        self.ear = Ear(name, person.number, frozenset(t.number for t in talks))
        self.heard = set()
        self.connected = threading.Event()
        self.again = threading.Event()  # set by who let the person in again: subscribe anew

    def step(self):
        try:
            with self._connect() as sock:
                self.again.clear()
                early = self._catch_up(sock) if self.surface == "rooms" else []
                connection = self._begin()
                for frame in early:
                    self._take(frame, connection)
                self.connected.set()
                self._listen(sock, connection)
        finally:
            self.connected.clear()

    def _connect(self):
        since = {} if self.surface == "rooms" else {"since": self.last}
        return SOCKETS[self.surface](self.client, timeout=PATIENCE, **since)

    def _begin(self):
        self.ear.connections.append([])
        return self.ear.connections[-1]

    def _listen(self, sock, connection):
        last = time.monotonic()
        while not self.stopping.is_set() and not (self.again.is_set() and self.surface == "rooms"):
            try:
                frame = sock.recv_json(0.5)
                last = time.monotonic()
            except TimeoutError:
                if time.monotonic() - last > SILENCE:
                    return
                continue
            self._take(frame, connection)

    def _take(self, frame, connection):
        if error_in(self.surface, frame) is not None:
            raise Refused(f"an error frame: {frame}")
        m = message_in(self.surface, frame)
        if m:
            self._hear(m, connection)

    def _hear(self, m, connection):
        number, sender, text = said(self.surface, m)
        if number <= self.base:
            return
        connection.append(Heard(number, sender, text, time.time()))
        self.heard.add(number)
        if self.surface != "rooms" and not self._in_shut(m):
            self.last = m["id"]

    def _in_shut(self, m):
        """Whether a message is of a conversation the person may have left by the time of the next `since`."""
        names = {m.get(k) for k in ("conversation_id", "group_id", "recipient_id")}
        return any({t.number, t.uuid} & names for t in self.shut)

    # ------------------------------------------------------------------ rooms

    def _catch_up(self, sock):
        """Subscribe, then take from the history what this device has not; the frames that came meanwhile."""
        early, refused = subscribe(sock, self.talks, self.shut)
        for talk in self.talks:
            missed = self._missed(talk)
            if (missed is None) != (talk in refused):
                raise TimeoutError(f"left or joined {talk.number} while connecting: begin anew")
            connection = self._begin()
            for m in missed or ():
                self._hear(m, connection)
        return early

    def _missed(self, talk):
        """Oldest first; None when the conversation is closed to the person."""
        found, query = [], {"limit": 100}
        while True:
            resp = self.client.history(talk.number, **query)
            if resp.status_code == 403 and talk in self.shut:
                return None
            if not succeeded(resp, 200):
                raise TimeoutError("no history for the moment")
            page = resp.json()
            messages = page["messages"]
            new = [m for m in messages if m["id"] > self.base and m["id"] not in self.heard]
            found = new + found
            if not page["has_more"] or len(new) < len(messages):
                return found
            query["before_id"] = messages[0]["id"]


# ---------------------------------------------------------------------- leaving and coming back

class Wanderer(Client):
    """Leaves a group, stays away for a while and is added again by its owner, on one surface or another."""

    def __init__(self, name, stop, seed, person, owner, group, receivers):
        super().__init__(name, stop, seed)
        self.person, self.group, self.receivers = person, group, receivers
        self.clients = {s: (own(person, s), own(owner, s)) for s in ("conv", "groups", "rooms")}

    def step(self):
        self.stopping.wait(self.rng.uniform(0.5, 3))
        if not self.stopping.is_set() and self.until_done(lambda: succeeded(self._leave(), 200, 204, 403, 404)):
            self.stopping.wait(self.rng.uniform(0.5, 3))
            self.come_back()

    def come_back(self):
        if not self.until_done(lambda: succeeded(self._return(), 200, 201)):
            self.refusals.append(f"{self.name}: never let in again")
        for receiver in self.receivers:
            receiver.again.set()

    def _leave(self):
        """403 is the answer when an earlier try had worked."""
        surface = self.rng.choice(("conv", "groups", "rooms"))
        client = self.clients[surface][0]
        if surface == "groups":
            return client.remove(self.group.place, self.person.uuid)
        return client.leave(self.group.uuid if surface == "conv" else self.group.number)

    def _return(self):
        surface = self.rng.choice(("conv", "groups"))
        owner = self.clients[surface][1]
        return owner.add(self.group.uuid if surface == "conv" else self.group.place, self.person.uuid)
