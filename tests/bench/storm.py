#!/usr/bin/env python3
"""What a reconnect of many users costs: rows and statements in PostgreSQL, frames, CPU, time until quiet.

Usage: tests/bench/storm.py [USERS] (default 5,000). Starts a stack of its own with one daemon; each user is
in one group of 20 and in four direct conversations. Prints a table.
"""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from parley.api import account  # noqa: E402
from parley.crowd import Crowd, expected_view, people, rows_written, usage  # noqa: E402
from parley.stack import Stack  # noqa: E402
from parley.wait import eventually  # noqa: E402

COLUMNS = ("rows in", "rows out", "changes", "viewers", "people", "online", "offline", "quiet s", "cpu s", "rss MB", "db s")


class Storm:
    def __init__(self, stack, users):
        self.stack = stack
        self.persons = people(stack, account(stack).token, users)
        self.crowd = Crowd(stack, self.persons)
        self.due = expected_view(self.persons)

    def statements(self):
        """{what: calls} since the last reset, and the seconds PostgreSQL spent on all of them."""
        rows = self.stack.query("SELECT query, calls, total_exec_time / 1000 FROM pg_stat_statements "
                                "WHERE query LIKE '%%presence_%%' OR query LIKE '%%x.subject%%' OR query LIKE '%%pg_notify%%'")
        found = dict.fromkeys(("changes", "viewers", "people"), 0)
        for query, calls, _ in rows:
            if "x.subject" in query:
                found["people" if "online" in query else "viewers"] += calls
            elif "presence_up" in query or "presence_down" in query or "daemon" in query:
                found["changes"] += calls
        return found, sum(row[2] for row in rows)

    def measure(self, title, action, quiet=4):
        self.stack.query("SELECT pg_stat_statements_reset()")
        rows, pid = rows_written(self.stack), self.stack.pid("ws-daemon")
        cpu, start = usage(pid)[0], time.monotonic()
        self.crowd.frames.clear()
        action()
        self.crowd.settle(quiet)
        took = self.crowd.last_at - start
        now = self.stack.pid("ws-daemon")
        used, rss = usage(now)
        inserted, deleted = (b - a for a, b in zip(rows, rows_written(self.stack)))
        calls, seconds = self.statements()
        values = (inserted, deleted, *calls.values(), self.crowd.frames["online"], self.crowd.frames["offline"],
                  f"{took:.1f}", f"{used - (cpu if now == pid else 0):.2f}", f"{rss / 1024:.0f}", f"{seconds:.2f}")
        print(f"{title:34}" + "".join(f"{v:>9}" for v in values), flush=True)

    def connect(self):
        self.crowd.open(daemon=1)

    def reconnect(self):
        self.crowd.hang_up().open(daemon=1)

    def half_leave(self):
        """The other half hears of it; those in the same group of 20 leave together, so the pairs are few."""
        for peer in self.crowd.peers[::2]:
            self.crowd.selector.unregister(peer.sock)
            peer.sock.close()
        self.crowd.peers = self.crowd.peers[1::2]

    def restart(self, sig):
        old = self.stack.kill("ws-daemon", sig)
        self.crowd.everybody_closed()
        self.stack.seconds_to_respawn("ws-daemon", old)
        eventually(lambda: self.stack.daemon_ready(1), 15)
        self.crowd.hang_up().open(daemon=1)
        assert_whole(self)

    def run(self):
        print(f"{len(self.persons)} users, {sum(map(len, self.due.values()))} pairs\n{'':34}" + "".join(f"{c:>9}" for c in COLUMNS))
        self.measure("all connect at once", self.connect)
        assert_whole(self)
        self.measure("all reconnect within the debounce", self.reconnect)
        assert_whole(self)
        self.measure("the daemon is killed, all return", lambda: self.restart(signal.SIGKILL), quiet=28)
        self.measure("the daemon restarts, all return", lambda: self.restart(signal.SIGTERM), quiet=10)
        self.measure("every second one leaves", self.half_leave)
        self.crowd.hang_up()


def assert_whole(storm):
    storm.crowd.settle(3)
    view = storm.crowd.view()
    wrong = sum(view[i] != due for i, due in storm.due.items())
    assert not wrong, f"{wrong} users were not told of everybody"


def main():
    with Stack(settings={"LOG_LEVEL": "notice"}) as stack:
        stack.query("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        old = stack.kill("postmaster", signal.SIGINT)
        stack.seconds_to_respawn("postmaster", old)
        eventually(stack.ready, 20)
        stack.query("CREATE EXTENSION pg_stat_statements")
        Storm(stack, int(sys.argv[1]) if len(sys.argv) > 1 else 5000).run()


if __name__ == "__main__":
    main()
