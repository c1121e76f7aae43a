"""What processes hold on to: resident memory and descriptors, before and after."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

from .stack import BUILD
from .wait import eventually

#: ASan keeps freed memory aside on purpose, so there its own leak check at exit has to do.
SANITIZED = "san" in BUILD


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def use_every_worker(stack, people):
    """Until each has its connection to the database, if that can be had by asking: one that were first needed later
    would look like a leak."""
    acts = [act for person in people for act in (person.me, person.another_device)]

    def alike():
        return all(len(set(map(descriptors, stack.workers(pool)))) == 1 for pool in ("fcgi-app", "fcgi-auth"))

    def used():
        with ThreadPoolExecutor(32) as crowd:
            for answer in [crowd.submit(act) for act in acts * (32 // len(acts) + 1)]:
                answer.result()
        try:
            return eventually(alike, 0.5)       # what the last request had open is closed by then
        except AssertionError:
            return False

    deadline = time.monotonic() + 20
    while not used() and time.monotonic() < deadline:
        pass                                    # who is never needed now is hardly needed later


class Growth:
    """Every worker and every daemon of a stack, as they are now."""

    def __init__(self, stack):
        self.pids = [pid for pool in ("fcgi-app", "fcgi-auth") for pid in stack.workers(pool)]
        self.pids += [stack.pid("ws-daemon")]
        self.stack = stack
        self.kib = {pid: resident_kib(pid) for pid in self.pids}
        self.fds = {pid: descriptors(pid) for pid in self.pids}

    def assert_none(self, kib):
        """The same processes have no more descriptors and at most so much more memory each."""
        eventually(lambda: not self._more_descriptors(), 5, f"as few descriptors as before: {self.fds}")
        grown = {pid: resident_kib(pid) - self.kib[pid] for pid in self.pids}
        assert SANITIZED or max(grown.values()) <= kib, f"KiB: {grown}"
        return grown

    def _more_descriptors(self):
        return [pid for pid in self.pids if descriptors(pid) > self.fds[pid]]
