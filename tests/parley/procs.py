"""Looking at processes through /proc. Kills nothing by name, ever."""

import os
import signal
from contextlib import contextmanager

from .wait import eventually


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def state(pid):
    """Its letter in proc(5); b"" when it is gone."""
    stat = _read(f"/proc/{pid}/stat")
    return stat.rpartition(b")")[2].split()[0] if stat else b""


def alive(pid):
    """Whether pid runs (a zombie does not)."""
    return state(pid) not in (b"Z", b"X", b"")


def command(pid):
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()


def name(pid):
    """What a process calls itself; "" when it is gone."""
    return _read(f"/proc/{pid}/comm").decode(errors="replace").strip()


def children(pid):
    """The direct children of pid that still run."""
    found = []
    for task in _listdir(f"/proc/{pid}/task"):
        found += [int(p) for p in _read(f"/proc/{pid}/task/{task}/children").split()]
    return [p for p in found if alive(p)]


def _listdir(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def _paths(pid, links):
    for link in links:
        try:
            yield os.readlink(f"/proc/{pid}/{link}")
        except OSError:
            continue


def _files(pid):
    """The paths of its open files, as the kernel names them."""
    return _paths(pid, [f"fd/{fd}" for fd in _listdir(f"/proc/{pid}/fd")])


def has_open(pid, path):
    return str(path) in _files(pid)


def _touches(pid, directory):
    """Whether a process has directory in its command line, environment, cwd or open files."""
    needle = directory.encode()
    if needle in _read(f"/proc/{pid}/cmdline") or needle in _read(f"/proc/{pid}/environ"):
        return True
    return any(path.startswith(directory) for path in (*_paths(pid, ("cwd", "exe")), *_files(pid)))


def belonging_to(directory):
    """{pid: command} of every running process that has to do with directory, this one excepted."""
    mine = {os.getpid(), os.getppid()}
    return {
        int(p): command(p)
        for p in os.listdir("/proc")
        if p.isdigit() and int(p) not in mine and alive(p) and _touches(p, directory)
    }


def kill(pid, sig=signal.SIGKILL):
    os.kill(pid, sig)


@contextmanager
def standing_still(pids):
    """Processes that do nothing in this block, and go on after it."""
    stopped = []
    try:
        for pid in pids:
            kill(pid, signal.SIGSTOP)
            stopped.append(pid)
        eventually(lambda: all(state(pid) in (b"T", b"") for pid in stopped), what=f"{stopped} stand still")
        yield
    finally:
        for pid in stopped:
            if alive(pid):
                kill(pid, signal.SIGCONT)


def owner(pid):
    """The user id a process runs as."""
    return os.stat(f"/proc/{pid}").st_uid
