"""parleyctl export and import, migrate, config, completion, and the pages that explain it."""

import json
import os
import pty
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley import ctl
from parley.api import account
from parley.conv import conv_account
from parley.stack import BUILD, ROOT, binary
from parley.wait import eventually

STACK = {"daemons": 1}
EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_CONFIG = 64, 65, 66, 78
PAGES = ROOT / "docs/man"


@pytest.fixture(scope="module")
def talk(module_stack):
    """A server with something of everything on it."""
    alice, bob, carol = (conv_account(module_stack) for _ in range(3))
    group = alice.group(bob, carol)
    for n in range(20):
        alice.say(group, f"line {n} with \"quotes\", \\ and ü")
    alice.say(alice.direct(bob), "privately", key="once")
    alice.invite(carol)
    alice.befriend(bob)
    bob.read(group)
    eventually(lambda: not module_stack.query("SELECT FROM mail_outbox WHERE state = 'pending'"), 10, "the courier is idle")
    return alice, bob, carol


@pytest.fixture
def empty(module_stack):
    """A function that makes an empty, migrated database beside the stack's; its conninfo."""
    made = []

    def make():
        made.append(f"copy{len(made)}_{os.getpid()}")
        run_sql(module_stack, f"CREATE DATABASE {made[-1]}")
        url = module_stack.conninfo(made[-1])
        assert ctl.run(module_stack, "migrate", env={"DATABASE_URL": url}).returncode == 0
        return url

    yield make
    for name in made:
        run_sql(module_stack, f"DROP DATABASE {name}")


def run_sql(stack, sql, dbname="postgres"):
    conn = stack.db(dbname)
    with conn.cursor() as cur:
        cur.execute(sql)
        rows = cur.fetchall() if cur.description else []
    conn.close()
    return rows


def name_of(url):
    return url.rpartition("dbname=")[2]


def export(stack, url=None):
    done = ctl.run(stack, "export", env={"DATABASE_URL": url} if url else None)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.splitlines()


# ---------------------------------------------------------------------- export and import

def test_imported_server_exports_the_same(module_stack, talk, empty, tmp_path):
    url, file = empty(), tmp_path / "server.jsonl"
    assert ctl.run(module_stack, "export", "--output", file).returncode == 0
    lines = file.read_text().splitlines()
    assert file.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [file]
    made = ctl.ask(module_stack, "import", file, env={"DATABASE_URL": url})
    assert made["rows"] == json.loads(lines[0])["rows"] > 40
    assert export(module_stack, url)[1:] == lines[1:]
    tables = {json.loads(line).get("table") for line in lines}
    assert {"users", "sessions", "conversations", "participants", "messages", "events", "contacts", "invitations"} <= tables


def test_tables_of_the_site_are_neither_exported_nor_replaced(module_stack, talk, empty):
    url, lines = empty(), export(module_stack)
    run_sql(module_stack, "CREATE ROLE wiki")
    try:
        for database in ("parley", name_of(url)):
            run_sql(module_stack, "CREATE TABLE pages (id int PRIMARY KEY); INSERT INTO pages VALUES (1); ALTER TABLE pages OWNER TO wiki",
                    database)
        assert export(module_stack)[1:] == lines[1:]
        ctl.ask(module_stack, "import", stdin="\n".join(lines), env={"DATABASE_URL": url})
        assert run_sql(module_stack, "SELECT id FROM pages", name_of(url)) == [(1,)]
    finally:
        for database in ("parley", name_of(url)):
            run_sql(module_stack, "DROP TABLE IF EXISTS pages", database)
        run_sql(module_stack, "DROP ROLE wiki")


def test_import_leaves_a_server_that_is_not_empty_alone(module_stack, talk):
    lines = export(module_stack)
    done = ctl.run(module_stack, "import", stdin="\n".join(lines))
    assert done.returncode == EX_DATAERR and "not empty" in done.stderr
    assert export(module_stack)[1:] == lines[1:]


