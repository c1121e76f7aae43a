"""docs/scripts.md: every snippet does what it is said to do, from an empty home directory on; docs/scripts/."""

import json
import os
import re
import signal
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from parley.api import fresh_name, fresh_password
from parley.conv import conv_account
from parley.events import now
from parley.stack import ROOT, free_port
from parley.wait import eventually

DOC = (ROOT / "docs/scripts.md").read_text()
SNIPPETS = dict(re.findall(r"<!-- (\w+) -->\n```\w+\n(.*?)^```$", DOC, re.S | re.M))


class Home:
    """Somebody's home directory, in which the snippets are run as they stand, but for names and addresses."""

    def __init__(self, stack, path):
        self.stack, self.path = stack, path
        self.alice = conv_account(stack)
        self.bot, self.password = fresh_name("bot"), fresh_password()
        self.env = {"HOME": str(path), "PARLEY_DIR": str(path / ".parley"), "LANG": "C.UTF-8",
                    "PATH": f"{path}/bin:{os.environ['PATH']}"}
        self.run("install", cwd=ROOT)
        self.run("account", input=self.password + "\n")
        self.run("group")
        self.room = next(c for c in self.alice.list() if c["name"] == "ops")

    def real(self, text):
        text = re.sub(r"\balice\b", self.alice.name, text.replace("http://127.0.0.1:8080", self.stack.url))
        return text.replace("ops-bot", self.bot).replace("/home/you", str(self.path))

    def bash(self, script, code=0, **more):
        more = {"cwd": self.path, "env": self.env, "text": True, "timeout": 60, **more}
        done = subprocess.run(["bash", "-c", script], capture_output=True, **more)
        assert done.returncode == code, f"{script}\n{done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def run(self, name, **more):
        return self.bash("set -euo pipefail\n" + self.real(SNIPPETS[name]), **more)

    def program(self, name, snippet):
        path = self.path / "bin" / name
        path.write_text(self.real(SNIPPETS[snippet]))
        path.chmod(0o755)
        return str(path)

    def cron(self, name):
        """Runs the job of a crontab as cron does; answers what it printed, and the crontab's settings."""
        *settings, job = self.real(SNIPPETS[name]).splitlines()
        settings = dict(line.split("=") for line in settings)
        command = re.fullmatch(r"(?:\S+ +){5}(.*)", job)[1]
        env = {"HOME": str(self.path), "PARLEY_DIR": self.env["PARLEY_DIR"], **settings}
        done = subprocess.run(["/bin/sh", "-c", command], env=env, cwd=self.path, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        return done.stdout, settings

    def mail(self, *words, text=b"", code=0, env=None):
        done = subprocess.run([str(self.path / "bin/parley-sendmail"), *words], input=text, capture_output=True,
                              env=env or self.env, timeout=60)
        assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.stderr.decode()

    def login(self):
        """A token of the bot's own login."""
        return self.alice.call("POST", "/api/v1/auth/login", token=None,
                               json={"username": self.bot, "password": self.password}).json()["access_token"]

    def said(self):
        """What was said in the group, newest first."""
        return self.alice.texts(self.room)


class Running:
    """A script that goes on by itself; what it printed is in `printed`."""

    def __init__(self, home, script):
        self.out = open(home.path / f"{fresh_name('out')}", "w+")
        self.process = subprocess.Popen(["bash", "-c", script], stdout=self.out, stderr=subprocess.STDOUT, cwd=home.path,
                                        stdin=subprocess.DEVNULL, env=home.env, start_new_session=True)

    @property
    def printed(self):
        self.out.seek(0)
        return self.out.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.out.close()


@pytest.fixture(scope="module")
def home(stack, tmp_path_factory):
    return Home(stack, tmp_path_factory.mktemp("home"))


def test_every_snippet_is_run_here():
    assert len(re.findall("^```", DOC, re.M)) == 2 * len(SNIPPETS)
    source = (ROOT / "tests/test_scripts.py").read_text()
    assert not [name for name in SNIPPETS if f'"{name}"' not in source]


# ---------------------------------------------------------------------- signing in

def kept_token(home):
    return re.search(r"Bearer ([^\"]+)", (home.path / ".parley/token").read_text())[1]


def test_token_is_for_its_user_alone(home):
    kept = home.path / ".parley"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert sorted(f.name for f in kept.iterdir()) == ["token", "url"]
    assert not [f.name for f in kept.iterdir() if f.stat().st_mode & 0o077 or home.password in f.read_text()]


def test_no_secret_is_an_argument(home):
    """A curl in front of the real one notes how it is called."""
    spied = home.path / "spied"
    curl = home.path / "bin/curl"
    curl.write_text(f'#!/bin/sh\necho "$@" >>{spied}\nexec /usr/bin/curl "$@"\n')
    curl.chmod(0o755)
    try:
        home.bash(f". parley.sh; parley_sign_in {home.bot}", input=home.password + "\n")
        home.run("say")
    finally:
        curl.unlink()
    seen = spied.read_text()
    assert "auth/login" in seen and "v1/tokens" in seen and "messages" in seen
    assert home.password not in seen and kept_token(home) not in seen and "Bearer" not in seen


def test_only_the_token_stays_of_a_login(home):
    owner = type(home.alice)(home.stack, home.login())
    assert [t["scopes"] for t in owner.make("GET", "/tokens")["tokens"]][0] == ["read", "send", "admin"]
    assert len(owner.make("GET", "/sessions")["sessions"]) == 1, "that of this test"
    before = kept_token(home)
    home.bash(f"PARLEY_SCOPES='read send'; . parley.sh; parley_sign_in {home.bot}", input=home.password + "\n")
    assert kept_token(home) != before
    assert "insufficient_scope" in home.bash(f". parley.sh; parley contacts/invite -d username={home.alice.name}", code=22)
    owner.logout()


def test_refusals_are_printed_and_fail(home, tmp_path):
    assert "not_found" in home.bash(". parley.sh; parley nowhere", code=22)
    before = kept_token(home)
    home.bash(". parley.sh; parley_sign_in nobody.at.all", input="not this one\n", code=1)
    assert kept_token(home) == before
    home.bash(". parley.sh; parley users/me", env={**home.env, "PARLEY_DIR": str(tmp_path / "none")}, code=1)


def test_send_is_repeated_with_its_key_while_the_server_is_away(home):
    keys = []

    class Away(BaseHTTPRequestHandler):
        def do_POST(self):
            keys.append(self.headers["Idempotency-Key"])
            self.send_response(503 if len(keys) < 3 else 201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Away) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        env = {**home.env, "PARLEY_URL": f"http://127.0.0.1:{server.server_port}"}
        home.bash(". parley.sh; echo hello | parley_send messages/dm --data-urlencode content@-", env=env)
        server.shutdown()
    assert len(keys) == 3 and keys[0] and len(set(keys)) == 1


# ---------------------------------------------------------------------- saying and reading

def test_things_are_said_from_arguments_and_pipes(home):
    home.run("say")
    said = home.said()
    assert said[0].startswith("up") and said[1] == "backup done"
    home.run("direct")
    direct = next(c for c in home.alice.list() if c["type"] == "direct")
    assert direct["last_message"]["body"] == "the disk is nearly full"


def test_report_comes_from_cron_and_once(home):
    home.program("disk-report", "report")
    printed, _ = home.cron("crontab")
    assert printed == "" and home.said()[0].startswith("Filesystem")
    home.bash(". parley.sh; echo one | parley_send conversations/$(parley_group ops)/messages --data-urlencode body@-")
    assert home.said()[0] == "one\n"


def test_a_webhook_speaks_under_its_own_name(home):
    home.bash(f". parley.sh; parley_sign_in {home.bot}", input=home.password + "\n")     # with all scopes
    home.run("webhook")
    assert (home.path / ".ops-hook").stat().st_mode & 0o777 == 0o600
    assert home.run("hook") == "okok"
    assert home.said()[1] == "the disk is nearly full" and home.said()[0].startswith("Filesystem")
    assert home.alice.page(home.room)["messages"][0]["sender_username"] == "Disk"


def test_history_is_read_as_lines(home):
    home.bash(". parley.sh; parley conversations/$(parley_group ops)/messages --data-urlencode $'body=two\nlines'")
    lines = home.run("history").splitlines()
    assert lines[-1].split("\t")[1:] == [home.bot, r"two\nlines"] and len(lines) <= 20


@pytest.mark.parametrize("name", ["stream", "tail"])
def test_room_is_followed(home, name):
    script = home.real(SNIPPETS[name])
    with Running(home, script) as tail:
        eventually(lambda: home.alice.say(home.room, "are you there?") and "there?" in tail.printed)
        for n in range(20):
            home.alice.say(home.room, f"number {n}")
        home.alice.say(home.room, "a \x1b[31mred\nline")
        eventually(lambda: "\\nline" in tail.printed)
        assert re.findall(r"number (\d+)", tail.printed) == [str(n) for n in range(20)]
        last = tail.printed.splitlines()[-1]
        assert home.alice.name in last and "\x1b" not in last and "\\nline" in last


# ---------------------------------------------------------------------- the bot

def answers(home):
    return len([text for text in home.said() if "load average" in text])


def test_bot_answers_each_question_once_however_often_it_is_killed(home):
    bot = home.program("uptime-bot", "bot")
    start = now(bot_itself(home))
    with Running(home, bot):
        home.bash(". parley.sh; until parley consumers | grep -q uptime-bot; do sleep 0.1; done")
        home.alice.say(home.room, "!uptime")
        eventually(lambda: answers(home) == 1)
        home.alice.say(home.room, "thank you")
    home.alice.say(home.room, "!uptime")                # while it is not there
    home.bash(f". parley.sh; parley consumers/uptime-bot/ack -d cursor={start}")    # as if it had acknowledged nothing
    with Running(home, bot):
        eventually(lambda: answers(home) == 2)
        home.alice.say(home.room, "!uptime")
        eventually(lambda: answers(home) == 3)
    assert answers(home) == 3


def bot_itself(home):
    """The bot's account, to look at what it is told."""
    return type(home.alice)(home.stack, kept_token(home))


# ---------------------------------------------------------------------- mail

def test_mail_becomes_a_message_to_groups_and_people(home):
    home.run("mail")
    text = "Disk full\nNothing is left on /var."
    assert home.said()[0] == text
    assert next(c for c in home.alice.list() if c["type"] == "direct")["last_message"]["body"] == text


#: How Debian's cron, cronie, at and mail(1) call sendmail.
CALLS = {"cron": ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "ops"], "cronie": ["-FCronDaemon", "-odi", "-oem", "-oi", "-t"],
         "at": ["-i", "ops"], "mail": ["-oi", "-f", "root@localhost", "--", "ops@localhost"]}


