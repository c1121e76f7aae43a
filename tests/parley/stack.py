"""A whole Parley in a temporary directory: ctl/stack.sh started as `make start` would.

Every stack has its own port, state directory and (unless DATABASE_URL is given) PostgreSQL cluster.
stop() asserts what no test should have to say again: no process is left, no sanitizer spoke, and
no secret the tests handed in or got back is in any log.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import requests
from websocket import WebSocketException

from . import procs
from .api import account
from .cluster import ROLE, copy_template, state_directory
from .sockets import Closed, DmSocket
from .wait import PATIENCE, eventually, seconds_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BUILD", "build")
#: What sanitizers write into a log, or valgrind, which is told to write nothing else.
SANITIZERS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|^==\d+== ", re.M)
JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+")
WORD = re.compile(r"[A-Za-z0-9_-]{12,}")        # how a password or refresh token would stand in a log

#: What ordinary tests run with: bcrypt at its cheapest, no limit they could run into.
QUICK_ENV = {"AUTH_RATE": "100000r/s", "WRITE_RATE": "100000r/s", "ADDRESS_RATE": "100000r/s"}
QUICK_SETTINGS = {"BCRYPT_COST": "4", "SOCKET_RATE": "100000", "SOCKET_BURST": "100000", "LOGIN_TRIES": "1000000",
                  "LOGIN_TRIES_ADDRESS": "1000000"}


_given_ports = set()


def free_port():
    """A port nobody listens on, below the range the kernel hands to outgoing connections. As it may be a while until
    somebody does, each worker of a run has ports of its own, and gives none twice."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    while True:
        port = random.randrange(18000 + worker, 32000, workers)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                continue
        if port not in _given_ports:
            _given_ports.add(port)
            return port


def binary(name):
    """The path of one of the programs under test."""
    return str((ROOT / BUILD / name).resolve())


