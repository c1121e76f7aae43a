"""Secrets stay where they belong: in no log, no process list, no error, no core dump, and compared in one time.

The stack here has recognisable secrets in every place there is for one, and each is shown at every door.
"""

import hashlib
import os
import re
import resource
import secrets
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley import procs
from parley.api import account
from parley.check import number_of
from parley.conv import ConvSocket
from parley.rooms import RoomsSocket
from parley.sockets import Closed, DmSocket
from parley.stack import ROOT, binary
from parley.wait import eventually

SMTP_PASSWORD = "smtp-" + secrets.token_hex(12)
STACK = {"settings": {"SMTP_URL": "smtp://127.0.0.1:9", "SMTP_TLS": "none", "SMTP_USER": "parley",
                      "SMTP_PASSWORD": SMTP_PASSWORD, "MAIL_FROM": "chat@example.org", "LOG_LEVEL": "debug"}}
PROGRAMS = ("fcgi-app", "fcgi-auth", "ws-daemon", "courier", "nginx", "postgres")


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


class Shown:
    """The secrets of this run, and every text a client was answered while they were shown."""

    def __init__(self, stack):
        self.stack, self.told = stack, []
        self.alice = account(stack)
        self.guess = "guess-" + secrets.token_hex(12)
        self.link = secrets.token_urlsafe(24)
        old = self.alice.refresh_token
        self.alice.refresh_token = self.alice.refresh().json()["refresh_token"]
        self.secrets = {SMTP_PASSWORD, self.alice.password, self.alice.token, self.alice.token.split(".")[2], old,
                        self.alice.refresh_token, self.guess, self.link}

    def ask(self, method, path, **more):
        resp = self.alice.call(method, path, **more)
        if resp.status_code >= 400:
            self.told.append(resp.text + str(resp.headers))
        return resp

    def everywhere(self):
        for secret in sorted(self.secrets):
            self._on_rest(secret)
        with ThreadPoolExecutor(len(self.secrets)) as pool:     # they wait for the silence after the last answer
            list(pool.map(self._on_sockets, sorted(self.secrets)))
        self._where_statements_fail()

    def _on_rest(self, secret):
        for path in ("/api/v1/auth/login", "/v1/users/login", "/v1/auth/login", "/api/auth/login", "/api/v1/auth/register"):
            self.ask("POST", path, json={"username": secret, "email": secret, "password": self.guess}, token=None)
            self.ask("POST", path, json={"username": self.alice.name, "email": self.alice.name, "password": secret + "x"}, token=None)
            self.ask("POST", path, data='{"password": "%s"' % secret, token=None)
            self.ask("POST", path + "?password=" + secret, json={"password": {"a": secret}}, token=None)
        for path in ("/api/v1/auth/refresh", "/api/auth/refresh", "/api/v1/auth/password/reset", "/api/v1/auth/verify"):
            self.ask("POST", path, json={"refresh_token": secret + "x", "token": secret + "x", "password": secret}, token=None)
        self.ask("POST", "/api/v1/auth/password", json={"current_password": self.guess, "password": secret})
        for path in ("/api/v1/users/me", "/ws", "/nowhere", "/api/v1/auth/verify", "/ws/chat"):
            self.ask("GET", f"{path}?token={secret}&a=%ff", token=secret, headers={"Referer": f"http://x/?token={secret}"})
            self.ask("GET", path, token=None, headers={"Authorization": secret, "Cookie": f"a={secret}"})
            self.ask("GET", f"{path}?token={secret}", token=None, headers={"X-Large": "x" * 9000})
            self.ask("GET", f"{path}?token={secret}&a={'x' * 9000}", token=None)
        self.ask("POST", "/api/v1/messages/dm", data=f"{secret}{'x' * (1 << 20)}", headers={"Content-Type": "text/plain"})

    def _on_sockets(self, secret):
        for make in (DmSocket, ConvSocket, RoomsSocket):
            for query in (f"since={secret}", "since=" + "9" * 30):
                try:
                    with make(self.stack, self.alice.token, query=query) as sock:
                        for frame in ({"type": "auth", "token": secret + "x"}, '{"token": "%s' % secret, {secret: secret}):
                            sock.send(frame)
                        while True:
                            self.told.append(sock.recv_text(1))
                except (Closed, TimeoutError, OSError):
                    pass
        with DmSocket(self.stack, secret + "x") as sock:
            sock.expect_close(4001)

    def _where_statements_fail(self):
        """A fault of ours on the way of every secret: what PostgreSQL then writes down is none of them."""
        rename = "ALTER TABLE {} RENAME COLUMN {} TO {}"
        broken = [("sessions", "network"), ("mail_tokens", "used_at"), ("users", "updated_at")]
        for table, column in broken:
            self.stack.query(rename.format(table, column, "gone"))
            try:
                self.ask("POST", "/api/v1/auth/login", json={"username": self.alice.name, "password": self.alice.password}, token=None)
                self.ask("POST", "/api/v1/auth/refresh", json={"refresh_token": self.alice.refresh_token}, token=None)
                self.ask("POST", "/api/v1/auth/password/reset", json={"token": self.link, "password": self.guess}, token=None)
                self.ask("POST", "/api/v1/auth/password", json={"current_password": self.alice.password, "password": self.guess})
            finally:
                self.stack.query(rename.format(table, "gone", column))


@pytest.fixture(scope="module")
def shown(stack):
    s = Shown(stack)
    stack.query("INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at) VALUES (%s, %s, 'reset', %s, now() + interval '1 hour')",
                hashlib.sha256(s.link.encode()).digest(), number_of(s.alice.id), s.alice.user["email"])
    s.everywhere()
    return s


