"""docs/admin.md: every box is run, or, where it would change the machine, checked for its syntax.

A box's info string says what it is: `bash run` is run here, with the stack's database and settings in the
place of the machine's; `bash check` is parsed, and tried by `make deb-test`; `nginx server|http|inside` is a part of
an nginx.conf; `env` are settings, `postgresql` are PostgreSQL's, `sql` is asked. Apache's, and those of CGI, are
run by tests/test_front_doors.py.
"""

import os
import re
import shutil
import stat
import subprocess

import psycopg2
import pytest

from parley import ctl, documents
from parley.check import number_of
from parley.cluster import ROLE, Cluster
from parley.conv import conv_account
from parley.stack import ROOT, binary, state_directory
from parley.wait import eventually

STACK = {}
TEXT = documents.text("admin.md")
BOXES = documents.kinds("admin.md")
KINDS = {("bash", "run"), ("bash", "check"), ("nginx", "server"), ("nginx", "http"), ("nginx", "inside"), ("env", ""),
         ("postgresql", ""), ("sql", ""), ("apache", "vhost"), ("apache", "htaccess"), ("sh", "cgi"), ("env", "cgi"),
         ("crontab", "cgi")}


def boxes(*kind):
    return documents.boxes("admin.md", *kind)


def named(name):
    """The box `bash run NAME`."""
    return documents.box("admin.md", "bash", "run", name)


def program(path, text):
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(scope="module")
def machine(module_stack):
    """A function that runs a box as on a machine where Parley is installed: `parleyctl` has its settings,
    and PostgreSQL's programs find its database."""
    stack, place = module_stack, state_directory()
    for name in ("bin", "backups", "postgresql"):
        (place / name).mkdir()
    program(place / "bin/parleyctl", f"""[ -z "${{DATABASE_URL:-}}" ] || DATABASE_URL="$DATABASE_URL host=$PGHOST user=$PGUSER"
for word; do shift; case $word in dbname=*) word="$word host=$PGHOST user=$PGUSER";; esac; set -- "$@" "$word"; done
exec {binary('parleyctl')} --config {stack.var}/conf/parley.env "$@"\n""")

    def run(text, **env):
        text = text.replace("http://127.0.0.1:8080", stack.url)
        text = text.replace("/var/backups/parley", f"{place}/backups").replace("/var/lib/postgresql/15", f"{place}/postgresql")
        return subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, cwd=place,
                              env={"PATH": f"{place}/bin:{os.environ['PATH']}", "PGHOST": f"{stack.var}/run",
                                   "PGUSER": ROLE, **env})
    run.place = place
    yield run
    shutil.rmtree(place)


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_box_says_what_it_is():
    assert len(BOXES) == TEXT.count("\n```") / 2 > 15
    assert {(syntax, kind) for syntax, kind, *_ in BOXES} == KINDS
    assert len(boxes("bash", "run")) == 7


@pytest.mark.parametrize("text", boxes("bash"))
def test_commands_are_well_formed(text):
    good(subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True))
    table = subprocess.run([binary("parleyctl"), "--help"], capture_output=True, text=True, check=True).stdout
    for words in re.findall(r"\bparleyctl ((?:[a-z]+ ?)+)", text):
        word = words.split()[0]
        assert re.search(rf"^  {word} ", table, re.M), words


