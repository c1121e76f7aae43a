"""A run: a stack with the bad network in between, the people, the faults, and the facts for the verdict."""

import pickle
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from parley.check import number_of
from parley.cluster import ROLE
from parley.everywhere import GROUPED, SURFACES, Person
from parley.stack import Stack, free_port
from parley.wait import eventually

from .faults import KINDS, Faults, nginx_reload
from .links import Links
from .people import Receiver, Sender, SocketSender, Visitor, Wanderer
from .report import deliveries, table, totals
from .verdict import Absence, Facts, Stored, Verdict, rejoined

PAIRS = ((0, 1), (2, 3), (4, 5), (1, 2), (3, 4), (5, 0))    # who talks with whom, besides the groups
WANDERERS = (4, 5)                      # who leaves the second group and comes back
LISTENERS = (1, 2, 3, 4, 5)             # each with a device of every surface
REST = ("dm", "conv", "p2p", "groups")  # rooms sends over its socket alone
EACH = 3                                # senders of each surface, on REST and on sockets
SETTLE = 60.0                           # seconds after the last fault until everybody has everything


class Run:
    """seconds: how long faults strike; pace: seconds between two sends of a sender; out: where lines go."""

    def __init__(self, seconds, seed, pace=0.3, out=print):
        self.seconds, self.seed, self.pace, self.out = seconds, seed, pace, out
        self.scale = min(4.0, max(0.6, seconds / 30))
        self.ports = {name: free_port() for name in ("postgresql", "api", "auth", "ws-1", "ws-2")}
        self.sending, self.listening = threading.Event(), threading.Event()

    def go(self):
        """The Verdict."""
        self.stack = Stack(daemons=2)
        self.stack.settings["DATABASE_URL"] = (f"host=127.0.0.1 port={self.ports['postgresql']} user={ROLE} "
                                               "dbname=parley sslmode=disable gssencmode=disable")
        run = self.stack.var / "run"
        paths = {"postgresql": run / ".s.PGSQL.5432", "api": run / "api.sock", "auth": run / "auth.sock",
                 "ws-1": run / "ws.sock", "ws-2": run / "ws-2.sock"}
        with Links(self.ports, {name: str(path) for name, path in paths.items()}) as links, self.stack:
            self._put_links_into_nginx(paths)
            self._invite()
            self.faults = Faults(self.stack, links, self.seed, self.scale)
            self._talk_and_break()
            verdict = Verdict(self._facts())
            self._print(verdict)
            if not verdict.passed:
                self.stack.keep = True
                (self.stack.var / "facts.pickle").write_bytes(pickle.dumps((verdict.facts, self.faults.strikes)))
        return verdict

    def _put_links_into_nginx(self, paths):
        conf = self.stack.var / "conf/nginx.conf"
        text = conf.read_text()
        for name, path in paths.items():
            if name != "postgresql":
                assert f"unix:{path}" in text, f"nginx.conf without {path}"
                text = text.replace(f"unix:{path}", f"127.0.0.1:{self.ports[name]}")
        conf.write_text(text)
        nginx_reload(self.stack)
        eventually(self.stack.ready, 20, "the stack answers through its links")

    # ------------------------------------------------------------------ the people

    def _invite(self):
        homes = random.Random(self.seed).choices(SURFACES, k=6)
        self.people = [Person(self.stack, home) for home in homes]
        for a, b in PAIRS:
            self.people[a].meet("rooms", self.people[b])
        self.talks = {p: [] for p in self.people}
        for a, b in PAIRS:
            for one, other in ((a, b), (b, a)):
                self.talks[self.people[one]].append(self.people[one].talk_with(self.people[other]))
        owner = self.people[0]
        self.groups = [owner.make_group("conv", *self.people[1:]), owner.make_group("groups", *self.people[1:])]
        marks = [p.dm.make_message(self.talks[p][0].other.uuid, "mark")["id"] for p in self.people]
        self.base = self.stack.query("SELECT max(id) FROM (SELECT id FROM messages UNION SELECT id FROM events) x")[0][0]
        self._make_receivers(dict(zip(self.people, marks)))
        self._make_senders()

    def _make_receivers(self, marks):
        self.receivers = []
        for n in LISTENERS:
            who, shut = self.people[n], self.groups[1:] if n in WANDERERS else []
            for surface in SURFACES:
                talks = self.talks[who] + (self.groups if surface in GROUPED else [])
                mark = number_of(marks[who]) if surface == "p2p" else marks[who]
                self.receivers.append(Receiver(f"ear{n}.{surface}", self.listening, self.seed, who, surface, talks,
                                               self.base, mark, shut))
        self.wanderers = [
            Wanderer(f"wanderer{n}", self.sending, self.seed, self.people[n], self.people[0], self.groups[1],
                     [r for r in self.receivers if r.name.startswith(f"ear{n}.")]) for n in WANDERERS]

    def _make_senders(self):
        self.senders = []
        channels = [(Sender, s) for s in REST] + [(SocketSender, s) for s in SURFACES]
        for n, (make, surface) in enumerate(channels * EACH):
            who = self.people[n % len(self.people)]
            talks = list(self.talks[who])
            if surface in GROUPED:
                talks += self.groups[:1] if self.people.index(who) in WANDERERS else self.groups
            self.senders.append(make(f"{surface}{'' if make is Sender else '.socket'}{n}", self.sending, self.seed, who,
                                     surface, talks, self.pace))
        self.visitors = [Visitor(f"visitor{n}", self.sending, self.seed, self.people[n], 2 * self.pace) for n in (0, 3)]

    # ------------------------------------------------------------------ the run itself

    def _talk_and_break(self):
        talkers = [*self.senders, *self.visitors, *self.wanderers]
        try:
            for client in (*self.receivers, *talkers):
                client.start()
            eventually(lambda: all(r.connected.is_set() for r in self.receivers), 20, "receivers connected")
            self._strike()
            eventually(lambda: self.stack.database_answers() and self.stack.ready(), 30, "the stack is whole again")
        finally:
            self.sending.set()
            for client in talkers:
                client.join(90)
        self._settle()

    def _strike(self):
        """Every kind once, in a random order, then any, now and then a second one before the first is over."""
        rng, end = random.Random(self.seed), time.monotonic() + self.seconds
        for kind in rng.sample(list(KINDS), len(KINDS)):
            self._strike_one(kind, rng)
        with ThreadPoolExecutor(2) as pool:
            while time.monotonic() < end:
                kinds = rng.sample(list(KINDS), rng.choice((1, 1, 2)))
                list(pool.map(lambda kind: self._strike_one(kind, rng), kinds))

    def _strike_one(self, kind, rng):
        time.sleep(rng.uniform(0.1, 0.5) * self.scale)
        strike = self.faults.strike(kind)
        self.out(f"{strike.begun - self.faults.strikes[0].begun:6.1f} s  {strike}")

    def _settle(self):
        """Everybody comes back, and hears what there is to hear."""
        for wanderer in self.wanderers:
            wanderer.come_back()
        stored, absences = self._stored(), self._absences()
        wanted = {r: {m.id for m in stored if m.talk in r.ear.talks and m.id > rejoined(absences, r.ear.person, m.talk)}
                  for r in self.receivers}
        deadline = time.monotonic() + SETTLE
        while any(wanted[r] - r.heard for r in self.receivers) and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1)                   # what comes twice or too much comes now
        self.listening.set()
        for receiver in self.receivers:
            receiver.join(10)

    # ------------------------------------------------------------------ the facts

    def _stored(self):
        talks = sorted({t.number for talks in self.talks.values() for t in talks} | {g.number for g in self.groups})
        rows = self.stack.query("SELECT id, conversation_id, seq, sender_id, content FROM messages "
                                "WHERE id > %s AND conversation_id = ANY(%s) ORDER BY id", self.base, talks)
        return [Stored(*row) for row in rows]

    def _absences(self):
        rows = self.stack.query("SELECT id, kind, user_id, conversation_id, extract(epoch FROM created_at)::float8 FROM events "
                                "WHERE kind IN ('member_added', 'member_removed') AND id > %s ORDER BY id", self.base)
        left, found = {}, []
        for number, kind, person, talk, at in rows:
            if kind == "member_removed":
                left[person, talk] = number
            elif (person, talk) in left:
                found.append(Absence(person, talk, left.pop((person, talk)), number, at))
        found += [Absence(*who, number, float("inf"), float("inf")) for who, number in left.items()]
        return found

    def _facts(self):
        clients = [*self.senders, *self.receivers, *self.visitors, *self.wanderers]
        stuck = [f"{c.name} does not end" for c in clients if c.is_alive()]
        return Facts(stored=self._stored(), sent=[s for sender in self.senders for s in sender.sent],
                     ears=[r.ear for r in self.receivers], histories=self._histories(), absences=self._absences(),
                     refusals=stuck + [r for c in clients for r in c.refusals])

    def _histories(self):
        """What every surface shows each listener of each conversation."""
        found = {}

        def read(who):
            for s in SURFACES:
                for talk in self.talks[who] + (self.groups if s in GROUPED else []):
                    found[who.number, s, talk.number] = [m for m in who.read_all(s, talk) if m.id > self.base]
        with ThreadPoolExecutor(len(LISTENERS)) as pool:
            list(pool.map(read, (self.people[n] for n in LISTENERS)))
        return found

    # ------------------------------------------------------------------ what it amounts to

    def _print(self, verdict):
        facts = verdict.facts
        self.out("")
        self.out(table(self.faults.strikes, KINDS, {
            "longest send": [(s.begun, s.acknowledged) for s in facts.sent],
            "longest login": [wait for visitor in self.visitors for wait in visitor.waits],
            "longest delivery": deliveries(facts)}))
        self.out("")
        self.out(totals(verdict, self.senders, self.receivers))
        for sentence in verdict.sentences[:40]:
            self.out("  " + sentence)
