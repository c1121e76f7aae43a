"""Every command of parleyctl, by its own table: what --json prints is JSON, and what goes wrong is one object and a
documented exit status. A command without a line in CASES fails the first test."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from parley import ctl
from parley.conv import conv_account
from parley.stack import ROOT, binary

STACK = {"daemons": 1}
EX_USAGE, EX_DATAERR, EX_NOINPUT, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_CONFIG = 64, 65, 66, 67, 69, 73, 78
NOBODY = [("nobody.at.all", EX_NOUSER)]

#: What is called for, and what each command refuses: (arguments, exit status). {x} is a thing of the fixture; a case
#: gives `stdin` and `env` to the call. `away`: the exit status while the database is; unless said, it needs one.
CASES = {
    "migrate": dict(refuses=[("--scripts /nowhere", EX_UNAVAILABLE)]),
    "user add": dict(args="jason", stdin="correct horse\n", refuses=[("no:name", EX_DATAERR), ("{alice}", EX_DATAERR)]),
    "user list": dict(refuses=[("--limit none", EX_USAGE)]),
    "user disable": dict(args="{other}", refuses=NOBODY),
    "user enable": dict(args="{other}", refuses=NOBODY),
    "user passwd": dict(args="{other}", stdin="battery staple\n", refuses=NOBODY),
    "user promote": dict(args="{other}", refuses=NOBODY),
    "user delete": dict(args="{gone} --yes", refuses=[*NOBODY, ("{alice}", EX_USAGE)]),
    "user export": dict(args="{alice}", refuses=[*NOBODY, ("{alice} --output /nowhere/x", EX_CANTCREAT)]),
    "token list": dict(args="{alice}", refuses=NOBODY),
    "token create": dict(args="{alice} --label cron", refuses=[("nobody.at.all --label x", EX_NOUSER), ("{alice}", EX_USAGE)]),
    "token revoke": dict(args="{token}", refuses=[("999999999", EX_DATAERR), ("tuesday", EX_USAGE)]),
    "session list": dict(refuses=NOBODY),
    "session create": dict(args="{alice}", refuses=[*NOBODY, ("{alice} --dialect klingon", EX_USAGE)]),
    "session revoke": dict(args="{session}", refuses=[("", EX_USAGE), ("999999999", EX_DATAERR)]),
    "key list": dict(away=0, refuses=[]),
    "key rotate": dict(away=0, refuses=[]),
    "key add": dict(away=0, refuses=[]),
    "key use": dict(args="{kid}", away=0, refuses=[("none", EX_DATAERR)]),
    "key remove": dict(args="{kid}", away=0, refuses=[("none", EX_DATAERR)]),
    "conversation list": dict(refuses=[("--user nobody.at.all", EX_NOUSER)]),
    "conversation show": dict(args="{room}", refuses=[("999999999", EX_DATAERR), ("tuesday", EX_USAGE)]),
    "conversation retention": dict(args="{room} 90", refuses=[("999999999", EX_DATAERR), ("{room} soon", EX_USAGE)]),
    "stats": dict(refuses=[]),
    "export": dict(refuses=[("--output /nowhere/x", EX_CANTCREAT)]),
    "import": dict(args="{export}", env={"DATABASE_URL": "{empty}"}, refuses=[("/nowhere", EX_NOINPUT), ("{dump}", EX_DATAERR)]),
    "backup verify": dict(args="{dump}", refuses=[("/nowhere", EX_NOINPUT), ("{export}", EX_DATAERR)]),
    "config check": dict(away=EX_CONFIG, refuses=[]),
    "config show": dict(away=0, refuses=[]),
    "doctor": dict(args="{url}", away=1, refuses=[("parley.example.org", EX_USAGE)]),
    "completion": dict(away=0, refuses=[]),
}
#: These say what they found on standard output, also when it is bad.
FINDINGS = {"config check", "doctor"}
NEEDS_NO_SETTINGS = {"completion"}


@pytest.fixture(scope="module")
def things(module_stack, tmp_path_factory):
    """What the cases name, and keys of their own."""
    stack, there = module_stack, tmp_path_factory.mktemp("things")
    alice, other, gone = (conv_account(stack) for _ in range(3))
    room = alice.group(other)
    alice.say(room, "something to export")
    run_sql(stack, "CREATE DATABASE json_empty")
    empty = stack.conninfo("json_empty")
    assert ctl.run(stack, "migrate", env={"DATABASE_URL": empty}).returncode == 0
    (there / "export").write_text(ctl.run(stack, "export").stdout)
    subprocess.run(["pg_dump", "-d", stack.conninfo(), "-Fc", "-f", there / "dump"], check=True)
    yield SimpleNamespace(
        alice=alice.name, other=other.name, gone=gone.name, room=room["id"], url=stack.url, empty=empty, there=there, kid="k2",
        session=ctl.ask(stack, "session", "create", alice.name)["session"],
        token=ctl.ask(stack, "token", "create", alice.name, "--label", "to be revoked")["id"],
        export=there / "export", dump=there / "dump")
    run_sql(stack, "DROP DATABASE json_empty")


def run_sql(stack, sql):
    conn = stack.db("postgres")
    with conn.cursor() as cur:
        cur.execute(sql)
    conn.close()


def key_file(path):
    """Keys of the case's own, as they were."""
    path.write_text("".join(f"k{n} {str(n) * 64}\n" for n in (1, 2)))
    path.chmod(0o600)
    return str(path)


