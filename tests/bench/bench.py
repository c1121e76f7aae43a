#!/usr/bin/env python3
"""`make bench`: Parley's speed and size, each figure beside a bare counterpart measured in the same run.

Starts a whole stack in a temporary directory, registers users, opens sockets, and takes turns between
Parley and the counterpart (A B A B …), so that a machine that slows down slows both. Bounded to two
minutes. Exits 1 when something malfunctioned (an error, a message lost, doubled or reordered), and 0
when an aim was missed: the table shows that, and machines differ.
"""

import argparse
import json
import os
import signal
import sys
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bare import CEILING, Bare  # noqa: E402
from load import CONTENT, Generators, of_size, request, send_body  # noqa: E402
from parley import procs  # noqa: E402
from parley.stack import Stack  # noqa: E402
from report import Row, as_json, number, table  # noqa: E402

BUDGET_S = 110          # for all of it but the building and the stopping
WORKERS = 4             # of the api pool, and of its counterpart
IN_FLIGHT = 16          # REST requests, and pgbench's clients
REST_PAIRS = 64
SOCKET_PAIRS, PAIR_WINDOW = 32, 16
FAN, FAN_WINDOW = 1000, 16
IDLE = 5000

#: Limits that protect a real server from what this does to it.
SETTINGS = {"BCRYPT_COST": "4", "SOCKET_RATE": "100000", "SOCKET_BURST": "100000",
            "SOCKETS_PER_USER": str(2 * FAN), "LOGIN_TRIES_ADDRESS": "1000000"}
STACK = {"API_WORKERS": str(WORKERS), "AUTH_RATE": "100000r/s", "WRITE_RATE": "100000r/s", "ADDRESS_RATE": "100000r/s"}