class Stack:
    """env: settings of ctl/stack.sh itself; settings: Parley's own, in conf/parley.env.

    None for either's value leaves the shipped default in place.
    """

    def __init__(self, daemons=1, env=None, settings=None, var=None, port=None, prefix=(), fresh=False):
        self.own_var = var is None
        self.fresh = fresh              # makes its cluster itself, as on a new machine
        self.keep = False               # the state directory, for a look at it after failures
        self.var = Path(var) if var else state_directory() / "var"
        self.port = port or free_port()
        self.daemons = daemons
        self.prefix = list(prefix)      # of the command line: whom to run as
        self.env = {**QUICK_ENV, **(env or {})}
        self.settings = {**QUICK_SETTINGS, **(settings or {})}
        self._probes = None             # two accounts that ready() asks with
        self.secrets = set()            # tokens and passwords seen in this stack; none may be logged

    # ------------------------------------------------------------------ starting and stopping

    def environment(self):
        """What ctl/stack.sh gets to see: nothing of the caller's that could leak into a setting."""
        keep = ("PATH", "HOME", "USER", "LANG", "TERM", "SUDO_USER", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
                "VALGRIND", "PARLEY_TEST_RUN")
        env = {k: os.environ[k] for k in keep if k in os.environ}
        env.update(VAR=str(self.var), PORT=str(self.port), METRICS_PORT="0", DAEMONS=str(self.daemons), BUILD=BUILD,
                   PARLEY_SKIP_SETUP="1", PARLEY_TEST="1")
        env.update({k: v for k, v in self.env.items() if v is not None})
        env.update({f"PARLEY_SET_{k}": str(v) for k, v in self.settings.items() if v is not None})
        return env

    def script(self, verb, timeout=90, check=True):
        """Run `ctl/stack.sh verb`; the answer is a CompletedProcess with the output as text.

        The output goes through a file: a supervisor that kept a pipe open would keep us waiting.
        """
        with tempfile.TemporaryFile("w+") as out:
            done = subprocess.run([*self.prefix, str(ROOT / "ctl/stack.sh"), verb], cwd=ROOT, env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                  timeout=timeout)
            out.seek(0)
            done.stdout = out.read()
        if check and done.returncode:
            raise AssertionError(f"ctl/stack.sh {verb}: exit {done.returncode}\n{done.stdout}\n{self.tail()}")
        return done

    def start(self):
        try:
            if self.own_var and not self.fresh and not self.var.exists() and not self.env.get("DATABASE_URL"):
                copy_template(self.var)
            self.script("start")
        except BaseException:
            self.give_up()
            raise
        return self

    def stop(self):
        """Stop, and assert that nothing was left behind."""
        try:
            self.script("stop")
            self.assert_nothing_runs()
        except BaseException:
            self._end_leftovers()
            raise
        self.assert_logs_are_clean()
        if not self.keep:
            self.discard()

    def discard(self):
        """Remove the state directory, unless it is somebody else's."""
        if self.own_var:
            shutil.rmtree(self.var.parent)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.give_up()

    def give_up(self):
        """After a failure: end everything, keep the state directory to look at."""
        try:
            self.script("stop", check=False)
        finally:
            self._end_leftovers()

    def assert_nothing_runs(self):
        left = procs.belonging_to(str(self.var))
        assert not left, f"left running after stop: {left}"

    def _end_leftovers(self):
        for pid in procs.belonging_to(str(self.var)):
            try:
                procs.kill(pid)
            except ProcessLookupError:
                pass

    # ------------------------------------------------------------------ addresses

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self):
        return f"ws://127.0.0.1:{self.port}"

    def daemon_socket(self, number):
        """The unix socket of the n-th daemon, past nginx."""
        return str(self.var / "run" / ("ws.sock" if number == 1 else f"ws-{number}.sock"))

    def answers(self):
        """Whether a request reaches a worker."""
        try:
            return requests.get(self.url + "/api/v1/users/me", timeout=2).status_code == 401
        except requests.RequestException:
            return False

    def ready(self):
        """Whether every worker of both pools and every daemon can do its work, database included."""
        try:
            self._probes = self._probes or (account(self), account(self))
            me = self._probes[0]
            asks = [me.me, lambda: me.login(username="nobody", password="password")] * 8
            with ThreadPoolExecutor(8) as pool:         # enough at once to meet every worker
                statuses = {resp.status_code for resp in pool.map(lambda ask: ask(), asks)}
        except (requests.RequestException, AssertionError):
            return False
        return statuses == {200, 401} and all(map(self.daemon_ready, range(1, self.daemons + 1)))

    def forget_probes(self):
        self._probes = None

    def daemon_ready(self, number):
        """Whether a message sent to the n-th daemon comes back."""
        one, other = self._probes
        try:
            with DmSocket(self, one.token, daemon=number) as sock:
                return "id" in sock.exchange(other, "ready?")
        except (OSError, AssertionError, Closed, WebSocketException):
            return False

    # ------------------------------------------------------------------ processes

    def pid(self, name):
        """The pid in run/<name>.pid, None while there is none."""
        try:
            return int((self.var / "run" / f"{name}.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def kill(self, name, sig=signal.SIGKILL):
        """Signal a process by its pid file and return the pid it had."""
        pid = self.pid(name)
        assert pid and procs.alive(pid), f"{name} does not run (pid {pid})"
        procs.kill(pid, sig)
        return pid

    def runs_again(self, name, old):
        pid = self.pid(name)
        return bool(pid) and pid != old and procs.alive(pid)

    def seconds_to_respawn(self, name, old, timeout=PATIENCE):
        return seconds_until(lambda: self.runs_again(name, old), timeout, f"{name} runs again")

    def workers(self, pool="fcgi-app"):
        return [pid for pid in procs.children(self.pid(pool)) if procs.name(pid) != "parley-monitor"]

    # ------------------------------------------------------------------ database

    def conninfo(self, dbname="parley"):
        if self.env.get("DATABASE_URL"):
            return self.env["DATABASE_URL"]
        return f"host={self.var}/run user={ROLE} dbname={dbname}"

    def db(self, dbname="parley", autocommit=True):
        """A connection of the test's own to the stack's database."""
        conn = psycopg2.connect(self.conninfo(dbname), connect_timeout=5,
                                application_name="parley-tests")
        conn.autocommit = autocommit
        return conn

    def query(self, sql, *args):
        """All rows of one statement."""
        conn = self.db()
        try:
            with conn.cursor() as cur:
                cur.execute(sql, args or None)
                return cur.fetchall() if cur.description else []
        finally:
            conn.close()

    def listeners(self):
        """The pids of the daemons' backends that LISTEN."""
        return [pid for pid, in self.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'parley-ws%' "
            "AND (query LIKE '%changes AS MATERIALIZED%' OR query LIKE 'LISTEN%' OR application_name LIKE '%feed')")]

    def listen_as(self, role, *attributes):
        """Have the daemon LISTEN as a new role, which is the tests' too: it, or all else, can be kept out alone then."""
        self.query(f'CREATE ROLE {role} LOGIN {" ".join(attributes)}; GRANT "{ROLE}" TO {role}')
        with (self.var / "conf/pg_ident.conf").open("a") as f:
            f.write(f"parley {ROLE} {role}\nparley root {role}\n")
        self.query("SELECT pg_reload_conf()")
        with (self.var / "conf/parley.env").open("a") as f:
            f.write(f"LISTEN_DATABASE_URL=host={self.var}/run user={role} dbname=parley\n")
        self.kill("ws-daemon", signal.SIGTERM)
        eventually(lambda: self.query("SELECT 1 FROM pg_stat_activity WHERE usename = %s", role))

    def disable(self, username):
        """Disable an account as an administrator's command does: the row, the event, the wake-up."""
        self.query("WITH u AS (UPDATE users SET is_active = false WHERE username = %s RETURNING id) "
                   "INSERT INTO events (kind, user_id) SELECT 'user_disabled', id FROM u", username)
        self.query("SELECT wake()")

    def database_answers(self):
        try:
            return self.query("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False

    # ------------------------------------------------------------------ configuration and logs

    def written_settings(self):
        """conf/parley.env as a dictionary."""
        lines = (self.var / "conf" / "parley.env").read_text().splitlines()
        pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
        return {key.strip(): value.strip().strip("'\"") for key, _, value in pairs}

    def key_file(self):
        """The file the signing keys are in."""
        path = Path(self.written_settings().get("KEY_FILE", self.var / "keys" / "jwt.keys"))
        return path if path.is_absolute() else ROOT / path

    def logs(self):
        """{file name: text} of everything under log/."""
        files = (p for p in (self.var / "log").rglob("*") if p.is_file())
        return {str(p.relative_to(self.var)): p.read_text(errors="replace") for p in files}

    def log_text(self):
        return "\n".join(self.logs().values())

    def tail(self, lines=25):
        """The end of every log, for a failure's message."""
        if not self.var.exists():
            return "(no state directory)"
        return "\n".join(f"--- {name}\n" + "\n".join(text.splitlines()[-lines:]) for name, text in self.logs().items())

    def wait_for_log(self, text, timeout=PATIENCE):
        eventually(lambda: text in self.log_text(), timeout, f"{text!r} in a log")

    def assert_logs_are_clean(self):
        for name, text in self.logs().items():
            spoke = SANITIZERS.search(text)
            assert not spoke, f"{name}: {text[max(0, spoke.start() - 200):spoke.start() + 3000]}"
            token = JWT.search(text)
            assert not token, f"a token in {name}: {text[max(0, token.start() - 200):token.start() + 60]}"
            leaked = self.secrets.intersection(WORD.findall(text))
            assert not leaked, f"{len(leaked)} secrets in {name}"