@pytest.mark.parametrize("call", CALLS)
def test_what_cron_prints_becomes_a_message(home, call):
    printed, settings = home.cron("mailto")
    assert "/srv/backup/today.tar" in printed
    mail = (f"From: root (Cron Daemon)\nTo: {settings['MAILTO']}\nSubject: Cron <root@host>\n ls {call}\nMIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=UTF-8\nX-Cron-Env: <SHELL=/bin/sh>\n\n{printed}")
    home.mail(*CALLS[call], text=mail.encode())
    assert home.said()[0] == f"Cron <root@host> ls {call}\n{printed.rstrip()}"


def test_cron_may_call_it_without_an_environment(home):
    env = {"PARLEY_DIR": home.env["PARLEY_DIR"]}
    home.mail("-i", "ops", text=b"Subject: bare\n\ntext", env=env)
    assert home.said()[0] == "bare\ntext"


@pytest.mark.parametrize("mail,said", [
    (b"no headers, just text\n", "no headers, just text"),
    (b"Subject: no body\n\n", "no body"),
    (b"", "(empty)"),
    (b"Subject: dots\n\none\n..two\n", "dots\none\n..two"),
    (b"Subject: \xff\xfe Latin-1\n\nna\xefve \x00 and na\xc3\xafve\r\n", " Latin-1\nnave  and naïve"),
    (b"Subject: long\n\n" + "ü".encode() * 100000 + b"\n" * 2000000, "long\n" + "ü" * 7997),
    (b"To: somebody@else\nBcc: nobody\nSubject: $(reboot) `reboot` \\n %s\n\n-d x\n@/etc/passwd", "$(reboot) `reboot` \\n %s\n-d x\n@/etc/passwd"),
], ids=["text", "subject", "empty", "dots", "bytes", "long", "shell"])
def test_any_mail_is_taken_as_it_is(home, mail, said):
    home.mail("-i", "ops", text=mail)
    assert home.said()[0] == said


