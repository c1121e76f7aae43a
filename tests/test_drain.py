"""Rolling upgrades: what stops ends what it has begun, and its successor takes over what waits."""

import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley import procs
from parley.growth import of_each_worker
from parley.held import LOCKS_LAST, HeldConversation
from parley.p2p import p2p_account, p2p_socket
from parley.sockets import Closed, DmSocket
from parley.stack import Stack
from parley.traffic import Receiver, RestSender, SocketSender, Traffic
from parley.wait import eventually, seconds_until

STACK = {"daemons": 1, "settings": LOCKS_LAST}


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


def test_services_tell_which_socket_they_were_handed(stack):
    """No setting has it where a supervisor opens it."""
    logs = stack.logs()
    for service, socket in (("ws-daemon", "ws"), ("fcgi-app", "api"), ("fcgi-auth", "auth")):
        text, = (text for name, text in logs.items() if name.endswith(f"{service}.log"))
        assert set(re.findall(r" address=(\S+)", text)) == {f"{stack.var}/run/{socket}.sock"}, text


# ---------------------------------------------------------------------- everything is replaced, under traffic

ADVICE = re.compile(r"going_away retry_after_ms=(\d+)")


def assert_told_to_return(end):
    assert end.code == 1001, f"closed {end.code} {end.reason}"
    assert ADVICE.fullmatch(end.reason), end.reason


class SteadyRest(RestSender):
    """No answer but 201 will do, and each request gets one."""

    def attempt(self, content):
        resp = self.sender.send(self.recipient, content, key=content)
        assert resp.status_code == 201, f"{resp.status_code} {resp.text[:300]}"
        return resp.json()["id"]


class SteadySocket(SocketSender):
    """Every handshake succeeds; every end is the server's 1001; no frame is refused."""

    def attempt(self, content):
        self.sock = self.sock or DmSocket(self.sender.stack, self.sender.token)
        try:
            self.sock.say(self.recipient, content, client_msg_id=content)
            return self._echo_of(content)
        except ConnectionError:         # written after the close frame came: it can still be read
            self.sock.expect_close(1001)
        except Closed as end:
            assert_told_to_return(end)
        self.sock = None
        return None


class SteadyReceiver(Receiver):
    def work(self):
        while not self.stopping.is_set():
            try:
                self._read()
            except Closed as end:
                self.connected.clear()
                assert_told_to_return(end)


class SteadyTraffic(Traffic):
    """Everything through nginx, and no client that forgives."""

    def __init__(self, stack):
        super().__init__(stack)
        self.senders = [SteadyRest(self.senders_stop, "ab", self.alice, self.bob),
                        SteadyRest(self.senders_stop, "ba", self.bob.another_device(), self.alice),
                        SteadySocket(self.senders_stop, "sab", self.alice, self.bob),
                        SteadySocket(self.senders_stop, "sba", self.bob, self.alice)]
        self.receivers = [SteadyReceiver(self.receivers_stop, r.user, r.last) for r in self.receivers]


@pytest.mark.parametrize("daemons", [1, 2])
def test_an_upgrade_costs_no_request_and_a_socket_at_most_a_reconnect_each(daemons):
    with Stack(daemons=daemons) as stack:
        names = ["fcgi-app", "fcgi-auth", "ws-daemon", "ws-daemon-2"][:2 + daemons]
        with SteadyTraffic(stack) as traffic:
            for _ in range(2):
                before = {name: stack.pid(name) for name in names}
                stack.script("upgrade")
                traffic.flow(5)
                assert all(stack.runs_again(name, pid) for name, pid in before.items())
        assert sum(r.connections - 1 for r in traffic.receivers) >= len(traffic.receivers), "sockets were closed"
        assert max(r.connections - 1 for r in traffic.receivers) <= 2 * daemons
        refused = re.findall(r'^.* status=5\d\d .*$', stack.logs()["log/access.log"], re.M)
        assert not refused, refused


# ---------------------------------------------------------------------- a pool

def test_a_worker_that_is_told_to_end_answers_the_request_it_has(stack, alice, bob):
    alice.make_message(bob, "before")
    old = stack.workers()
    with ThreadPoolExecutor(1) as pool, HeldConversation(stack, alice, bob) as held:
        answer = pool.submit(alice.send, bob, "in the middle")
        eventually(held.waiting, what="the send waits in the database")
        for pid in old:
            procs.kill(pid, signal.SIGTERM)
        eventually(lambda: len(set(stack.workers()) - set(old)) == len(old) - 1, what="the idle ones are replaced")
        held.release()
        assert answer.result().status_code == 201
    eventually(lambda: not set(stack.workers()) & set(old))


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_requests_wait_for_the_pool_that_comes(stack, alice, bob, sig):
    """The first request is in a worker's hands, those after it find nobody there."""
    alice.make_message(bob, "before")
    with ThreadPoolExecutor(20) as pool, HeldConversation(stack, alice, bob) as held:
        first = pool.submit(alice.send, bob, "in a worker's hands", key="hands")
        eventually(held.waiting, what="the send waits in the database")
        old = stack.kill("fcgi-app", sig)
        meanwhile = [pool.submit(alice.me) for _ in range(10)]
        held.release()
        assert [answer.result().status_code for answer in meanwhile] == [200] * 10
        assert first.result().status_code == 201, "also a killed pool's workers end what they have begun"
    stack.seconds_to_respawn("fcgi-app", old)


