"""A small town that talks at a steady pace, whatever the answers take: persons on all five surfaces,
each pair in a direct conversation and all in one group."""

import itertools
import multiprocessing
import random
import signal
import threading
import time

import requests
import websocket

from parley.everywhere import GROUPED, SOCKETS, SURFACES, Person, message_in, said, shout
from parley.growth import use_every_worker
from parley.sockets import Closed

PEOPLE = 6
#: How often a second, of each kind. A minute's p99 is the twentieth slowest of two thousand, not the second of two hundred.
REST_SENDS, SOCKET_SENDS, READS, VISITS, KNOCKS, LOGINS, PROBES = 35, 10, 35, 3, 25, 1, 35


class Pace(threading.Thread):
    """Does something so many times a second; what it owes after a delay it does at once."""

    def __init__(self, town, rate, action):
        super().__init__(daemon=True)
        self.town, self.gap, self.action = town, 1 / rate, action
        self.random = random.Random(action.__name__)

    def run(self):
        due = time.monotonic()
        while not self.town.stopping.is_set():
            try:
                self.action(self.random)
            except Exception as e:          # noqa: BLE001: any of them fails the run
                self.town.failures.append(f"{self.action.__name__}: {type(e).__name__} {e}"[:300])
            due += self.gap
            self.town.stopping.wait(max(0.0, due - time.monotonic()))


class Listeners(multiprocessing.get_context("fork").Process):
    """The sockets that stay, in a process of their own: what they all hear at once would else hold up, behind Python's
    one lock, the requests that are timed. Tells the town (text, when it was heard first), or (None, what failed)."""

    def __init__(self, town):
        super().__init__(daemon=True)
        self.town, self.news = town, multiprocessing.SimpleQueue()
        self.ready, self.ending = multiprocessing.Event(), multiprocessing.Event()
        self.told, self.lock = set(), threading.Lock()

    def run(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)        # the town says when
        threads = [threading.Thread(target=self._listen, args=(surface, self._socket(person, surface)), daemon=True)
                   for person in self.town.people[:3] for surface in SURFACES]
        for thread in threads:
            thread.start()
        self.ready.set()
        for thread in threads:
            thread.join()
        self.news.put(None)

    def _socket(self, person, surface):
        sock = person.listen(surface, self.town.group)
        if surface == "rooms":
            sock.subscribe(*(t.number for t in self.town.talks_of(person)))
        return sock

    def _listen(self, surface, sock):
        while not self.ending.is_set():
            try:
                message = message_in(surface, sock.recv_json(timeout=1))
            except TimeoutError:
                continue
            except (Closed, OSError, websocket.WebSocketException) as e:
                return self.news.put((None, f"a {surface} socket that stays ended: {e}"))
            if message:
                self._tell(said(surface, message).text)

    def _tell(self, text):
        now = time.monotonic()
        with self.lock:
            if text not in self.told:
                self.told.add(text)
                self.news.put((text, now))


