"""What goes wrong, one kind a method. Every kind is told who by the same random numbers for the same seed, and ends
what it began: who was stopped goes on, a bad link is healed.
"""

import copy
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2

from parley import procs
from parley.wait import eventually

POOLS = ("fcgi-app", "fcgi-auth")
KILLED = "KILL"
STOPPED = "STOP"


@dataclass
class Strike:
    """One fault: what, to whom, from when to when."""

    kind: str
    begun: float
    target: str = ""
    ended: float = 0.0

    def __str__(self):
        return f"{self.kind} {self.target}".rstrip()


class Faults:
    """scale: seconds a fault that lasts does last, at most."""

    def __init__(self, stack, links, seed, scale):
        self.stack, self.links, self.seed, self.scale = stack, links, seed, scale
        self.strikes = []

    def strike(self, kind):
        """Do one fault from its begin to its end, and note it. Several at once may go on in threads."""
        strike = Strike(kind, time.time())
        here = copy.copy(self)
        here.rng = random.Random(f"{self.seed} {len(self.strikes)}")
        self.strikes.append(strike)
        try:
            strike.target = KINDS[kind](here) or ""
        finally:
            strike.ended = time.time()
        return strike

    # ------------------------------------------------------------------ processes

    def _while(self):
        """However long a fault lasts."""
        time.sleep(self.rng.uniform(0.3, 1) * self.scale)

    @contextmanager
    def _stopped(self, pids):
        stopped = []
        try:
            for pid in pids:
                if self._signal(pid, signal.SIGSTOP):
                    stopped.append(pid)
            yield
        finally:
            for pid in stopped:
                self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid, sig):
        """False when the process is gone already: another fault may have taken it along."""
        try:
            procs.kill(pid, sig)
            return True
        except ProcessLookupError:
            return False

    def _hit(self, how, pids, name):
        """Kill or stop these; name: the service that is back afterwards."""
        if how == STOPPED:
            with self._stopped(pids):
                self._while()
            return
        old = self.stack.pid(name)
        for pid in pids:
            self._signal(pid, signal.SIGKILL)
        if old in pids:
            self._back(name, old)

    def _back(self, name, old):
        self.stack.seconds_to_respawn(name, old, 30)

    def _present(self, name):
        """The pid of a service that runs; one that was hit a moment ago may be on its way."""
        return eventually(lambda: (pid := self.stack.pid(name)) and procs.alive(pid) and pid, 30, f"{name} runs")

    def daemons(self):
        return ["ws-daemon"] + [f"ws-daemon-{n}" for n in range(2, self.stack.daemons + 1)]

    def daemon(self, how):
        name = self.rng.choice(self.daemons())
        self._hit(how, [self._present(name)], name)
        return name

    def worker(self, how):
        pool = self.rng.choice(POOLS)
        self._present(pool)
        self._hit(how, [self.rng.choice(eventually(lambda: sorted(self.stack.workers(pool)), 10, "workers"))], pool)
        return pool

    def pool(self, how):
        pool = self.rng.choice(POOLS)
        self._hit(how, [self._present(pool), *self.stack.workers(pool)], pool)
        return pool

    def nginx_worker(self, how):
        self._present("nginx")
        workers = eventually(lambda: sorted(self.stack.workers("nginx")), 10, "nginx's workers")
        self._hit(how, [self.rng.choice(workers)], "nginx")

    def reload(self):
        self._present("nginx")
        nginx_reload(self.stack)

    def restart_pools(self):
        for name in POOLS:
            self._restart(name)

    def restart_daemons(self):
        for name in self.daemons():
            self._restart(name)

    def _restart(self, name):
        old = self._present(name)
        self._signal(old, signal.SIGTERM)
        self._back(name, old)

    # ------------------------------------------------------------------ PostgreSQL

    def _backends(self, listeners):
        """The pids of the programs' backends; listeners: of those that LISTEN."""
        sql = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'parley%' AND pid <> pg_backend_pid() ORDER BY pid"

        def ask():
            try:
                return self.stack.listeners() if listeners else [pid for pid, in self.stack.query(sql)]
            except psycopg2.Error:
                return None             # it is coming back
        return eventually(ask, 30, "backends")

    def backend(self, how, listener=False):
        self._hit(how, [self.rng.choice(self._backends(listener))], "postmaster")

    def listener(self, how):
        self.backend(how, listener=True)

    def end_backends(self):
        """As an administrator does."""
        for pid in self._backends(False):
            self._signal(pid, signal.SIGTERM)

    def postmaster(self, how):
        self._hit(how, [self._present("postmaster")], "postmaster")

    # ------------------------------------------------------------------ the network between the parts

    def _link(self, **how):
        name = self.rng.choice(self.links.names)
        self.links.set(name, **how)
        try:
            self._while()
        finally:
            self.links.set(name)
        return name

    def latency(self):
        delay = self.rng.uniform(0.02, 0.2)
        return self._link(delay=delay, jitter=delay)

    def loss(self):
        return self._link(delay=0.005, loss=self.rng.uniform(0.05, 0.3))

    def partition(self):
        return self._link(closed=True)

    def cut(self):
        name = self.rng.choice(self.links.names)
        self.links.set(name, cut=True)
        return name


def nginx_reload(stack):
    subprocess.run(["nginx", "-e", str(stack.var / "log/nginx.log"), "-c", str(stack.var / "conf/nginx.conf"), "-s", "reload"],
                   check=True, capture_output=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})


def _kinds():
    kinds = {}
    for what in ("daemon", "worker", "pool", "nginx_worker", "backend", "listener", "postmaster"):
        for word, how in (("kill", KILLED), ("stop", STOPPED)):
            kinds[f"{word} {what.replace('_', ' ')}"] = lambda f, what=what, how=how: getattr(f, what)(how)
    kinds.update({"end backends": Faults.end_backends, "reload nginx": Faults.reload, "restart pools": Faults.restart_pools,
                  "restart daemons": Faults.restart_daemons, "latency": Faults.latency, "loss": Faults.loss,
                  "partition": Faults.partition, "cut": Faults.cut})
    return kinds


#: name → what does it to a Faults.
KINDS = _kinds()