@pytest.mark.parametrize("harm,says", [
    (lambda lines: lines[:-1], "too early"),
    (lambda lines: lines[:5] + lines[6:], "rows instead of"),
    (lambda lines: lines[:5] + ["{"] + lines[5:], "line 6"),
    (lambda lines: lines[:5] + ['{"table":"pg_class","row":{"relname":"x"}}'] + lines[5:], "line"),
    (lambda lines: [lines[0].replace('"schema":', '"schema":9')] + lines[1:], "schema"),
    (lambda lines: lines[1:], "no export"),
    (lambda lines: [], "too early"),
])
def test_harmed_export_is_refused_and_changes_nothing(module_stack, talk, empty, harm, says):
    url = empty()
    done = ctl.run(module_stack, "import", stdin="".join(line + "\n" for line in harm(export(module_stack))), env={"DATABASE_URL": url})
    assert done.returncode == EX_DATAERR and says in done.stderr, done
    assert run_sql(module_stack, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM messages)", name_of(url)) == [(0,)]


def test_import_into_a_younger_cluster_moves_transaction_ids_down(module_stack, talk, empty):
    """Here: an export that says it comes from a cluster far ahead of this one."""
    url, lines, ahead = empty(), export(module_stack), 10 ** 9
    head = json.loads(lines[0])
    head["next_xid"] += ahead

    def move(line):
        line = re.sub(r'"xid":"(\d+)"', lambda m: f'"xid":"{int(m[1]) + ahead}"', line)
        return re.sub(r'"snapshot":"([^"]*)"', lambda m: '"snapshot":"%s"' % re.sub(r"\d+", lambda n: str(int(n[0]) + ahead), m[1]), line)

    text = json.dumps(head) + "\n" + "".join(move(line) + "\n" for line in lines[1:])
    assert ctl.run(module_stack, "import", stdin=text, env={"DATABASE_URL": url}).returncode == 0
    # None lies ahead of this cluster, their order is kept, and a snapshot sees what it saw.
    own = run_sql(module_stack, "SELECT id, rank() OVER (ORDER BY xid) FROM messages ORDER BY id", "parley")
    assert run_sql(module_stack, "SELECT id, rank() OVER (ORDER BY xid) FROM messages ORDER BY id", name_of(url)) == own
    assert run_sql(module_stack, "SELECT bool_and(xid < pg_current_xact_id()) FROM messages", name_of(url)) == [(True,)]
    sees = "SELECT a.id, b.id FROM messages a, messages b WHERE pg_visible_in_snapshot(b.xid, a.snapshot) ORDER BY 1, 2"
    assert run_sql(module_stack, sees, name_of(url)) == run_sql(module_stack, sees, "parley") != []


BAR = re.compile(r"(\w+) \[(#*)( *)\] +(\d+) %")


def on_a_terminal(stack, *args, env=None, terminals=("stderr",)):
    """(standard output, what stood on the terminal) of parleyctl whose `terminals` are one."""
    mine, theirs = pty.openpty()
    streams = {"stdout": subprocess.PIPE, **dict.fromkeys(terminals, theirs)}
    process = subprocess.Popen([binary("parleyctl"), "--config", str(stack.var / "conf/parley.env"), *map(str, args)],
                               stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}, **streams)
    os.close(theirs)
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(read_all, mine)     # a terminal that nobody reads holds up who writes
        out = process.communicate(timeout=30)[0]
        assert process.returncode == 0
        return (out or b"").decode(), shown.result()


def read_all(fd):
    shown = b""
    try:
        while more := os.read(fd, 65536):
            shown += more
    except OSError:         # the other end is closed
        pass
    os.close(fd)
    return shown.decode()


