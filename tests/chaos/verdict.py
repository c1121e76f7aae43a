"""What a run amounts to: facts in, findings out. Looks at nothing but its arguments, so that
tests/test_chaos_verdict.py can hand it facts that are wrong and see that it says so.

Within a conversation ids are drawn under its lock: the order of ids is the order, for everybody.
"""

from collections import Counter, defaultdict, namedtuple
from dataclasses import dataclass, field

#: A row of messages, and the send it should have come from: id is None until it is acknowledged.
Stored = namedtuple("Stored", "id talk seq sender text")
Sent = namedtuple("Sent", "id talk sender text begun acknowledged")
#: A frame or, after a reconnect without `since`, a line of the history; at: when it was heard.
Heard = namedtuple("Heard", "id sender text at")
#: Somebody was out of a conversation from one event to another; until: when the second happened. (All times are
#: of the machine's clock, as the database has them.)
Absence = namedtuple("Absence", "person talk left back until")

FINDINGS = ("lost", "doubled", "reordered", "missed", "leaked", "altered", "refused")


@dataclass
class Ear:
    """One receiver: a person on a surface, and what it heard on one connection after the other."""

    name: str
    person: int
    talks: frozenset
    connections: list = field(default_factory=list)     # of lists of Heard


@dataclass
class Facts:
    stored: list                                        # Stored, by id
    sent: list                                          # Sent
    ears: list = field(default_factory=list)            # Ear
    histories: dict = field(default_factory=dict)       # (person, surface, talk) → [(id, sender, text)]
    absences: list = field(default_factory=list)        # Absence
    refusals: list = field(default_factory=list)        # what a client should never have been answered


class Verdict:
    """findings: how often each thing happened that must not; sentences: the same in words."""

    def __init__(self, facts):
        self.facts = facts
        self.findings = Counter()
        self.sentences = []
        self.rows = {m.id: m for m in facts.stored}
        self.orders = defaultdict(list)                 # talk → ids in order
        for m in sorted(facts.stored):
            self.orders[m.talk].append(m.id)
        for refusal in facts.refusals:
            self._find("refused", refusal)
        self._sends()
        self._sequences()
        for ear in facts.ears:
            self._ear(ear)
        for (person, surface, talk), shown in facts.histories.items():
            self._history(f"{surface} shows {person} in {talk}", talk, shown)

    @property
    def passed(self):
        return not any(self.findings.values())

    def _find(self, finding, sentence, times=1):
        if times:
            self.findings[finding] += times
            self.sentences.append(f"{finding}: {sentence}")

    # ------------------------------------------------------------------ what is stored

    def _sends(self):
        """Each acknowledged send is stored once, as it was sent and under the id it was told; nothing else is."""
        copies = Counter((m.sender, m.text) for m in self.facts.stored)
        told = Counter(s.id for s in self.facts.sent if s.id)
        asked = {(s.sender, s.text) for s in self.facts.sent}
        for s in self.facts.sent:
            row, count = self.rows.get(s.id), copies[s.sender, s.text]
            if s.id and (count == 0 or not row):
                self._find("lost", f"{s.text} was acknowledged as {s.id}")
            elif s.id and (row.talk, row.sender, row.text) != (s.talk, s.sender, s.text):
                self._find("altered", f"{s.text} is stored as {row}")
            self._find("doubled", f"{s.text} is stored {count} times", max(0, count - 1))
            if not s.id:
                self._find("refused", f"{s.text} was never acknowledged")
        for number, count in told.items():
            self._find("doubled", f"{count} sends were given the id {number}", count - 1)
        for key in copies.keys() - asked:
            self._find("altered", f"nobody sent {key}")

    def _sequences(self):
        """seq runs without a gap, as the ids do; who sends one after the other is shown in that order."""
        for talk, ids in self.orders.items():
            seqs = [self.rows[i].seq for i in ids]
            wrong = sum(b - a != 1 for a, b in zip(seqs, seqs[1:]))
            self._find("reordered", f"seq of conversation {talk} jumps", wrong)
        last = {}
        for s in sorted((s for s in self.facts.sent if s.id), key=lambda s: s.acknowledged):
            mouth = (s.sender, s.text.rpartition("-")[0])
            for earlier in [last[mouth]] if mouth in last else []:
                if earlier.acknowledged <= s.begun and earlier.talk == s.talk and earlier.id >= s.id:
                    self._find("reordered", f"{earlier.text} stands behind {s.text}")
            last[mouth] = s

    # ------------------------------------------------------------------ what is shown and heard

    def _history(self, whose, talk, shown):
        ids = [i for i, *_ in shown]
        counts = Counter(ids)
        self._find("doubled", f"{whose} a message twice", sum(n - 1 for n in counts.values()))
        self._find("missed", f"{whose} less than there is", len(set(self.orders[talk]) - counts.keys()))
        self._find("reordered", f"{whose} another order", disorder(ids))
        for number, sender, text in shown:
            self._content(whose, number, sender, text)

    def _content(self, whose, number, sender, text):
        row = self.rows.get(number)
        if not row or (row.sender, row.text) != (sender, text):
            self._find("altered", f"{whose} {number} as {sender}: {text!r}")

    def _ear(self, ear):
        first = {}                                      # id → when it was first heard, in that order
        for heard in ear.connections:
            self._connection(ear, heard)
            for h in heard:
                first.setdefault(h.id, h.at)
        self._by_talk("reordered", f"{ear.name} put together", first)
        for talk in ear.talks:
            since = rejoined(self.facts.absences, ear.person, talk)
            missing = [i for i in self.orders[talk] if i not in first and i > since]
            self._find("missed", f"{ear.name} of conversation {talk}: {missing[:5]}", len(missing))

    def _connection(self, ear, heard):
        times = Counter(h.id for h in heard)
        for number, count in times.items():
            self._find("doubled", f"{ear.name} heard {number} twice on a connection", count - 1)
        self._by_talk("reordered", f"{ear.name} heard", times)
        for h in heard:
            self._content(f"{ear.name} heard", h.id, h.sender, h.text)
            self._outside(ear, h)

    def _by_talk(self, finding, whose, ids):
        heard = defaultdict(list)
        for number in ids:
            if number in self.rows:
                heard[self.rows[number].talk].append(number)
        for talk, numbers in heard.items():
            wrong = next(((a, b) for a, b in zip(numbers, numbers[1:]) if b < a), None)
            self._find(finding, f"{whose} conversation {talk}, {wrong}, in another order", disorder(numbers))

    def _outside(self, ear, h):
        """Nothing said while one was out is heard before one is back; of strangers' conversations nothing, ever."""
        row = self.rows.get(h.id)
        if row and row.talk not in ear.talks:
            self._find("leaked", f"{ear.name} heard {h.text} of strangers")
        for a in self.facts.absences:
            if row and (a.person, a.talk) == (ear.person, row.talk) and a.left < h.id < a.back and h.at < a.until:
                self._find("leaked", f"{ear.name} heard {h.text} {a.until - h.at:.3f} s before coming back")


def rejoined(absences, person, talk):
    """The event since which a person is in a conversation for good: who leaves may miss what was said before."""
    return max((a.back for a in absences if (a.person, a.talk) == (person, talk)), default=0)


def disorder(ids):
    """How many of the ids stand behind a larger one."""
    wrong, most = 0, 0
    for i in ids:
        wrong += i < most
        most = max(most, i)
    return wrong
