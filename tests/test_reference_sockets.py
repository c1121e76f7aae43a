"""docs/realtime.md is true: its frames are sent over real sockets and answered as it shows.

parley/realtime.py tells how the document marks them. Each section is played in a world of its own.
"""

import json
import re
from collections import defaultdict
from contextlib import ExitStack

import pytest

from parley.realtime import PATHS, TEXT, sections
from parley.reference import ROOT, World, reference
from parley.sockets import Closed, Socket

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_every_code_block_is_marked():
    marks = re.findall(r"^```(\S.*)$", TEXT, re.M)
    assert marks and all(re.fullmatch(r"(json|text) (dm|conv|p2p|rooms|groups) (client|server)( \w+)?|http \w+", m) for m in marks), marks


@pytest.mark.parametrize("dialect", PATHS)
def test_every_frame_type_of_the_daemon_is_shown(dialect):
    source = (ROOT / f"ws-daemon/dialect_{dialect}.c").read_text()
    types = set(re.findall(r'\{"(\w+)", (?:true|false), on_\w+\}|_frame\("(\w+)"|\{"(\w+)", \w+\},|strcmp\(\w+\.s, "(\w+)"\)'
                           r'|\(o, "type", json_object_new_string\("(\w+)"\)', source))
    chapter = TEXT.split(f"\n## {dialect}\n")[1].split("\n## ")[0]
    unseen = {t for found in types for t in found if t and f'"{t}"' not in chapter}
    assert not unseen


def test_every_close_code_of_the_error_table_is_explained():
    header = (ROOT / "shared/error.h").read_text().replace("\\\n", " ")
    sent = set(re.findall(r"X\(\w+, \d+, ([1-9]\d*)", header))
    assert sent <= set(re.findall(r"\b(?:1|4)\d{3}\b", TEXT.split("| close code |")[1].split("\n\n")[0]))


# ---------------------------------------------------------------------- playing them

def like(shown, got, world):
    """got is the frame shown, but for ids and times that are only made when it is played."""
    if isinstance(shown, dict):
        return isinstance(got, dict) and shown.keys() == got.keys() and all(like(v, got[k], world) for k, v in shown.items())
    real = world.real(shown)
    if isinstance(shown, str) and real == shown and isinstance(got, str):
        for form in (UUID, TIME):
            if form.fullmatch(shown):
                return bool(form.fullmatch(got))
    if shown == reference()["x-example-world"]["new"]["integer"]:
        return isinstance(got, int) and got > 0
    return got == real


class Play:
    """One section: the sockets of its people, and the frames each got so far."""

    def __init__(self, stack, dialect, sockets):
        self.stack, self.dialect, self.sockets = stack, dialect, sockets
        self.world = World(stack)
        self.opened, self.got = {}, defaultdict(list)

    def socket(self, who, with_token=True):
        if who not in self.opened:
            token = self.world.people[who].token if with_token else None
            header = [f"Sec-WebSocket-Protocol: chat.{self.dialect}"]
            self.opened[who] = self.sockets.enter_context(Socket(self.stack, token, path=PATHS[self.dialect], header=header))
        return self.opened[who]

    def run(self, steps):
        told = {who for kind, who, _ in steps if kind.startswith("open")}
        for who in sorted({w for kind, w, _ in steps if kind in ("client", "server")} - told, reverse=True):
            self.socket(who)            # Bob before Alice, unless the text opens them itself
        for kind, who, content in steps:
            deed, *code = kind.split(" ") if kind.startswith("closed") else [kind.replace(" ", "_")]
            getattr(self, deed)(who, *(code or [content]))

    def open(self, who, _):
        self.socket(who)

    def open_without_token(self, who, _):
        self.socket(who, with_token=False)

    def close(self, who, _):
        self.opened.pop(who).close()

    def closed(self, who, code):
        self.opened[who].expect_close(int(code))

    def client(self, who, frame):
        self.socket(who).send(self.world.real(frame))

    def http(self, who, text):
        head, _, body = text.partition("\n\n")
        method, path = head.split()
        body = {"json": self.world.real(json.loads(body))} if body.strip() else {}
        resp = self.world.people[who].call(method, self.world.real(path), **body)
        assert resp.status_code < 300, f"{head}: {resp.status_code} {resp.text}"

    def server(self, who, shown):
        """The frame shown has come, or comes; each frame counts once."""
        seen = self.got[who]
        while not any(like(shown, frame, self.world) for frame in seen):
            try:
                seen.append(self.socket(who).recv_json())
            except (TimeoutError, Closed) as end:
                raise AssertionError(f"{who} did not get {json.dumps(shown)}\nbut {json.dumps(seen)}\nthen {end}") from None
        del seen[next(i for i, frame in enumerate(seen) if like(shown, frame, self.world))]


@pytest.mark.parametrize("dialect,title,steps", [pytest.param(*s, id=f"{s[0]}-{s[1]}".replace(" ", "-").lower()) for s in sections()])
def test_frames_are_answered_as_shown(stack, dialect, title, steps):
    with ExitStack() as sockets:
        Play(stack, dialect, sockets).run(steps)
