"""A crowd: accounts made by SQL, tokens signed with the server's own key, and one thread that holds
all their `/api/v1/ws` sockets and keeps count of what they are told about presence."""

import json
import os
import selectors
import socket
import time
import uuid
from collections import Counter

from . import keys, tokens
from .wait import eventually

PEOPLE = """INSERT INTO users (username, display_name, password_hash)
SELECT %s || n, 'One of many', '!' FROM generate_series(1, %s) n RETURNING id, epoch_ms(created_at), username"""

#: Each in one group of so many, and in a direct conversation with those so many places further on.
CONVERSATIONS = """WITH p AS (SELECT id, n - 1 AS n FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY p(id, n)),
g AS (INSERT INTO conversations (kind, name, owner_id)
      SELECT 'group', n / %(size)s, id FROM p WHERE n %% %(size)s = 0 RETURNING id, name),
pairs AS (SELECT least(a.id, b.id) AS low, greatest(a.id, b.id) AS high
            FROM p a CROSS JOIN unnest(%(steps)s::int[]) s(step)
            JOIN p b ON b.n = (a.n + s.step) %% cardinality(%(ids)s::bigint[])),
d AS (INSERT INTO conversations (kind, user_low, user_high) SELECT DISTINCT 'direct', low, high FROM pairs
      RETURNING id, user_low, user_high)
INSERT INTO participants (conversation_id, user_id)
SELECT g.id, p.id FROM p JOIN g ON g.name::int = p.n / %(size)s
UNION ALL SELECT d.id, d.user_low FROM d UNION ALL SELECT d.id, d.user_high FROM d"""


class Person:
    def __init__(self, number, ms, name, template, key):
        self.number, self.name = number, name
        self.id = str(uuid.UUID(int=ms << 80 | 7 << 76 | 2 << 62 | number))
        self.token = tokens.resign(template, key, sub=self.id, user_id=number, username=name, jti=str(number))


def people(stack, template, count, group=20, steps=(37, 101)):
    """Persons in groups of a size, each in two direct conversations per step as well; template: anybody's token."""
    key = keys.read(stack)[tokens.parts(template)[0]["kid"]]
    rows = stack.query(PEOPLE, f"crowd{uuid.uuid4().hex[:8]}.", count)
    conn = stack.db()
    with conn.cursor() as cur:
        cur.execute(CONVERSATIONS, {"ids": [row[0] for row in rows], "size": group, "steps": list(steps)})
        cur.execute("ANALYZE")
    conn.close()
    return [Person(*row, template, key) for row in rows]