def test_a_line_that_is_a_dot_ends_the_mail_unless_told_otherwise(home):
    home.mail("ops", text=b"Subject: dot\n\none\n.\ntwo\n")
    assert home.said()[0] == "dot\none"
    home.mail("-oi", "ops", text=b"Subject: dot\n\none\n.\ntwo\n")
    assert home.said()[0] == "dot\none\n.\ntwo"


def test_recipients_in_the_headers_are_read(home):
    mail = (f"To: The crew <ops@example.org>,\n\t{home.alice.name} (Alice)\nSubject: both\n\ntext\nTo: nobody\n").encode()
    home.mail("-t", "-i", text=mail)
    text = "both\ntext\nTo: nobody"
    assert home.said()[0] == text
    assert next(c for c in home.alice.list() if c["type"] == "direct")["last_message"]["body"] == text


def test_failures_have_sendmails_exit_codes(home):
    assert "no.such.room" in home.mail("no.such.room", text=b"x", code=67)
    assert home.mail("ops", "no.such.room", "ops", text=b"the others get it", code=67)
    assert home.said()[:2] == ["the others get it"] * 2
    home.mail("-t", text=b"Subject: to nobody\n\nx", code=64)
    home.mail("-bp", code=64)
    home.mail("-bs", code=64)
    home.mail(code=64)
    away = {**home.env, "PARLEY_URL": f"http://127.0.0.1:{free_port()}"}
    home.mail("ops", text=b"x", code=75, env=away)


# ---------------------------------------------------------------------- the end

def test_lost_tokens_are_revoked(home):
    lines = home.run("revoke", input=home.password + "\n").splitlines()
    assert re.fullmatch(r"[0-9a-f-]{36} \S+@\S+ \d{4}-.*", lines[0]) and json.loads(lines[-1])["ended"] == len(lines) - 1
    assert "unauthorized" in home.bash(". parley.sh; parley users/me", code=22)
    home.bash(f". parley.sh; parley_sign_in {home.bot}; parley users/me", input=home.password + "\n")
