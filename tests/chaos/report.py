"""The table at the end of a run."""

from collections import defaultdict

from .verdict import FINDINGS

AFTERMATH = 2.0                         # seconds a fault's consequences may begin after it


def blamed(strikes, begun, ended):
    """The kind a wait from begun to ended is laid to: the fault that was there last when it began, or that came
    first after that. None when there was none."""
    before = [s for s in strikes if s.begun <= begun < s.ended + AFTERMATH]
    after = [s for s in strikes if begun < s.begun < ended]
    if before:
        return max(before, key=lambda s: s.begun).kind
    return min(after, key=lambda s: s.begun).kind if after else None


def longest(strikes, waits):
    """{kind: the longest wait, in seconds, laid to it}"""
    found = defaultdict(float)
    for begun, ended in waits:
        kind = blamed(strikes, begun, ended)
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
