"""`make run`, `start` and `stop` as a sysadmin meets them, through the script behind them."""

import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parley import procs
from parley.api import Dm, account
from parley.check import assert_problem
from parley.cluster import Cluster, ROLE
from parley.sockets import dm_socket
from parley.stack import ROOT, Stack, state_directory
from parley.wait import eventually

PID_FILES = ["nginx", "fcgi-app", "fcgi-auth", "ws-daemon", "postmaster"]


def converse(stack):
    """Two people exchange a message by REST and socket."""
    one, other = account(stack), account(stack)
    with dm_socket(other) as sock:
        sent = one.make_message(other, "works")
        assert sock.recv_json()["id"] == sent["id"]
    return one, other


# ---------------------------------------------------------------------- start and stop

def test_second_start_keeps_the_data_and_the_sessions():
    with Stack(fresh=True) as stack:
        one, other = converse(stack)
        key = stack.key_file().read_text()
        stack.script("stop")
        stack.assert_nothing_runs()
        stack.script("start")
        assert stack.key_file().read_text() == key
        assert one.me().status_code == 200
        assert one.refresh().status_code == 200
        assert [m["content"] for m in other.history(one).json()] == ["works"]
        assert other.login(username=other.name, password=other.password).status_code == 200


def test_two_instances_run_side_by_side():
    with Stack() as first, Stack() as second:
        one, _ = converse(first)
        assert second.db().closed == 0
        assert_problem(Dm(second).login(username=one.name, password=one.password), 401, "invalid_credentials")
        assert_problem(Dm(second, one.token).me(), 401, "unauthorized")
        second.script("stop")
        second.assert_nothing_runs()
        converse(first)
        second.script("start")
        converse(second)


def test_pid_files_name_running_processes(stack):
    commands = {name: procs.command(stack.pid(name)) for name in PID_FILES}
    assert all(commands.values()), commands
    assert "nginx" in commands["nginx"] and "postgres" in commands["postmaster"]
    assert "fcgi-app" in commands["fcgi-app"] and "fcgi-app" in commands["fcgi-auth"]
    assert "ws-daemon" in commands["ws-daemon"]
    assert len(stack.workers("fcgi-app")) == 4 and len(stack.workers("fcgi-auth")) == 2


def test_secrets_are_closed_to_others_and_not_in_any_command_line(stack, alice):
    for path in (stack.key_file(), stack.var / "conf" / "parley.env", stack.var / "log"):   # links to log in with among it
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    secret = [word for word in stack.key_file().read_text().split() if len(word) > 16]
    for command in procs.belonging_to(str(stack.var)).values():
        assert not any(word in command for word in secret)


def test_starting_twice_is_refused_and_harms_nothing():
    with Stack() as stack:
        again = stack.script("start", check=False)
        assert again.returncode != 0 and "already" in again.stdout
        converse(stack)


def test_stopping_what_does_not_run_is_no_error():
    stack = Stack()
    assert stack.script("stop").returncode == 0
    stack.discard()


def test_taken_port_is_named_and_leaves_nothing_behind(stack):
    other = Stack(port=stack.port)
    failed = other.script("start", check=False)
    assert failed.returncode != 0 and str(stack.port) in failed.stdout
    other.assert_nothing_runs()
    other.discard()
    assert stack.answers()


@pytest.mark.parametrize("key,value", [("BCRYPT_COST", "99"), ("NO_SUCH_SETTING", "1")])
def test_invalid_setting_stops_the_start_and_leaves_nothing_behind(key, value):
    stack = Stack(settings={key: value})
    failed = stack.script("start", check=False)
    assert failed.returncode != 0 and key in failed.stdout
    stack.assert_nothing_runs()
    stack.discard()


@pytest.mark.parametrize("name", ["DAEMONS", "API_WORKERS", "METRICS_PORT"])
def test_a_number_that_is_none_is_named_before_anything_starts(name):
    stack = Stack(env={name: "two"})
    failed = stack.script("start", check=False)
    assert failed.returncode != 0 and f"{name} has to be a whole number" in failed.stdout
    stack.discard()


