"""docs/realtime.md as the tests see it: its frames, in order, and who sends or gets each.

A code block's info string says what it is: `json conv client bob` is a frame Bob sends in the conv
dialect, `json conv server` one that Alice's socket gets, `http alice` a request of hers. Comments open
and close sockets: `<!-- bob: close -->`.
"""

import json
import re

from .reference import ROOT

TEXT = (ROOT / "docs/realtime.md").read_text()
PATHS = {"dm": "/ws/chat", "conv": "/api/v1/ws", "p2p": "/ws", "rooms": "/v1/messages/ws", "groups": "/ws"}

STEP = re.compile(r"^```(?P<info>(?:json|text|http) [^\n]+)\n(?P<block>.*?)^```$|^<!-- (?P<who>\w+): (?P<deed>[\w ]+) -->$",
                  re.M | re.S)


def sections():
    """[(dialect, title, steps)]; a step is (kind, who, content)."""
    for chapter in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        dialect = chapter.split("\n", 1)[0]
        for section in re.split(r"^### ", chapter, flags=re.M)[1:]:
            steps = [step(m, dialect) for m in STEP.finditer(section)]
            if steps:
                yield dialect, section.split("\n", 1)[0], steps


def step(m, dialect):
    if m["deed"]:
        return m["deed"], m["who"], None
    syntax, *words = m["info"].split()
    if syntax == "http":
        return "http", words[0], m["block"]
    assert words[0] == dialect, f"a {words[0]} frame in the chapter of {dialect}"
    who = words[2] if len(words) > 2 else "alice"
    return words[1], who, json.loads(m["block"]) if syntax == "json" else m["block"].rstrip("\n")