class Bench:
    """A running stack, its counterparts and the users; each measure_ method answers rows."""

    def __init__(self, stack, programs, rounds, started):
        self.stack = stack
        self.rounds = rounds
        self.started = started
        self.gen = Generators(programs, stack.var.parent / "load")
        self.programs = programs
        self.seconds = None         # of one run; settled when it is known how long the rest took
        self.users = []             # (UUID, access token)
        self.stored = 0             # messages acknowledged so far
        self.frame_bytes = 0        # of a message frame as Parley sends it
        self.echo_rates = []        # the socket generator against the bare echo
        self.processes = []         # at rest: command, Rss, Pss
        self.unquiet = 0            # how often the stack was still busy two seconds after a run

    @property
    def nginx(self):
        return f"127.0.0.1:{self.stack.port}"

    @property
    def daemon(self):
        return self.stack.daemon_socket(1)

    def register(self, count):
        bodies = (json.dumps({"username": f"bench{i}", "email": f"bench{i}@example.org",
                              "password": "correct horse battery"}) for i in range(count))
        requests = b"".join(request("POST", "/api/v1/auth/register", body) for body in bodies)
        requests = self.gen.file("register", requests)
        answers = self.gen.rest_once(self.nginx, requests, 201, 4)
        self.users = [(a["id"], a["tokens"]["access_token"]) for a in answers]

    def path(self, user):
        """Where this user's socket is opened."""
        return f"/ws/chat?token={self.users[user][1]}"

    # ------------------------------------------------------------------ memory

    def measure_rest_memory(self):
        """Every process of the stack except PostgreSQL's. Shared pages count once in PSS, often in RSS."""
        self.processes = [{"command": command.split(" --config")[0], **memory(pid)}
                          for pid, command in sorted(procs.belonging_to(str(self.stack.var)).items())
                          if not command.startswith("postgres") and "/bin/postgres " not in command]
        rss, pss = (sum(p[kind] for p in self.processes) / 1024 for kind in ("Rss", "Pss"))
        return [Row("at rest, all but PostgreSQL: sum of RSS, MB", [rss], aim=64, at_most=True),
                Row("the same, sum of PSS, MB", [pss], aim=64, at_most=True)]

    def measure_idle_sockets(self):
        """Before any other socket was open, so nothing freed earlier can be used again."""
        pid = self.stack.pid("ws-daemon")
        sockets = self.gen.sockets("idle", [(self.path(i), None) for i in range(IDLE)])
        before = memory(pid)["Rss"]
        holder = self.gen.sockets_hold(self.daemon, sockets)
        try:
            time.sleep(1)           # what an opened socket still sets going
            size = (memory(pid)["Rss"] - before) / IDLE
        finally:
            holder.stdin.close()
            holder.wait()
        assert holder.returncode == 0, "an idle socket was closed or got a frame"
        return [Row(f"memory per idle socket at {IDLE:,}, kB of RSS", [size], aim=8, at_most=True)]

    # ------------------------------------------------------------------ speed

    def quiet(self):
        """Wait until the stack has digested the last run: its leftovers must not slow the counterpart."""
        pids = list(procs.belonging_to(str(self.stack.var)))
        last, deadline = cpu_ticks(pids), time.monotonic() + 2
        while time.monotonic() < deadline:
            time.sleep(0.1)
            now = cpu_ticks(pids)
            if now - last <= 1:
                return
            last = now
        self.unquiet += 1

    def take_turns(self, *runs):
        """Each run once per round; a list of results per run."""
        results = [[] for _ in runs]
        for _ in range(self.rounds):
            for run, into in zip(runs, results):
                self.quiet()
                into.append(run())
        return results

    def measure_rest(self, bare):
        requests = self.gen.file("sends", b"".join(
            request("POST", "/api/v1/messages/dm", send_body(self.users[2 * i + 1][0]), self.users[2 * i][1])
            for i in range(REST_PAIRS)))

        def parley():
            got = self.gen.rest(self.nginx, requests, 201, self.seconds, IN_FLIGHT)
            self.stored += got["answered"]
            return got

        def pool():
            return self.gen.rest(bare.address, requests, 201, self.seconds, IN_FLIGHT)

        ours, theirs = self.take_turns(parley, pool)
        return [Row("durable REST sends/s, through nginx", rates(ours), "FastCGI pool, one durable INSERT",
                    rates(theirs), aim=0.7, generator_cpu=busiest(ours + theirs))]

    def parley_sockets(self, sockets, group, window):
        got = self.gen.sockets_send(self.daemon, sockets, group, window, self.seconds)
        self.stored += got["sent"]
        self.frame_bytes = round(got["frame_bytes"])
        return got

    def measure_pairs(self, bare):
        lines = []
        for i in range(SOCKET_PAIRS):
            sender, peer = 2 * i, 2 * i + 1
            lines += [(self.path(sender), send_body(self.users[peer][0])), (self.path(peer), None)]
        pairs = self.gen.sockets("pairs", lines)

        def echo():
            sockets = self.gen.sockets("echo", [("/", of_size(self.frame_bytes))] * SOCKET_PAIRS)
            return self.gen.sockets_send(bare.echo, sockets, 1, PAIR_WINDOW, self.seconds)

        ours, echoes, inserts = self.take_turns(
            lambda: self.parley_sockets(pairs, 2, PAIR_WINDOW), echo,
            lambda: bare.pgbench(CONTENT, IN_FLIGHT, self.seconds))
        self.echo_rates = rates(echoes)
        what = f"durable socket sends delivered/s, {SOCKET_PAIRS} pairs"
        return [Row(what, rates(ours), "libwebsockets echo", rates(echoes),
                    generator_cpu=busiest(ours + echoes)),
                Row(what, rates(ours), f"the INSERT from pgbench, {IN_FLIGHT} clients", inserts)]

    def measure_fan(self, bare):
        recipient = self.users[1]
        fan = self.gen.sockets("fan", [(self.path(0), send_body(recipient[0]))] + [(self.path(1), None)] * FAN)

        def broadcast():
            sockets = self.gen.sockets("broadcast", [("/", of_size(self.frame_bytes))] + [("/", None)] * FAN)
            return self.gen.sockets_send(bare.broadcast, sockets, FAN + 1, FAN_WINDOW, self.seconds)

        ours, theirs = self.take_turns(lambda: self.parley_sockets(fan, FAN + 1, FAN_WINDOW), broadcast)
        return [Row(f"deliveries/s, one sender to {FAN:,} sockets", rates(ours), "libwebsockets broadcast",
                    rates(theirs), aim=0.7, generator_cpu=busiest(ours + theirs))]

    def measure_ceiling(self, bare):
        someone, token = self.users[0]
        requests = self.gen.file("ceiling", request("POST", CEILING, send_body(someone), token))
        return self.gen.rest(bare.address, requests, 200, self.seconds, IN_FLIGHT)["rate"]

    def settle_seconds(self):
        """Share what is left of the budget among the runs; each also takes about a second around it."""
        runs = self.rounds * 7 + 1
        left = BUDGET_S - (time.time() - self.started)
        self.seconds = round(min(4.0, max(1.0, left / runs - 1.0)), 1)

    def check_stored(self):
        """What was acknowledged is there, once."""
        found = self.stack.query("SELECT count(*) FROM messages")[0][0]
        assert found == self.stored, f"{self.stored} messages were acknowledged, {found} are stored"


