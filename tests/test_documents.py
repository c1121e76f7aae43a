"""Every box of every document is some test's; the manual pages' examples and the units are tried here."""

import os
import re
import shutil
import subprocess

import pytest

from parley import ctl
from parley.api import fresh_password
from parley.conv import conv_account
from parley.stack import BUILD, ROOT, binary

STACK = {}

#: Which tests run a document's boxes, and how many of them they know. Whoever adds one, adds it there.
RUN_BY = {"README.md": ("test_readme.py", 5), "docs/admin.md": ("test_admin_docs.py", 29), "docs/callbacks.md": ("test_callbacks.py", 3),
          "docs/metrics.md": ("test_metrics_documents.py test_common_limits.py", 3), "docs/realtime.md": ("test_reference_sockets.py", None),
          "docs/scripts.md": ("test_scripts.py", None), "docs/sql.md": ("test_sql_posts.py", 4)}


def test_every_box_of_a_document_is_some_tests():
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]}
    fences = {name: len(re.findall("^ *```", text, re.M)) for name, text in texts.items()}
    assert {name for name, count in fences.items() if count} == set(RUN_BY)
    for name, (tests, known) in RUN_BY.items():
        assert all((ROOT / "tests" / test).exists() for test in tests.split())
        assert known is None or fences[name] == 2 * known, f"{name}: is the new box run by {tests}?"


# ---------------------------------------------------------------------- manual pages

def examples(page):
    """The examples of a manual page, one text each."""
    return re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", (ROOT / "docs/man" / page).read_text(), re.M | re.S)


def test_all_examples_of_the_pages_are_run_here():
    assert {page.name: len(examples(page.name)) for page in (ROOT / "docs/man").iterdir() if examples(page.name)} == {
        "parleyctl.1": 2, "parley.env.5.in": 1}


def test_settings_page_shows_settings(tmp_path):
    path = tmp_path / "parley.env"
    path.write_text(examples("parley.env.5.in")[0])
    done = subprocess.run([binary("parleyctl"), "--config", path, "config", "show"], capture_output=True, text=True)
    assert done.returncode == 0 and "MESSAGES_KEEP" in done.stdout, done.stderr


@pytest.fixture
def shell(module_stack, tmp_path):
    """Runs lines in which `parleyctl` has the stack's settings."""
    program = tmp_path / "parleyctl"
    program.write_text(f"#!/bin/sh\nexec {binary('parleyctl')} --config {module_stack.var}/conf/parley.env \"$@\"\n")
    program.chmod(0o755)

    def run(script, stdin=""):
        done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=150,
                              env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    return run


def test_page_of_parleyctl_adds_an_administrator_and_looks_at_the_server(module_stack, shell):
    add, look = examples("parleyctl.1")[0].splitlines()
    shell(add, fresh_password() + "\n")
    assert module_stack.query("SELECT is_admin FROM users WHERE username = 'alice'") == [(True,)]
    assert look.endswith("--hold 65")       # which test_doctor.py does
    out = shell(look.replace("https://chat.example.org", module_stack.url).replace("--hold 65", "--hold 2"))
    assert "2 seconds" in out or "2 s" in out


def test_page_of_parleyctl_moves_a_server(module_stack, shell):
    one = conv_account(module_stack)
    one.say(one.group(), "taken along")
    with module_stack.db("postgres").cursor() as cur:
        cur.execute("CREATE DATABASE moved TEMPLATE template0 ENCODING 'UTF8'")
    url = module_stack.conninfo("moved")
    script = examples("parleyctl.1")[1]
    assert script.count("DATABASE_URL=host=new...") == 2
    shell(script.replace("DATABASE_URL=host=new...", f"DATABASE_URL='{url}'"))
    there = ctl.ask(module_stack, "stats", env={"DATABASE_URL": url})
    here = ctl.ask(module_stack, "stats")
    assert there["messages"] == here["messages"] and there["users"] == here["users"]


# ---------------------------------------------------------------------- systemd

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze, which reads units, is not installed")
def test_units_are_as_systemd_has_them(tmp_path):
    subprocess.run(["make", "-s", "install", f"PREFIX={tmp_path}", f"SYSCONFDIR={tmp_path}/etc", f"BUILD={BUILD}"], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    units = tmp_path / "lib/systemd/system"
    names = [path.name.replace("@.", "@1.") for path in units.iterdir() if path.is_file()]
    assert len(names) == 8
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *names], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{units}:"})
    said = [line for line in (done.stdout + done.stderr).splitlines() if "parley" in line]
    assert done.returncode == 0 and not said, said