def test_units_and_paths_named_are_those_that_are_installed():
    units = set(re.findall(r"\bparley-\w+@?", "\n".join(boxes("bash", "check")))) - {"parley-*"}
    for unit in units:
        assert list((ROOT / "ctl/systemd").glob(f"{unit}*.service")), unit
    for target in re.findall(r"(?:^|`|sudo )make (\w+)", TEXT, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


def test_first_steps(machine, module_stack):
    look, first, *_ = boxes("bash", "run")
    assert "doctor" in look and "user add" in first
    out = good(machine(look))
    assert "wrong" not in out.lower() or "nothing" in out.lower(), out
    good(machine(first))
    assert module_stack.query("SELECT is_admin FROM users WHERE username = 'admin'") == [(True,)]


def test_backup_and_restoring(machine, module_stack):
    alice, bob = conv_account(module_stack), conv_account(module_stack)
    alice.say(alice.direct(bob), "keep me")
    backup, = (text for text in boxes("bash", "run") if "pg_dump -Fc" in text)
    assert "complete:" in good(machine(backup))
    assert "complete:" in good(machine(named("restore")))
    with psycopg2.connect(module_stack.conninfo("restored")) as conn, conn.cursor() as cur:
        cur.execute("SELECT count(*) FROM messages WHERE content = 'keep me'")
        assert cur.fetchall() == [(1,)]
    conn.close()


def test_rules_and_looking_at_vacuum(machine, module_stack):
    alice, bob = conv_account(module_stack), conv_account(module_stack)
    room = alice.group(bob)
    assert "90" in good(machine(named("keep"), CONVERSATION=str(number_of(room["id"]))))
    assert ctl.ask(module_stack, "conversation", "retention", room["id"])["days"] is None
    sql, = boxes("sql")
    for statement in filter(str.strip, sql.split(";")):
        module_stack.query(statement)
    tables = module_stack.query(sql.split(";")[0])
    assert {row[0] for row in tables} == {"messages", "events", "conversations", "participants"}


def test_settings_are_settings(tmp_path):
    for text in boxes("env"):
        path = tmp_path / "parley.env"
        path.write_text(text)
        done = subprocess.run([binary("parleyctl"), "--config", path, "config", "show"], capture_output=True, text=True)
        assert done.returncode == 0, done


def test_nginx_takes_its_parts(tmp_path):
    def ours(name):
        text = (ROOT / "nginx.conf").read_text()
        part = re.search(rf"---- BEGIN {name}\n(.*?)^ *# ---- END {name}", text, re.M | re.S)[1]
        return part.replace("/run/parley", str(tmp_path)).replace("/var/log/parley", str(tmp_path))

    pem = tmp_path / "chat.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat.example.org",
                    "-keyout", pem, "-out", tmp_path / "cert"], check=True, capture_output=True)
    pem.write_text(pem.read_text() + (tmp_path / "cert").read_text())
    (tmp_path / "snippet").write_text(ours("server"))
    server, = boxes("nginx", "server")
    server = re.sub(r"/etc/ssl/\S+?(pem|key)", str(pem), server).replace("snippets/parley.conf", str(tmp_path / "snippet"))
    inside = "\n".join(f"server {{ listen unix:{tmp_path}/s{n}; {text} }}" for n, text in enumerate(boxes("nginx", "inside")))
    upstreams = "\n".join(boxes("nginx", "http"))
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{ }}\n"
                    f"http {{ {ours('http')}\n{upstreams}\n{server}\n{inside} }}\n")
    done = subprocess.run(["nginx", "-t", "-c", conf, "-e", tmp_path / "first.log"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------- to a point in time

@pytest.fixture
def archived(machine):
    """A PostgreSQL with the settings the document gives it."""
    own, = boxes("postgresql")
    place = machine.place
    (place / "backups/wal").mkdir(parents=True)
    cluster = Cluster().create()
    for path in (place / "backups", place / "backups/wal", place / "postgresql"):
        if os.getuid() == 0:
            shutil.chown(path, ROLE, ROLE)
    with open(cluster.dir / "data/postgresql.conf", "a") as conf:
        conf.write(own.replace("/var/backups/parley", str(place / "backups")))
    cluster.stop()
    yield cluster.start()
    cluster.destroy()


def test_going_back_to_a_moment(machine, archived):
    place = machine.place
    archived.execute("CREATE TABLE talk (line text)")
    good(machine(named("base"), PGHOST=str(archived.dir)))
    archived.execute("INSERT INTO talk VALUES ('before')")
    (moment,), = archived.execute("SELECT clock_timestamp()::text")
    archived.execute("SELECT pg_sleep(0.05)")
    archived.execute("INSERT INTO talk VALUES ('a mistake')")
    archived.execute("SELECT pg_switch_wal()")
    archived.stop()
    data = place / "postgresql/main"
    shutil.copytree(archived.dir / "data", data)
    good(machine(re.sub(r"(recovery_target_time = ').*?'", rf"\g<1>{moment}'", named("back"))))
    assert (place / "postgresql/main.broken/PG_VERSION").exists()
    shutil.rmtree(archived.dir / "data")
    shutil.copytree(data, archived.dir / "data")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{ROLE}:{ROLE}", archived.dir / "data", place / "backups"], check=True)
    (archived.dir / "data").chmod(0o700)
    archived.start()
    eventually(lambda: archived.execute("SELECT pg_is_in_recovery()") == [(False,)], what="it has promoted itself")
    assert archived.execute("SELECT line FROM talk") == [("before",)]