def call(stack, things, name, args=None, env=None, extra=()):
    """A command as its case has it, with --json; args and env instead of, or besides, the case's."""
    case = CASES[name]
    words = (case.get("args", "") if args is None else args).split()
    settings = {**case.get("env", {}), **(env or {})}
    if name.startswith("key "):
        settings["KEY_FILE"] = key_file(things.there / name.replace(" ", "-"))
    fill = {k: str(v) for k, v in vars(things).items()}
    return ctl.run(stack, "--json", *name.split(), *(w.format(**fill) for w in words), *extra, stdin=case.get("stdin", ""),
                   env={k: v.format(**fill) for k, v in settings.items()}, timeout=120)


def documented():
    """The exit statuses of the manual page."""
    section = (ROOT / "docs/man/parleyctl.1").read_text().partition(".Sh EXIT STATUS")[2].partition("\n.Sh ")[0]
    return {0, 1} | {int(n) for line in re.findall(r"^\.It (.*)$", section, re.M) for n in line.split(" , ")}


def assert_error(done, status):
    assert (done.returncode, done.stdout) == (status, ""), done
    error = json.loads(done.stderr)
    assert set(error) == {"error", "exit"} and error["exit"] == status and error["error"], done.stderr
    assert status in documented()


def assert_finding(done, status):
    assert done.returncode == status and not done.stderr, done
    assert all(set(v) == {"check", "state", "says", "mend"} for v in json.loads(done.stdout))


def test_every_command_is_tried():
    assert set(CASES) == set(ctl.table())


@pytest.mark.parametrize("name", CASES)
def test_what_json_prints_is_json(module_stack, things, name):
    done = call(module_stack, things, name)
    assert done.returncode == 0 and not done.stderr, done
    lines = done.stdout.splitlines()
    if name == "export":
        assert len(lines) > 10 and all(isinstance(json.loads(line), dict) for line in lines)
    else:
        assert isinstance(json.loads(done.stdout), (dict, list))
        assert len(lines) == 1 or name == "user export"


@pytest.mark.parametrize("name", CASES)
def test_what_is_refused_is_one_object_and_a_documented_status(module_stack, things, name):
    for args, status in CASES[name]["refuses"]:
        assert_error(call(module_stack, things, name, args), status)


@pytest.mark.parametrize("name", CASES)
def test_wrong_usage_is_told_as_json(module_stack, things, name):
    arguments = ctl.table()[name][0]
    assert_error(call(module_stack, things, name, extra=["--frobnicate"]), EX_USAGE)
    assert_error(call(module_stack, things, name, "1 2 3 4"), EX_USAGE)
    if arguments and not arguments.startswith("["):
        assert_error(call(module_stack, things, name, ""), EX_USAGE)


@pytest.mark.parametrize("name", CASES)
def test_wrong_settings_are_told_as_json(module_stack, things, name):
    done = call(module_stack, things, name, env={"BCRYPT_COST": "99"})
    if name in NEEDS_NO_SETTINGS:
        assert done.returncode == 0
    else:
        assert_error(done, EX_CONFIG)
        assert "BCRYPT_COST" in json.loads(done.stderr)["error"]


def test_database_that_is_away_is_told_as_json(module_stack, things):
    """All at once, as each waits for it for some seconds."""
    with ThreadPoolExecutor(8) as pool:
        ended = dict(zip(CASES, pool.map(
            lambda name: call(module_stack, things, name, env={"DATABASE_URL": "host=/nowhere password=topsecret"}), CASES)))
    for name, done in ended.items():
        status = CASES[name].get("away", EX_UNAVAILABLE)
        if name in FINDINGS:
            assert_finding(done, status)
        elif status:
            assert_error(done, status)
        else:
            assert done.returncode == 0 and json.loads(done.stdout), done
        assert "topsecret" not in done.stdout + done.stderr
        if status == EX_UNAVAILABLE:
            assert "/nowhere" in done.stderr, done.stderr       # it says why


def test_database_of_another_schema_is_told_as_json(module_stack, things):
    for name in CASES:
        needs_a_database = "away" not in CASES[name] and name not in ("migrate", "backup verify")
        done = call(module_stack, things, name, env={"DATABASE_URL": module_stack.conninfo("postgres")}) if needs_a_database else None
        if done:
            assert_error(done, EX_CONFIG)


def test_json_may_stand_anywhere(module_stack):
    for args in (["--json"], ["frobnicate", "--json"], ["stats", "--frob", "--json"], ["user", "list", "--limit", "many", "--json"]):
        assert_error(ctl.run(module_stack, *args), EX_USAGE)
    done = ctl.run(module_stack, "--version", "--json")
    assert set(json.loads(done.stdout)) == {"version", "schema"}


def test_files_that_are_written_are_named(module_stack, things, tmp_path):
    for name in ("export", f"user export {things.alice}"):
        assert ctl.ask(module_stack, *name.split(), "--output", tmp_path / "file") == {"output": str(tmp_path / "file")}


def test_every_exit_status_of_the_source_is_documented():
    """By the names of sysexits.h."""
    named = set(re.findall(r"\bEX_[A-Z]+", "".join(p.read_text() for p in (ROOT / "ctl").glob("*.c"))))
    values = dict(re.findall(r"^#define\s+(EX_\w+)\s+(\d+)", open("/usr/include/sysexits.h").read(), re.M))
    assert {int(values[name]) for name in named} | {1} == documented()
    done = subprocess.run([binary("parleyctl"), "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
