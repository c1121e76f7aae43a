"""From series to a verdict: a straight line through each, and how far it rises over the whole run."""

from collections import defaultdict

#: what: (unit, share of the mean and absolute value that a rise may have whatever the line says, scale)
#: Noise has a slope too: a page here, a client more or less at the moment of the sample.
TOLERANCES = {
    "memory": ("kB", 0.05, 512),
    "descriptors": ("", 0.0, 4),            # a visitor has four at nginx
    "connections": ("", 0.0, 2),
    "table": ("kB", 0.05, 64),
    "row": ("bytes", 0.05, 16),
}
#: Of these the lowest of each minute is judged: clients who wait, because the machine stands still, have them open, and
#: give them back; what is lost is missing at the quietest moment too.
GIVEN_BACK = ("descriptors", "connections")
NEVER_JUDGED = {"rss": "kB", "dead": "rows", "stolen": "%"}    # printed for whoever wants to see
WITHIN = 1.2                                # the last minute's p99 over the first's
KINDS = ("send", "read", "connect", "delivery", "probe")


def slope(points):
    """Least squares: units a second."""
    n = len(points)
    mean_x, mean_y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def lowest(points):
    """One point a minute, or of each third of a run that is shorter than three."""
    first, length = points[0][0], points[-1][0] - points[0][0]
    span, parts = min(60, length / 3), defaultdict(list)
    for at, value in points:
        parts[min((at - first) // span, round(length / span) - 1)].append((value, at))
    return [(at, value) for value, at in map(min, parts.values())]


def judge_series(what, points):
    """(slope a minute, rise over the run, what it may be, whether it is flat)"""
    length = points[-1][0] - points[0][0]
    if what in GIVEN_BACK:
        points = lowest(points)
    per_second = slope(points)
    rise = per_second * length
    if what in NEVER_JUDGED:
        return per_second * 60, rise, None, True
    _, share, least = TOLERANCES[what]
    allowed = max(least, share * sum(y for _, y in points) / len(points))
    return per_second * 60, rise, allowed, rise <= allowed


def p99(latencies, kind, begin, end):
    found = sorted(seconds for at, k, seconds in latencies if k == kind and begin <= at < end)
    return found[int(len(found) * 0.99)] * 1000 if found else 0.0


def series_table(sampler):
    print(f"\n{'':34}{'first':>10}{'middle':>10}{'last':>10}{'per minute':>12}{'rise':>10}{'may be':>10}")
    good = True
    for (what, whom), points in sorted(sampler.series.items()):
        if len(points) < 4:
            continue
        minute, rise, allowed, flat = judge_series(what, points)
        unit = NEVER_JUDGED.get(what) or TOLERANCES[what][0]
        may = "-" if allowed is None else f"{allowed:.0f}"
        print(f"{f'{what} {whom} {unit}':34}{points[0][1]:>10}{points[len(points) // 2][1]:>10}"
              f"{points[-1][1]:>10}{minute:>12.1f}{rise:>10.1f}{may:>10}"
              f"{'' if flat else '   RISES'}")
        good = good and flat
    return good


def latency_table(town, start, seconds, warm_up):
    """The machine's own share is taken out: `probe` is what nginx answers without us."""
    window = min(60, (seconds - warm_up) / 3)
    first, last = (start, start + window), (start + seconds - warm_up - window, start + seconds - warm_up)
    found = {k: (p99(town.latencies, k, *first), p99(town.latencies, k, *last)) for k in KINDS}
    machine = max(1.0, found["probe"][1] / max(found["probe"][0], 0.001))
    print(f"\n{f'p99 in ms, of {window:.0f} s':34}{'first':>10}{'last':>10}{'ratio':>12}{'may be':>10}")
    good = True
    for kind, (before, after) in found.items():
        may = WITHIN * machine if kind != "probe" else 0
        fine = kind == "probe" or after <= before * may
        print(f"{kind:34}{before:>10.1f}{after:>10.1f}{after / max(before, 0.001):>12.2f}"
              f"{f'{may:.2f}' if may else '-':>10}{'' if fine else '   SLOWER'}")
        good = good and fine
    return good


def minutes_table(town, sampler, start, seconds):
    """Each minute between the two that are compared: a trend shows here, a bad minute of the machine, too."""
    print(f"\n{'p99 in ms, minute by minute':34}" + "".join(f"{kind:>10}" for kind in KINDS) + f"{'stolen %':>12}")
    for begin in range(0, seconds - 59, 60):
        stolen = [share for at, share in sampler.series["stolen", "by the hypervisor"] if begin <= at < begin + 60]
        print(f"{f'{begin} s':34}" + "".join(f"{p99(town.latencies, kind, start + begin, start + begin + 60):>10.1f}" for kind in KINDS)
              + f"{sum(stolen) / max(1, len(stolen)):>12.1f}")


def report(stack, town, sampler, start, seconds, warm_up):
    """Prints all of it; whether it is good."""
    stored = stack.query("SELECT count(*) FROM messages")[0][0]
    counts = {k: sum(1 for _, kind, _ in town.latencies if kind == k) for k in KINDS}
    print(f"soak: {seconds} s, the first {warm_up} of them to warm up; {stored} messages stored, {town.told} heard, "
          f"{counts['read']} pages read, {counts['connect']} visits")
    flat = series_table(sampler)
    minutes_table(town, sampler, start, seconds - warm_up)
    steady = latency_table(town, start, seconds, warm_up)
    for failure in town.failures[:20]:
        print(f"FAILED {failure}")
    good = flat and steady and not town.failures
    print(f"\nsoak: {'flat' if good else 'NOT flat'}")
    return good