class Town:
    def __init__(self, stack):
        self.stack = stack
        self.stopping, self.settled = threading.Event(), threading.Event()
        self.failures, self.latencies = [], []      # latencies: (when, kind, seconds)
        self.sent, self.lock = {}, threading.Lock() # text → when it was sent, until it is heard
        self.numbers = itertools.count()
        self.people = [Person(stack) for _ in range(PEOPLE)]
        self.group = self.people[0].make_group("conv", *self.people[1:])
        self.talks = {}
        for one, other in itertools.combinations(self.people, 2):
            one.meet("rooms", other)
            self.talks[one, other], self.talks[other, one] = one.talk_with(other), other.talk_with(one)
        self.listeners = Listeners(self)
        speakers = zip(itertools.cycle(self.people[3:]), SURFACES)
        self.speakers = {(p, s): SOCKETS[s](getattr(p, s)) for p, s in speakers}
        for (person, surface), sock in self.speakers.items():
            sock.surface = surface
            if surface == "rooms":
                sock.subscribe(self.group.number, *(t.number for t in self.talks_of(person)))
        self.listening = threading.Thread(target=self._hear, daemon=True)
        self.drains = [threading.Thread(target=self._drain, args=(s,), daemon=True) for s in self.speakers.values()]
        self.paces = [Pace(self, rate, action) for rate, action in (
            (REST_SENDS, self.send), (SOCKET_SENDS, self.shout), (READS, self.read), (VISITS, self.visit), (KNOCKS, self.knock),
            (LOGINS, self.log_in), (PROBES, self.probe))]
        self.probe_http = requests.Session()
        self.told = 0                               # messages the server acknowledged or showed

    def talks_of(self, person):
        return [talk for (one, _), talk in self.talks.items() if one is person]

    def start(self):
        use_every_worker(self.stack, self.people[0].dm)
        self.listeners.start()
        assert self.listeners.ready.wait(30), "those who listen are connected"
        for thread in (self.listening, *self.drains, *self.paces):
            thread.start()

    def stop(self):
        """No more is said; what was said is waited for."""
        self.stopping.set()
        for pace in self.paces:
            pace.join(30)
        deadline = time.monotonic() + 10
        while self.sent and time.monotonic() < deadline:
            time.sleep(0.05)
        self.settled.set()
        self.listeners.ending.set()
        for thread in (self.listening, *self.drains):
            thread.join(5)
        for person in self.people:
            person.close()
        self.failures += [f"never heard: {text}" for text in self.sent]

    def note(self, kind, start):
        self.latencies.append((start, kind, time.monotonic() - start))

    # ------------------------------------------------------------------ saying and hearing

    def _text(self, surface):
        """What is said next; its way through the server is timed until the first listener hears it."""
        text = f"{next(self.numbers)} by {surface}, " + "and so on " * 10
        with self.lock:
            self.sent[text] = time.monotonic()
        return text

    def _hear(self):
        for text, what in iter(self.listeners.news.get, None):
            if text is None:
                self.failures.append(what)
                continue
            with self.lock:
                start = self.sent.pop(text, None)
            if start:
                self.told += 1
                self.latencies.append((start, "delivery", what - start))

    def _talk(self, rng, sender, surface):
        """To the group, or to one of those who listen."""
        if surface in GROUPED and rng.random() < 0.3:
            return self.group
        return self.talks[sender, rng.choice([p for p in self.people[:3] if p is not sender])]

    def send(self, rng):
        """Over REST (rooms has no such way)."""
        person, surface = rng.choice(self.people), rng.choice([s for s in SURFACES if s != "rooms"])
        talk, text = self._talk(rng, person, surface), self._text(surface)
        start = time.monotonic()
        person.say(surface, talk, text)
        self.note("send", start)

    def shout(self, rng):
        """Over a socket that stays."""
        (person, surface), sock = rng.choice(list(self.speakers.items()))
        shout(sock, self._talk(rng, person, surface), self._text(surface))

    def _drain(self, sock):
        while not self.settled.is_set():
            try:
                frame = sock.recv_json(timeout=1)
            except TimeoutError:
                continue
            except (Closed, OSError, websocket.WebSocketException) as e:
                self.failures.append(f"a {sock.surface} socket that speaks ended: {e}")
                return
            if "error" in frame or frame.get("type") == "error":
                self.failures.append(f"a frame was refused: {frame}")

    # ------------------------------------------------------------------ everything else

    def read(self, rng):
        person, surface = rng.choice(self.people), rng.choice(SURFACES)
        talk = self._talk(rng, person, surface)
        start = time.monotonic()
        resp = person.history(surface, talk)
        self.note("read", start)
        assert resp.status_code == 200, resp.text

    def visit(self, rng):
        """A client that comes, catches up, hears something perhaps, and goes or is cut off."""
        person, surface = rng.choice(self.people), rng.choice(SURFACES)
        talk = self._talk(rng, person, surface)
        last = person.read(surface, talk)[-1:]
        since = {}
        if last:
            since["since"] = last[0].id if surface in ("p2p", "rooms") else self._uuid(person, surface, talk)
        sock = self._connect(person, surface, **since)
        try:
            sock.recv_json(timeout=0.2)
        except TimeoutError:
            pass
        (sock.close if rng.random() < 0.5 else sock.abort)()

    def knock(self, rng):
        """A client that comes and goes."""
        self._connect(rng.choice(self.people), rng.choice(SURFACES)).close()

    def _connect(self, person, surface, **since):
        start = time.monotonic()
        sock = SOCKETS[surface](getattr(person, surface), **since)
        self.note("connect", start)
        return sock

    def _uuid(self, person, surface, talk):
        page = person.history(surface, talk).json()
        return (page if surface == "dm" else page["messages"])[0]["id"]

    def log_in(self, rng):
        """A session that begins and ends."""
        person = rng.choice(self.people)
        other = person.dm.another_device()
        assert other.me().status_code == 200
        assert other.logout().status_code in (200, 204)
        other.close()

    def probe(self, rng):
        """What nginx answers by itself: how fast the machine is at the moment."""
        start = time.monotonic()
        assert self.probe_http.get(self.stack.url + "/", timeout=10).status_code == 404
        self.note("probe", start)
