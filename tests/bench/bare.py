"""The bare counterparts, running beside a stack: what each figure is held against.

They use the stack's own PostgreSQL cluster (a scratch schema) and a second nginx with the stack's
own configuration, in which only the directories and the port differ, so that the same directives
handle the same requests.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from parley.stack import free_port
from parley.wait import eventually

TABLE = """
CREATE SCHEMA bench;
CREATE TABLE bench.sends (
    id           bigserial PRIMARY KEY,
    sender_id    bigint NOT NULL,
    recipient_id bigint NOT NULL,
    content      text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
)"""
INSERT = "INSERT INTO bench.sends (sender_id, recipient_id, content) VALUES (1, 2, '{}');"
CEILING = "/bench/ceiling"


class Bare:
    """Start with `with`; everything is ended on the way out."""

    def __init__(self, stack, programs, workers):
        self.stack = stack
        self.programs = Path(programs)
        self.workers = workers
        self.dir = stack.var.parent / "bare"
        self.port = free_port()
        self.running = []

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self._stop()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def echo(self):
        return str(self.dir / "run" / "echo.sock")

    @property
    def broadcast(self):
        return str(self.dir / "run" / "broadcast.sock")

    def pgbench(self, content, clients, seconds):
        """Transactions per second of the same INSERT, without anything around it."""
        script = self.dir / "insert.sql"
        script.write_text(INSERT.format(content))
        installed = Path("/usr/lib/postgresql").glob("*/bin/pgbench")
        program = max(installed, key=lambda path: int(path.parent.parent.name))
        done = subprocess.run([program, "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
                               "-T", str(max(1, round(seconds))), "-f", script, self.stack.conninfo()],
                              capture_output=True, text=True, timeout=60)
        rate = re.search(r"tps = ([0-9.]+)", done.stdout)
        assert done.returncode == 0 and rate, f"pgbench: {done.stdout}{done.stderr}"
        return float(rate.group(1))

    # ------------------------------------------------------------------ starting and stopping

    def _start(self):
        for part in ("run", "log"):
            (self.dir / part).mkdir(parents=True)
        self.stack.query(TABLE)
        run = self.dir / "run"
        self._spawn(self.programs / "bare_fcgi", run / "api.sock", self.workers, self.stack.conninfo())
        self._spawn(self.programs / "bare_ws", "echo", self.echo)
        self._spawn(self.programs / "bare_ws", "broadcast", self.broadcast)
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self._spawn(nginx, "-e", self.dir / "log" / "start.log", "-c", self._nginx_conf(),
                    "-g", "daemon off;")
        for name in ("api.sock", "echo.sock", "broadcast.sock", "nginx.pid"):
            eventually((run / name).exists, 10, f"{name} of the bare counterparts")

    def _nginx_conf(self):
        """The stack's nginx.conf, moved to our directory and port, with one address answered by nginx."""
        var, port = self.stack.var.resolve(), self.stack.port
        text = (var / "conf" / "nginx.conf").read_text()
        for there, here in ((f"{var}/run", f"{self.dir}/run"), (f"{var}/log", f"{self.dir}/log"),
                            (f"127.0.0.1:{port}", self.address)):
            assert there in text, f"{there} is not in the stack's nginx.conf"
            text = text.replace(there, here)
        ceiling = f"location = {CEILING} {{ return 200 'ok'; }}"
        text, found = re.subn(r"(?m)^(\s*listen [^;]*;)", rf"\1 {ceiling}", text, count=1)
        assert found, "no listen directive in the stack's nginx.conf"
        path = self.dir / "nginx.conf"
        path.write_text(text)
        return path

    def _spawn(self, *argv):
        with open(self.dir / "log" / "bare.log", "a") as log:
            self.running.append(subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                                                 stdout=log, stderr=log, start_new_session=True))

    def _stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running = []