def memory(pid):
    """Rss and Pss of a process in kB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {"Rss": 0, "Pss": 0}
    pairs = (line.split()[:2] for line in text.splitlines())
    return {name[:-1]: int(value) for name, value in pairs if name in ("Rss:", "Pss:")}


def cpu_ticks(pids):
    """User and system time of these processes together."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += int(fields[11]) + int(fields[12])
    return total


def rates(results):
    return [r["rate"] for r in results]


def busiest(results):
    return max(r["cpu"] for r in results)


def measure(bench, stack):
    """All of it; the rows and what else is worth saying."""
    bench.register(IDLE)
    bench.quiet()
    at_rest = bench.measure_rest_memory()
    idle = bench.measure_idle_sockets()
    with Bare(stack, bench.programs, WORKERS) as bare:
        bench.settle_seconds()
        rows = bench.measure_rest(bare) + bench.measure_pairs(bare) + bench.measure_fan(bare)
        ceiling = bench.measure_ceiling(bare)
    bench.check_stored()
    facts = {"cores": os.cpu_count(), "rounds": bench.rounds, "seconds": bench.seconds,
             "frame_bytes": bench.frame_bytes, "unquiet": bench.unquiet, "stored": bench.stored,
             "rest_generator_ceiling": ceiling, "socket_generator_ceiling": max(bench.echo_rates),
             "at_rest": bench.processes}
    return rows + idle + at_rest, facts


def show(rows, facts, started):
    print(f"\nMedians of {facts['rounds']} rounds of {facts['seconds']} s each, taking turns, on "
          f"{facts['cores']} cores.\n\n{table(rows)}\n")
    http, frames = number(facts["rest_generator_ceiling"]), number(facts["socket_generator_ceiling"])
    print(textwrap.fill(
        "REST goes through nginx with one configuration on both sides; sockets, on both sides, go "
        f"straight to the unix socket, past nginx, in frames of {facts['frame_bytes']} bytes. gen. is how "
        f"much of a core the load generator used; its own ceilings here are {http} requests/s against "
        f"nginx's `return 200` and {frames} frames/s against the bare echo. {facts['stored']:,} messages "
        f"were acknowledged and are stored, each once. Took {time.time() - started:.0f} s.", 100))
    if facts["unquiet"]:
        print(f"{facts['unquiet']} times the stack was still busy two seconds after a run, which favours it.")
    sys.stdout.flush()


def too_late(*_):
    raise TimeoutError("the two minutes are over")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", metavar="FILE", help="write the results there, too")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    started = time.time()
    signal.signal(signal.SIGALRM, too_late)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(BUDGET_S + 5)
    stack = Stack(env=STACK, settings=SETTINGS)
    try:
        with stack:
            bench = Bench(stack, os.environ["BENCH_PROGRAMS"], options.rounds, started)
            rows, facts = measure(bench, stack)
            if options.json:
                Path(options.json).write_text(as_json(rows, facts))
            show(rows, facts, started)
    except BaseException:
        print(f"bench: failed; logs and state are kept in {stack.var.parent}", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