def test_progress_of_export_and_import_is_drawn_on_a_terminal(module_stack, talk, empty, tmp_path):
    file = tmp_path / "server.jsonl"
    url = empty()
    for what, args, env in (("export", ["export", "--output", file], None), ("import", ["import", file], {"DATABASE_URL": url})):
        shown = on_a_terminal(module_stack, *args, env=env)[1]
        bars = [(name, len(full), len(full + rest), int(percent)) for name, full, rest, percent in BAR.findall(shown)]
        assert bars[0] == (what, 0, 40, 0) and bars[-1] == (what, 40, 40, 100), shown
        assert [b[3] for b in bars] == sorted(b[3] for b in bars) and {b[2] for b in bars} == {40}
        assert shown.startswith("\r") and shown.endswith("\r\n") and shown.count("\n") == 1       # one line, redrawn


def test_progress_is_drawn_nowhere_else(module_stack, talk):
    assert ctl.run(module_stack, "export").stderr == ""
    assert on_a_terminal(module_stack, "--json", "export")[1] == ""
    # Not between the lines of an export that goes to the terminal itself.
    shown = on_a_terminal(module_stack, "export", terminals=("stdout", "stderr"))[1]
    assert all(isinstance(json.loads(line), dict) for line in shown.splitlines())


def test_erased_account_in_an_export_stays_erased(module_stack, empty):
    user = account(module_stack)
    ctl.ask(module_stack, "user", "delete", user.name, "--yes")
    assert user.name not in "\n".join(export(module_stack))


# ---------------------------------------------------------------------- migrate and config

def test_migrate_applies_each_once(module_stack):
    run_sql(module_stack, "CREATE DATABASE fresh")
    env = {"DATABASE_URL": module_stack.conninfo("fresh")}
    files = sorted(p.name for p in (ROOT / "db").glob("*.sql"))
    assert ctl.ask(module_stack, "migrate", env=env)["applied"] == files
    assert ctl.ask(module_stack, "migrate", env=env)["applied"] == []
    done = ctl.run(module_stack, "migrate", env={"DATABASE_URL": "host=/nowhere password=topsecret"})
    assert done.returncode == 69 and "topsecret" not in done.stderr
    run_sql(module_stack, "DROP DATABASE fresh")


def test_a_database_that_cannot_hold_every_message_is_refused(module_stack):
    run_sql(module_stack, "CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    done = ctl.run(module_stack, "migrate", env={"DATABASE_URL": module_stack.conninfo("narrow")})
    assert done.returncode and "LATIN1" in done.stderr and "UTF8" in done.stderr
    assert run_sql(module_stack, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "narrow") == [(0,)]
    run_sql(module_stack, "DROP DATABASE narrow")


def test_settings_are_shown_without_secrets(module_stack):
    for url in ("postgresql://parley:hush@db.example/parley", "host=db user=parley password=hush", "postgresql://db/parley?password=hush"):
        shown = ctl.ask(module_stack, "config", "show", env={"DATABASE_URL": url, "SMTP_PASSWORD": "hush"})
        assert "hush" not in json.dumps(shown) and shown["SMTP_PASSWORD"] == "***" and "parley" in shown["DATABASE_URL"]
    shown = ctl.ask(module_stack, "config", "show")
    assert shown["BCRYPT_COST"] == 4 and shown["STATEMENT_TIMEOUT"] == 5000
    help_text = subprocess.run([binary("ws-daemon"), "--help"], capture_output=True, text=True, check=True).stdout
    assert set(shown) == set(re.findall(r"^  ([A-Z][A-Z0-9_]*) \|", help_text, re.M))


def test_settings_that_cannot_work_are_named(module_stack, tmp_path):
    assert {v["state"] for v in ctl.ask(module_stack, "config", "check")} == {"ok"}
    for env, check in (({"DATABASE_URL": "host=/nowhere"}, "database"), ({"KEY_FILE": str(tmp_path / "none")}, "keys"),
                       ({"DATABASE_URL": module_stack.conninfo("postgres")}, "database"), ({"LISTEN_DATABASE_URL": "host=/nowhere"}, "listen")):
        done = ctl.run(module_stack, "--json", "config", "check", env=env)
        assert done.returncode == EX_CONFIG
        assert [v["check"] for v in json.loads(done.stdout) if v["state"] == "bad"] == [check], done.stdout


# ---------------------------------------------------------------------- completion

def complete(*words):
    script = subprocess.run([binary("parleyctl"), "completion"], capture_output=True, text=True, check=True).stdout
    ask = f"COMP_WORDS=(parleyctl {' '.join(repr(w) for w in words)}); COMP_CWORD={len(words)}; _parleyctl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", script + ask], capture_output=True, text=True, check=True).stdout.split()


