"""The table at the end of a run."""

from bisect import bisect_right
from collections import defaultdict

from .verdict import FINDINGS


def blamed(strikes, begun, ended):
    """The kinds a wait from begun to ended is laid to: what was under way then, or else came last before."""
    during = {s.kind for s in strikes if s.overlaps(begun, ended)}
    if during:
        return during
    last = bisect_right([s.begun for s in strikes], begun) - 1
    return {strikes[last].kind} if last >= 0 else set()


def longest(strikes, waits):
    """{kind: the longest wait, in seconds, laid to it}"""
    found = defaultdict(float)
    for begun, ended in waits:
        for kind in blamed(strikes, begun, ended):
            found[kind] = max(found[kind], ended - begun)
    return found


def deliveries(facts):
    """(acknowledged, heard) of each message at each receiver that was in the conversation all the time."""
    acknowledged = {s.id: s for s in facts.sent}
    away = {(a.person, a.talk) for a in facts.absences}
    for ear in facts.ears:
        first = {}
        for h in (h for connection in ear.connections for h in connection):
            first.setdefault(h.id, h.at)
        for number, at in first.items():
            sent = acknowledged.get(number)
            if sent and sent.acknowledged < at and (ear.person, sent.talk) not in away:
                yield sent.acknowledged, at


def table(strikes, kinds, columns):
    """Faults by kind; columns: {heading: (begun, ended) of each wait}."""
    worst = {heading: longest(strikes, waits) for heading, waits in columns.items()}
    lines = [f"{'fault':<18}{'times':>6}" + "".join(f"{heading:>22}" for heading in columns)]
    for kind in sorted(kinds):
        times = sum(s.kind == kind for s in strikes)
        lines.append(f"{kind:<18}{times:>6}" + "".join(f"{worst[h][kind]:>20.1f} s" for h in columns))
    return "\n".join(lines)


def totals(verdict, senders, receivers):
    facts = verdict.facts
    heard = sum(len(connection) for ear in facts.ears for connection in ear.connections)
    lines = [
        f"sends acknowledged {sum(bool(s.id) for s in facts.sent)} (by {len(senders)} senders, {sum(s.retries for s in senders)} "
        f"retries), stored {len(facts.stored)}",
        f"frames heard {heard} (by {len(receivers)} receivers on {sum(len(e.connections) for e in facts.ears)} connections), "
        f"histories compared {len(facts.histories)}, times left and rejoined {len(facts.absences)}",
        ", ".join(f"{finding} {verdict.findings[finding]}" for finding in FINDINGS),
    ]
    return "\n".join(lines)