class _Peer:
    """One connection: its handshake, then its frames."""

    def __init__(self, person, sock):
        self.person, self.sock, self.data = person, sock, b""
        self.open = self.closed = False
        self.told = {}                  # user id → status, as last told
        request = (f"GET /api/v1/ws?token={person.token} HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        sock.sendall(request.encode())

    def feed(self):
        """What came, as (opcode, payload) of each whole frame."""
        try:
            chunk = self.sock.recv(262144)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        self.closed = not chunk
        self.data += chunk
        if not self.open and b"\r\n\r\n" in self.data:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            assert b" 101 " in head.split(b"\r\n")[0], head
            self.open = True
        at = 0
        while self.open and len(self.data) >= at + 2:
            size, start = self.data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(self.data[at + 2:at + 4], "big"), at + 4
            if len(self.data) < start + size:
                break
            yield self.data[at] & 15, self.data[start:start + size]
            at = start + size
        self.data = self.data[at:]


class Crowd:
    """The sockets of persons; frames counts what they were told, by status."""

    def __init__(self, stack, persons):
        self.stack, self.persons = stack, persons
        self.selector = selectors.DefaultSelector()
        self.peers = []
        self.frames = Counter()
        self.last_at = time.monotonic()  # of the last presence frame

    def open(self, daemon=None, timeout=60):
        """Connect everybody, through nginx or to one daemon; returns when all are upgraded."""
        self.last_at = time.monotonic()
        for person in self.persons:
            peer = _Peer(person, self._connect(daemon))
            peer.sock.setblocking(False)
            self.selector.register(peer.sock, selectors.EVENT_READ, peer)
            self.peers.append(peer)
            self.read(0)
        eventually(lambda: self.read(0.05) or all(p.open for p in self.peers), timeout, "the crowd is connected", 0)
        return self

    def _connect(self, daemon):
        if daemon is None:
            return socket.create_connection(("127.0.0.1", self.stack.port), timeout=20)
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        eventually(lambda: self._reached(sock, self.stack.daemon_socket(daemon)), what="the daemon accepts", every=0)
        return sock

    def _reached(self, sock, path):
        try:
            sock.connect(path)
            return True
        except BlockingIOError:         # its backlog is full
            self.read(0.01)
            return False

    def read(self, wait):
        """Take in what is there, or comes within wait seconds."""
        for key, _ in self.selector.select(wait):
            peer = key.data
            for opcode, payload in peer.feed():
                self._take(peer, opcode, payload)
            if peer.closed:
                self.selector.unregister(peer.sock)
                peer.sock.close()

    def _take(self, peer, opcode, payload):
        if opcode == 9:                 # a ping: its payload comes back, masked with zeros
            peer.sock.sendall(bytes([0x8A, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        peer.closed = peer.closed or opcode == 8
        if opcode != 1:
            return
        frame = json.loads(payload)
        assert frame["type"] == "presence", frame
        status = frame["data"]["status"]
        self.frames[status] += 1
        peer.told[frame["data"]["user_id"]] = status
        self.last_at = time.monotonic()

    def settle(self, quiet, timeout=120, online=0):
        """Read until so many were told to be online, and then until nothing came for so many seconds."""
        eventually(lambda: self.read(0.1) or self.frames["online"] >= online, timeout, "the greetings", 0)
        start = time.monotonic()
        eventually(lambda: self.read(0.1) or time.monotonic() - max(start, self.last_at) > quiet, timeout, "quiet", 0)
        return self

    def everybody_closed(self, timeout=30):
        """Wait until the server hung up on all of them."""
        eventually(lambda: self.read(0.05) or all(p.closed for p in self.peers), timeout, "all sockets are closed", 0)

    def hang_up(self):
        """All at once, without a close frame."""
        for peer in self.peers:
            if not peer.closed:
                self.selector.unregister(peer.sock)
                peer.sock.close()
        self.peers, self.frames = [], Counter()
        return self

    def view(self):
        """{user id: those whom they were last told to be online}"""
        return {p.person.id: {i for i, status in p.told.items() if status == "online"} for p in self.peers}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()
        self.selector.close()


def expected_view(persons, group=20, steps=(37, 101)):
    """{user id: those with whom people() had them share something}"""
    count, view = len(persons), {}
    for n, person in enumerate(persons):
        places = set(range(n // group * group, min(count, n // group * group + group)))
        places |= {(n + sign * step) % count for step in steps for sign in (1, -1)}
        view[person.id] = {persons[place].id for place in places - {n}}
    return view


def rows_written(stack):
    """(inserted, deleted) rows of `online` so far. Backends report once a second, when a statement ends: so wait for
    a heartbeat of every daemon that comes more than a second after all this, and a moment."""
    now = stack.query("SELECT clock_timestamp() + interval '1.1 s'")[0][0]
    eventually(lambda: stack.query("SELECT bool_and(seen_at > %s) FROM daemons", now)[0][0], what="heartbeats", every=0.2)
    return eventually(lambda: _same_twice(stack))


def _same_twice(stack):
    found = []
    for _ in range(2):
        found.append(stack.query("SELECT n_tup_ins, n_tup_del FROM pg_stat_user_tables WHERE relname = 'online'")[0])
        time.sleep(0.1)
    return found[0] == found[1] and found[0]


def usage(pid):
    """(CPU seconds, resident kB) of a process so far."""
    stat = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    status = open(f"/proc/{pid}/status").read()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), int(status.split("VmRSS:")[1].split()[0])