@pytest.mark.parametrize("port", ["0", "65536", "99999"])
def test_a_port_that_is_none_is_named_before_anything_starts(port):
    stack = Stack(port=port)
    failed = stack.script("start", check=False)
    assert failed.returncode != 0 and "PORT has to be from 1 to 65535" in failed.stdout
    stack.discard()


def test_two_that_start_at_once_do_not_choose_the_same_ports_for_metrics():
    stacks = [Stack(env={"METRICS_PORT": ""}) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Stack.start, stacks))
    try:
        for stack in stacks:
            assert "listen_failed" not in "".join(log.read_text() for log in (stack.var / "log").glob("*.log"))
    finally:
        for stack in stacks:
            stack.stop()


def test_a_state_left_by_a_crashed_machine_starts_again():
    with Stack() as stack:
        one, other = converse(stack)
        for _ in range(100):
            left = procs.belonging_to(str(stack.var))
            if not left:
                break
            for pid in left:
                try:
                    procs.kill(pid)
                except ProcessLookupError:
                    pass
        stack.assert_nothing_runs()
        stack.start()
        assert [m["content"] for m in other.history(one).json()] == ["works"]


# ---------------------------------------------------------------------- in the foreground

def foreground(stack, output):
    """`ctl/stack.sh run` in a process group of its own, as a terminal's shell would start it: whoever started the tests
    with nohup(1) or in the background has these signals ignored, and a shell cannot trap them then."""
    return subprocess.Popen(["env", "--default-signal=INT,QUIT,HUP", ROOT / "ctl/stack.sh", "run"], cwd=ROOT,
                            env=stack.environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                            start_new_session=True)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "hang-up"])
def test_foreground_run_prints_the_tour_and_ends_cleanly(tmp_path, sig):
    stack = Stack()
    with open(tmp_path / "out", "w+") as out:
        process = foreground(stack, out)
        try:
            eventually(lambda: "curl" in Path(out.name).read_text() or process.poll() is not None, 60, "the tour is printed")
            converse(stack)
            os.killpg(process.pid, sig)         # a terminal's Ctrl-C reaches the whole group
            assert process.wait(30) in (0, 128 + sig, -sig)
        finally:
            if process.poll() is None:
                process.kill()
            stack.stop()
        assert stack.url in Path(out.name).read_text()


# ---------------------------------------------------------------------- other ways to run

def test_existing_postgresql_is_used_instead_of_a_private_cluster():
    cluster = Cluster().create()
    cluster.execute("CREATE DATABASE site")
    with Stack(env={"DATABASE_URL": cluster.url("site")}) as stack:
        one, _ = converse(stack)
        assert cluster.execute(f"SELECT 1 FROM users WHERE username = '{one.name}'", "site") == [(1,)]
        assert stack.pid("postmaster") is None
    assert cluster.answers(), "stopping Parley leaves the site's PostgreSQL alone"
    cluster.destroy()


def test_ordinary_user_runs_all_of_it():
    if os.getuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    as_user = ["runuser", "-u", ROLE, "--"]
    if subprocess.run([*as_user, "test", "-x", str(ROOT / "ctl/stack.sh")]).returncode:
        pytest.skip(f"{ROLE} cannot reach {ROOT}")
    home = state_directory()
    shutil.chown(home, ROLE, ROLE)
    with Stack(var=home / "var", prefix=as_user) as stack:
        converse(stack)
        for name in PID_FILES:
            assert procs.owner(stack.pid(name)) == pwd.getpwnam(ROLE).pw_uid, name
    shutil.rmtree(home)


# ---------------------------------------------------------------------- the README (test_readme takes the tour)

def test_the_printed_tour_is_the_readmes_with_this_instances_address(stack):
    text = (ROOT / "README.md").read_text()
    tour = re.search(r"<!-- tour -->\n```bash\n(.*?)```", text, re.S)[1]
    printed = stack.script("tour").stdout
    assert printed.strip() == tour.replace("http://127.0.0.1:8080", stack.url).strip()
    assert stack.url in printed
