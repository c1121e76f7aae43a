"""What processes hold on to: resident memory and descriptors, before and after."""

import os

from .procs import standing_still
from .stack import BUILD
from .wait import eventually

#: ASan keeps freed memory aside on purpose, so there its own leak check at exit has to do.
SANITIZED = "san" in BUILD


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def of_each_worker(stack, act, pool="fcgi-app"):
    """What a request gets of each worker. The kernel wakes the first of those that wait, so all others stand still
    while one is asked."""
    workers, answers = stack.workers(pool), []
    for worker in workers:
        with standing_still([other for other in workers if other != worker]):
            answers.append(act())
    return answers


def every_worker_serves(stack, person):
    """Whether each of them has its connection to the database."""
    return {resp.status_code for resp in of_each_worker(stack, person.me)} == {200}


def use_every_worker(stack, person):
    """Until each has its connection to the database: one that were first needed later would look like a leak."""
    for pool, act in (("fcgi-app", person.me), ("fcgi-auth", person.another_device)):
        of_each_worker(stack, act, pool)
        workers = stack.workers(pool)
        eventually(lambda: len(set(map(descriptors, workers))) == 1, what="each worker has its connection and no more")


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
        eventually(lambda: not self._more_descriptors(), what=f"as few descriptors as before: {self.fds}")
        grown = {pid: resident_kib(pid) - self.kib[pid] for pid in self.pids}
        assert SANITIZED or max(grown.values()) <= kib, f"KiB: {grown}"
        return grown

    def _more_descriptors(self):
        return [pid for pid in self.pids if descriptors(pid) > self.fds[pid]]