# ---------------------------------------------------------------------- a daemon

def restart_daemon(stack, sockets=()):
    old = stack.kill("ws-daemon", signal.SIGTERM)
    ends = [sock.expect_close(1001) for sock in sockets]
    stack.seconds_to_respawn("ws-daemon", old)
    return ends


def test_each_socket_is_told_another_moment_to_return(stack, alice, connect):
    ends = restart_daemon(stack, [connect(alice) for _ in range(30)])
    for end in ends:
        assert_told_to_return(end)
    delays = [int(ADVICE.fullmatch(end.reason)[1]) for end in ends]
    assert max(delays) < 1000 + len(delays) and max(delays) - min(delays) > 300, delays
    assert len(set(delays)) > 20, delays


def test_a_handshake_waits_for_the_daemon_that_comes(stack, alice, bob):
    old = stack.kill("ws-daemon", signal.SIGTERM)
    with DmSocket(stack, alice.token) as sock:
        assert sock.exchange(bob, "here")["content"] == "here"
    assert stack.runs_again("ws-daemon", old)


def test_clients_that_do_not_answer_hold_a_daemon_up_for_a_bounded_time(stack, alice, connect):
    silent = [connect(alice, daemon=1) for _ in range(5)]
    old = stack.kill("ws-daemon", signal.SIGTERM)
    assert seconds_until(lambda: not procs.alive(old)) < 20, "two seconds, not the minute until they count as gone"
    for sock in silent:
        assert_told_to_return(sock.expect_close(1001))
    stack.seconds_to_respawn("ws-daemon", old)


def test_a_send_under_way_when_the_daemon_stops_is_stored_once(stack, alice, bob, connect):
    alice.make_message(bob, "before")
    sock = connect(alice)
    with HeldConversation(stack, alice, bob) as held:
        sock.say(bob, "under way", client_msg_id="under way")
        eventually(held.waiting, what="the send waits in the database")
        old = stack.kill("ws-daemon", signal.SIGTERM)
        sock.expect_close(1001)
    stack.seconds_to_respawn("ws-daemon", old)
    again = connect(alice)
    assert again.exchange(bob, "under way", client_msg_id="under way")["content"] == "under way"
    assert [m["content"] for m in alice.whole_history(bob)] == ["before", "under way"]


# ---------------------------------------------------------------------- SIGHUP

class Settings:
    """conf/parley.env with other lines, and back to what it was."""

    def __init__(self, stack):
        self.stack, self.file = stack, stack.var / "conf" / "parley.env"
        self.before = self.file.read_text()

    def become(self, **lines):
        self.file.write_text(self.before + "".join(f"{key}={value}\n" for key, value in lines.items()))
        for name in ("fcgi-app", "fcgi-auth", "ws-daemon"):
            self.stack.kill(name, signal.SIGHUP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.become()


def refusal(sock, recipient, content):
    frame = sock.exchange(recipient, content)
    return frame.get("error")


def test_hangup_takes_limits_and_log_level_over(stack, alice, bob, connect):
    sock = connect(alice)
    processes = [stack.pid(name) for name in ("fcgi-app", "ws-daemon")] + stack.workers()
    assert alice.send(bob, "too long").status_code == 201 and not refusal(sock, bob, "too long")
    with Settings(stack) as settings:
        settings.become(MESSAGE_MAX=5, LOG_LEVEL="debug")
        of_each_worker(stack, lambda: eventually(lambda: alice.send(bob, "too long").status_code == 400))
        eventually(lambda: refusal(sock, bob, "too long"))
        stack.wait_for_log("frame_refused")
        gone = stack.workers()[0]
        procs.kill(gone)
        eventually(lambda: gone not in stack.workers() and len(stack.workers()) == 4)
        answers = of_each_worker(stack, lambda: alice.send(bob, "too long"))
        assert {resp.status_code for resp in answers} == {400}, "a worker that came later knows too"
    of_each_worker(stack, lambda: eventually(lambda: alice.send(bob, "too long").status_code == 201))
    eventually(lambda: not refusal(sock, bob, "too long"))
    assert [stack.pid(name) for name in ("fcgi-app", "ws-daemon")] == processes[:2], "nobody had to be restarted"


def test_hangup_with_a_mistake_in_the_file_changes_nothing(stack, alice, bob, connect):
    sock = connect(alice)
    with Settings(stack) as settings:
        settings.become(MESSAGE_MAX="five")
        eventually(lambda: stack.log_text().count("event=reload_failed reason=\"MESSAGE_MAX has to be") >= 3)
        settings.become(OUTBOX_MAX="70000")
        eventually(lambda: "event=reload_failed reason=\"OUTBOX_MAX has to be at least" in stack.log_text())
        assert alice.send(bob, "as ever").status_code == 201 and not refusal(sock, bob, "as ever")


def test_what_was_shown_is_not_shown_again_by_the_daemon_that_comes(stack):
    """p2p has no acks: what was written to the socket counts, also when the daemon is stopped at once."""
    alice, bob = p2p_account(stack), p2p_account(stack)
    with p2p_socket(bob) as sock:
        alice.say(bob, "shown")
        assert sock.recv_json()["content"] == "shown"
        restart_daemon(stack, [sock])
    eventually(stack.ready, what="its successor answers")
    with p2p_socket(bob) as sock:
        alice.say(bob, "new")
        assert sock.recv_json()["content"] == "new"
