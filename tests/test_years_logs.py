"""Logs are rotated while they are written, in both ways that docs/admin.md knows."""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
from contextlib import closing

import pytest

from parley import procs
from parley.stack import ROOT, binary
from parley.wait import eventually

STACK = {}
WRITERS = ("access.log", "fcgi-app.log", "ws-daemon.log")


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


def talk(alice, bob, connect):
    """Something for every log."""
    sock = connect(alice)
    sock.exchange(bob, "hello")
    sock.close()
    for _ in range(5):
        assert alice.me().status_code == 200


def test_logs_may_be_copied_and_cut_while_they_are_written(stack, alice, bob, connect):
    talk(alice, bob, connect)
    logs = {name: stack.var / "log" / name for name in WRITERS}
    for log in logs.values():
        eventually(lambda: log.stat().st_size)
        os.truncate(log, 0)
    talk(alice, bob, connect)
    for name, log in logs.items():
        eventually(lambda: log.stat().st_size, what=f"{name} goes on")
        assert b"\0" not in log.read_bytes(), f"{name}: it begins where it was cut"


def test_the_access_log_may_be_renamed_as_the_packages_logrotate_does(stack, alice):
    """With the directory and the file as the package makes them, and the signal that `invoke-rc.d nginx rotate` sends."""
    rules = (ROOT / "ctl/debian/parley.logrotate").read_text()
    made = (ROOT / "ctl/systemd/tmpfiles.conf").read_text()
    mode = re.search(r"create (\d+) www-data adm", rules)[1]
    directory = re.search(r"/var/log/parley +(\d+) +www-data adm", made)[1]
    log = stack.var / "log" / "access.log"
    nginx = stack.pid("nginx")
    if os.getuid() == 0:
        shutil.chown(log.parent, "www-data", "adm")
        log.parent.chmod(int(directory, 8))
    alice.me()
    eventually(lambda: log.stat().st_size)
    old = log.rename(log.with_name("access.log.1"))
    log.touch()
    if os.getuid() == 0:
        shutil.chown(log, "www-data", "adm")
    log.chmod(int(mode, 8))
    procs.kill(nginx, signal.SIGUSR1)
    eventually(lambda: alice.me().status_code == 200 and log.stat().st_size, what="the new one is written")
    eventually(lambda: not any(procs.has_open(pid, old) for pid in procs.children(nginx)), what="by every worker")
    size = old.stat().st_size
    for _ in range(20):
        alice.me()
    eventually(lambda: log.read_text().count("/api/v1/users/me") > 20)
    assert old.stat().st_size == size and stack.pid("nginx") == nginx


def test_a_reader_of_the_log_that_stands_still_holds_no_daemon_up(stack, tmp_path):
    """As journald can. The daemon has one thread; sockets that are refused are a line each."""
    listen = tmp_path / "ws.sock"
    ours, its = os.pipe()
    room = fcntl.fcntl(its, fcntl.F_SETPIPE_SZ, 16384)
    daemon = subprocess.Popen([binary("ws-daemon")], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=its,
                              env={"PATH": os.environ["PATH"], "WS_LISTEN": str(listen), "KEY_FILE": str(stack.key_file()),
                                   "DATABASE_URL": stack.conninfo()})
    try:
        eventually(lambda: answer(listen, "/").startswith("HTTP/1.1 404"), what="it serves")
        for _ in range(2 * room // 100):
            assert " 101 " in answer(listen, "/ws/chat?token=x", "Connection: Upgrade", "Upgrade: websocket",
                                     "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        assert answer(listen, "/").startswith("HTTP/1.1 404")
        assert len(os.read(ours, 65536)) > room // 2
        eventually(lambda: answer(listen, "/ws/chat?token=x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==") and b"lines_dropped=" in os.read(ours, 65536))
    finally:
        daemon.terminate()
        daemon.wait(15)
        os.close(ours)
        os.close(its)
    assert daemon.returncode == 0


def answer(path, target, *headers):
    """What a request gets first on a unix socket."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(3)
        try:
            sock.connect(str(path))
        except OSError:
            return ""
        sock.sendall("\r\n".join([f"GET {target} HTTP/1.1", "Host: parley", *headers, "", ""]).encode())
        return sock.recv(4096).decode(errors="replace")
