"""The README: what it names is there, what it lists is complete, and its tour can be taken twice."""

import json
import os
import re
import subprocess

import pytest

from parley.conv import conv_account
from parley.stack import ROOT, binary
from parley.wait import eventually

#: The tour is taken as a newcomer would: with the shipped limits and the shipped price of a password.
STACK = {"env": {"AUTH_RATE": None, "WRITE_RATE": None}, "settings": {"BCRYPT_COST": None}}

README = (ROOT / "README.md").read_text()


def section(title):
    """The text under a heading, up to the next one of its rank or above."""
    rank = title.split()[0]
    found = re.search(rf"^{re.escape(title)}\n(.*?)(?=^#{{1,{len(rank)}}} |\Z)", README, re.M | re.S)
    assert found, f"no section {title!r}"
    return found[1]


def quoted(text):
    """Everything that stands in backticks on one line."""
    return re.findall(r"`([^`\n]+)`", text)


# ---------------------------------------------------------------------- settings

@pytest.mark.parametrize("program", ["fcgi-app", "ws-daemon", "courier"])
def test_configuration_table_is_the_programs_help(program):
    printed = subprocess.run([binary(program), "--help"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^  ([A-Z][A-Z0-9_]*) \| (.*)$", printed, re.M)
    assert re.findall(r"^\| `([A-Z][A-Z0-9_]*)` \| (.*) \|$", README, re.M) == rows


def test_settings_of_make_run_are_those_of_the_script_behind_it():
    usage = (ROOT / "ctl/stack.sh").read_text().partition("set -euo")[0]
    # SAN is make's own, the other an example.
    named = set(re.findall(r"`([A-Z][A-Z_]+)[=<]", section("### of `make run`"))) - {"SAN", "PARLEY_SET_LOG_LEVEL"}
    assert {"PORT", "VAR", "DATABASE_URL", "DAEMONS"} <= named
    assert not [name for name in named if name not in usage]


# ---------------------------------------------------------------------- what it names

def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(quoted(README) + re.findall(r"```\n(.*?)```", README, re.S))))
    assert {"run", "test", "bench"} <= named <= targets


def test_every_file_of_the_reading_map_exists():
    named = [name for name in quoted(section("## Reading the sources")) if "/" in name or "." in name]
    missing = [name for name in named if not name.startswith(".") and not any(ROOT.glob(name))]
    assert len(named) > 50 and not missing


def test_reading_map_leads_to_every_folder_of_sources():
    folders = {path.parent.name for path in ROOT.glob("*/*.c")} | {"db", "ctl", "tests"}
    assert {f"{folder}/" for folder in folders} <= set(quoted(section("## Reading the sources")))


# ---------------------------------------------------------------------- the tour

def take_tour(stack):
    """Run the block after <!-- tour --> and return what it printed, by lines."""
    tour = re.search(r"<!-- tour -->\n```bash\n(.*?)```", README, re.S)[1]
    here = tour.replace("http://127.0.0.1:8080", stack.url)
    assert here != tour
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", here], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "HOME": str(stack.var)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_tour_can_be_repeated_and_ends_with_what_the_socket_received(module_stack):
    for status in ("201", "400"):
        lines = take_tour(module_stack)
        assert lines[:2] == [f"register alice: {status}", f"register bob: {status}"]
        sent, history, conversations, frame = map(json.loads, lines[2:])
        assert history[0] == sent and conversations[0]["last_message"] == sent["content"]
        assert frame["content"] == "Hello Bob, on the socket" and frame["sender_username"] == "alice"


def test_commands_in_running_text_work_too(module_stack):
    """The requests and the SQL that stand between backticks."""
    alice = conv_account(module_stack)
    ops = alice.group(name="ops")
    hook = alice.call("POST", f"/api/v1/conversations/{ops['id']}/webhooks", json={"name": "a machine"}).json()
    url = json.dumps(hook).partition('"url": "')[2].partition('"')[0]
    token, post, ready = [text for text in quoted(README) if text.startswith("curl ")]
    assert ready.endswith(":9461/readyz"), "tests/test_metrics.py asks it"
    post = post.replace("$URL/hooks/…", url)
    for command, answer in ((token, "secret"), (post, "ok")):
        done = subprocess.run(["bash", "-euc", command], capture_output=True, text=True, timeout=20,
                              env={"PATH": os.environ["PATH"], "ALICE": alice.token, "URL": module_stack.url})
        assert done.returncode == 0 and answer in done.stdout, done
    assert alice.texts(ops) == ["disk full"]
    for statement in re.findall(r"`(SELECT [^`]+)`", README):
        module_stack.query(statement)
    eventually(lambda: alice.texts(ops)[0] == "backup done")