def test_bash_completes_commands_and_options():
    assert {"user", "export", "doctor", "key"} <= set(complete("")) and complete("doc") == ["doctor"]
    assert complete("us") == ["user"] and set(complete("user", "p")) == {"passwd", "promote"}
    assert complete("user", "delete", "--m") == ["--messages"] and complete("export", "--o") == ["--output"]
    assert complete("stats", "--js") == ["--json"]


# ---------------------------------------------------------------------- the pages

def test_man_page_explains_every_command_and_option_and_no_other():
    source = (PAGES / "parleyctl.1").read_text()
    section = source.partition(".Sh COMMANDS")[2].partition("\n.Sh ")[0]
    explained = {}
    for item in re.split(r"^\.It Ic ", section, flags=re.M)[1:]:
        name = item.splitlines()[0].split(" Oo ")[0].split(" Op ")[0].split(" Ar ")[0].strip()
        explained[name] = sorted(re.findall(r"^\.It Fl Fl (\S+)", item, re.M))
    assert explained == {name: sorted(options) for name, (_, _, options) in ctl.table().items()}


@pytest.mark.parametrize("page", sorted(p.name for p in PAGES.glob("*.[1-8]")))
def test_man_page_is_clean(page):
    assert shutil.which("mandoc"), "mandoc is missing: ctl/install.sh test"
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", str(PAGES / page)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_program_has_a_page():
    assert {p.name for p in PAGES.iterdir()} == {"parleyctl.1", "fcgi-app.8", "ws-daemon.8", "courier.8", "parley.env.5.in"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts under a directory of ours."""
    there = tmp_path_factory.mktemp("installed")
    subprocess.run(["make", "-s", "install", f"DESTDIR={there}", f"BUILD={BUILD}"], cwd=ROOT, check=True, timeout=300)
    return there / "usr/local"


def test_pages_are_installed_and_that_of_the_settings_is_the_programs_help(installed):
    pages = {p.name for p in installed.glob("share/man/man?/*")}
    assert pages == {"parleyctl.1", "fcgi-app.8", "ws-daemon.8", "courier.8", "parley.env.5"}
    page = installed / "share/man/man5/parley.env.5"
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    shown = re.findall(r"^\.It Ev (\S+)\n(.*)\n\.br\n\((.*?); default: (.*)\)$", page.read_text(), re.M)
    printed = subprocess.run([binary("courier"), "--help"], capture_output=True, text=True, check=True).stdout
    rows = [line.strip().split(" | ") for line in printed.splitlines() if re.match(r"  [A-Z_0-9]+ \|", line)]
    assert shown == [(key, text, kind, default or "empty") for key, kind, default, text in rows] and len(rows) > 30


# ---------------------------------------------------------------------- the changelog

def test_changelog_keeps_a_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "keepachangelog.com" in text
    heads = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.M)
    assert heads and len(heads) == len(re.findall("^## ", text, re.M))
    assert [name for name, day in heads if not day] in ([], ["Unreleased"])
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    packaged = re.match(r"parley \((\S+?)\)", (ROOT / "ctl/debian/changelog").read_text())[1]
    assert packaged in [name for name, _ in heads]