def found(secrets_, text):
    return [s[:6] + "…" for s in secrets_ if s in text]


def processes(stack):
    """Every process of the stack, the workers and backends too."""
    pids = procs.belonging_to(str(stack.var))
    assert len(pids) > 12
    return pids


# ---------------------------------------------------------------------- logs, ps, errors, rows

def test_no_secret_is_in_any_log(stack, shown):
    stack.wait_for_log("statement_failed")          # what was to fail did
    for name, text in stack.logs().items():
        assert not found(shown.secrets, text), name


def test_no_signing_key_is_in_any_log_or_process(stack, shown):
    keys = [line.split()[1] for line in stack.key_file().read_text().splitlines() if line.strip() and line[0] != "#"]
    assert keys and not found(keys, stack.log_text())
    for pid in processes(stack):
        assert not found(keys, procs.command(pid))


def test_no_secret_is_in_ps_or_an_environment(stack, shown):
    for pid, command in processes(stack).items():
        assert not found(shown.secrets, command), command
        environment = procs._read(f"/proc/{pid}/environ").decode(errors="replace")
        assert not found(shown.secrets, environment), command


def test_no_secret_is_in_an_error(shown):
    assert len(shown.told) > 100
    for text in shown.told:
        assert not found(shown.secrets, text), text[:300]


def test_no_secret_is_in_the_database(stack, shown):
    """Hashes are; the courier's password is the administrator's."""
    tables = [t for t, in stack.query("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'")]
    assert {"sessions", "audit_log", "login_throttle", "mail_tokens"} <= set(tables)
    for table in tables:
        rows = "\n".join(text for text, in stack.query(f"SELECT t::text FROM {table} t"))
        # Somebody registered under such a name, with such an address: those were given as names.
        kept = rows if table != "users" else "\n".join(t for t, in stack.query("SELECT password_hash FROM users"))
        assert not found(shown.secrets, kept), table


def test_files_with_secrets_are_their_owners_alone(stack):
    for path in (stack.var / "conf/parley.env", stack.key_file()):
        assert path.stat().st_mode & 0o077 == 0, path


# ---------------------------------------------------------------------- core dumps

def core_limit(pid):
    """Soft and hard limit of a process, in bytes; zeros for one that has ended meanwhile."""
    line = re.search(r"^Max core file size +(\S+) +(\S+)", procs._read(f"/proc/{pid}/limits").decode(), re.M)
    return tuple(float("inf") if v == "unlimited" else int(v) for v in line.groups()) if line else (0, 0)


def test_no_process_with_secrets_may_dump_core(stack):
    mine = {pid: command for pid, command in processes(stack).items() if any(p.split("-")[0] in command for p in PROGRAMS)
            and "s6-" not in command and not command.startswith(("/bin/sh", "sh "))}
    assert len(mine) > 10
    assert {c: core_limit(pid) for pid, c in mine.items() if max(core_limit(pid)) > 1} == {}


@pytest.mark.parametrize("program", ["fcgi-app", "ws-daemon", "courier"])
def test_a_crash_leaves_no_core_dump(tmp_path, program):
    """Where dumps are allowed; the control shows that they are."""
    allowed = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    control = subprocess.Popen(["sleep", "60"], cwd=tmp_path, preexec_fn=allowed)
    ours = subprocess.Popen([binary(program)], cwd=tmp_path, preexec_fn=allowed, stderr=subprocess.DEVNULL, env={
        "DATABASE_URL": "host=/nowhere", "KEY_FILE": str(tmp_path / "keys"), "FCGI_LISTEN": str(tmp_path / "a.sock"),
        "WS_LISTEN": str(tmp_path / "w.sock")})
    eventually(lambda: core_limit(ours.pid)[0] <= 1, what="it waits for its database")
    dumped = []
    for child in (control, ours):
        child.send_signal(signal.SIGABRT)
        _, status = os.waitpid(child.pid, 0)
        assert os.WTERMSIG(status) == signal.SIGABRT
        child.returncode = -signal.SIGABRT
        dumped.append(os.WCOREDUMP(status))
    assert dumped == [True, False]


# ---------------------------------------------------------------------- comparing

#: Words for what must not be told by how long a comparison takes.
SECRET = re.compile(r"secret|token|password|hash|signature|cookie|hmac", re.I)
COMPARES = re.compile(r"\b(?:str(?:n|case|ncase)?cmp|mem(?:cmp|mem)|bcmp|g_str_equal)\s*\(([^;]*?)\)\s*[;&|)?]")
#: Said of something else: the word is a name in a message, or of what all of them begin with, not the secret itself.
HARMLESS = ("s->key,", "SCRIPT_TOKEN_PREFIX", '"mail_', "statement")


def test_secrets_are_compared_in_constant_time():
    """memcmp and strcmp stop at the first difference. (What is looked up by its hash may: who knows the hash
    of a secret has it already.)"""
    told = []
    for path in sorted(p for d in ("shared", "fcgi-app", "ws-daemon", "courier", "ctl") for p in (ROOT / d).glob("*.[ch]")):
        for match in COMPARES.finditer(path.read_text()):
            if SECRET.search(match[1]) and not any(h in match[1] for h in HARMLESS):
                told.append(f"{path.relative_to(ROOT)}: {match[0]}")
    assert not told


def test_secrets_that_are_compared_are_compared_so():
    """The control: the two places there are, and that the pattern above would find one."""
    for name in ("fcgi-app/token_cache.c", "shared/secret.c"):
        assert "CRYPTO_memcmp(" in (ROOT / name).read_text()
    assert COMPARES.search("if (!memcmp(made, password_hash, len))") and SECRET.search("password_hash")
