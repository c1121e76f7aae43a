"""The results as rows: a table for people, JSON for programs.

A figure is the median of its rounds. A ratio is the median of the rounds' own ratios, since the two
sides of a round ran right after each other and shared whatever else the machine was doing.
"""

import json
from dataclasses import asdict, dataclass, field
from statistics import median


@dataclass
class Row:
    """One figure of Parley's, perhaps beside a counterpart's; medians of the rounds kept here."""

    what: str
    rounds: list
    bare: str = ""                                  # the counterpart's name
    bare_rounds: list = field(default_factory=list)
    aim: float = None
    at_most: bool = False                           # the aim bounds the figure, not the ratio
    generator_cpu: float = None                     # cores the load generator kept busy

    @property
    def value(self):
        return median(self.rounds)

    @property
    def bare_value(self):
        return median(self.bare_rounds) if self.bare_rounds else None

    @property
    def ratio(self):
        return median(a / b for a, b in zip(self.rounds, self.bare_rounds)) if self.bare_rounds else None

    @property
    def met(self):
        if self.aim is None:
            return None
        return self.value <= self.aim if self.at_most else self.ratio >= self.aim


def number(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _aim(row):
    if row.aim is None:
        return "", ""
    return (f"<= {row.aim:g}" if row.at_most else f">= {row.aim:.2f}"), "met" if row.met else "missed"


def _cells(row):
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    busy = "" if row.generator_cpu is None else f"{row.generator_cpu:.2f}"
    return (row.what, number(row.value), number(row.bare_value), ratio, *_aim(row), busy, row.bare)


def table(rows):
    lines = [("", "Parley", "bare", "ratio", "aim", "", "gen.", "bare is")] + [_cells(r) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    words = (0, 5, 7)                               # columns of text; the others are numbers
    return "\n".join(
        "  ".join(cell.ljust(w) if i in words else cell.rjust(w)
                  for i, (cell, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines)


def as_json(rows, facts):
    """facts: what else belongs to the run, such as the ceilings."""
    derived = ("value", "bare_value", "ratio", "met")
    whole = [{**asdict(r), **{name: getattr(r, name) for name in derived}} for r in rows]
    return json.dumps({**facts, "rows": whole}, indent=1) + "\n"
