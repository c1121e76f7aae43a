"""What the defaults keep out: too many requests, too many frames, pages of other origins.

The stack here has the limits of the shipped nginx.conf and Parley's own defaults; but for fewer writes a second, so that
a slow machine is over the rate too.
"""

import json
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import requests
import websocket

from parley.api import Dm, account, fresh_name, fresh_password
from parley.check import assert_problem
from parley.sockets import Closed, dm_socket
from parley.stack import ROOT
from parley.wait import eventually
from parley.wire import Wire, request_bytes

STACK = {"env": {"AUTH_RATE": None, "WRITE_RATE": "5r/s"},
         "settings": {"CORS_ORIGINS": "", "SOCKET_RATE": None, "SOCKET_BURST": None, "SOCKETS_PER_USER": "5",
                      "LOGIN_TRIES": None}}


@pytest.fixture(scope="module")
def people(module_stack):
    """Made once and first, as registrations are what is limited."""
    return [account(module_stack) for _ in range(3)]


@pytest.fixture
def stack(people, module_stack):
    return module_stack


@pytest.fixture
def alice(people):
    return people[0]


@pytest.fixture
def bob(people):
    return people[1]


def flood(request, most=3000, threads=8):
    """Repeat request until one is limited; all answers, the limited ones last."""
    answers = []
    with ThreadPoolExecutor(threads) as pool:
        while len(answers) < most and not any(a.status_code == 429 for a in answers):
            answers += pool.map(lambda _: request(), range(threads * 2))
    return sorted(answers, key=lambda a: a.status_code == 429)


def flood_of_messages(stack, sender, recipient, count=250):
    """The answers to so many messages, the limited ones last. All are sent before any answer is read: nginx counts
    them as they come, however long each takes on a busy machine."""
    body = json.dumps({"recipient_id": recipient.id, "content": "flood"}).encode()
    data = request_bytes("POST", "/api/v1/messages/dm", {"Authorization": f"Bearer {sender.token}",
                                                         "Content-Type": "application/json"}, body)
    with ExitStack() as opened:
        wires = [opened.enter_context(Wire(stack, timeout=30)) for _ in range(count)]
        for wire in wires:
            wire.send(data)
        return sorted((wire.answer(data) for wire in wires), key=lambda a: a.status_code == 429)


def calm(request):
    """Wait until request is not limited any more."""
    eventually(lambda: request().status_code != 429, what="the limit passes")


# ---------------------------------------------------------------------- requests

@pytest.mark.parametrize("path", ["login", "register", "refresh"])
def test_auth_requests_over_the_rate_are_told_to_wait(stack, path):
    def request():
        return Dm(stack).call("POST", f"/api/v1/auth/{path}", json={})
    answers = flood(request)
    assert_problem(answers[-1], 429, "rate_limited")
    assert all(a.status_code in (400, 429) for a in answers)
    assert int(answers[-1].headers["Retry-After"]) > 0
    eventually(lambda: request().status_code == 400, what="the limit passes")


def test_auth_limit_leaves_everything_else_alone(stack, alice, bob):
    flood(lambda: Dm(stack).login(username=fresh_name(), password=fresh_password()))
    assert alice.me().status_code == 200
    assert alice.send(bob, "not limited").status_code == 201
    calm(lambda: Dm(stack).login())


def test_writes_over_the_rate_are_refused_and_not_stored(stack, alice, people):
    carol = people[2]
    before = len(alice.whole_history(carol))
    answers = flood_of_messages(stack, alice, carol)
    assert_problem(answers[-1], 429, "rate_limited")
    assert {a.status_code for a in answers} == {201, 429}
    stored = len(alice.whole_history(carol)) - before
    assert stored == sum(a.status_code == 201 for a in answers)


def test_write_limit_counts_per_bearer_and_spares_reads(stack, alice, bob, people):
    flood_of_messages(stack, alice, people[2])
    assert bob.send(alice, "my own allowance").status_code == 201
    assert alice.history(bob).status_code == 200


def test_limited_requests_are_logged_without_the_token(stack, alice, people):
    limited = flood_of_messages(stack, alice, people[2])[-1]
    assert limited.status_code == 429
    stack.wait_for_log(limited.headers["X-Request-Id"])
    assert alice.token not in stack.log_text()


def test_the_documents_line_finds_what_nginx_refused_and_nothing_else(stack, people):
    command = re.search(r"^<!-- limited -->\n```bash\n(.*?)^```", (ROOT / "docs/metrics.md").read_text(), re.M | re.S)[1]
    assert command.count("/var/log/parley/access.log") == 1
    command = command.replace("/var/log/parley", str(stack.var / "log"))

    def found():
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, check=True)
        return {where: int(count) for count, where in (line.split(maxsplit=1) for line in done.stdout.splitlines())}

    told = []

    def login():
        body = {"username": people[2].name, "password": "wrong"}
        resp = Dm(stack).call("POST", "/api/auth/login", json=body)
        told.append(resp.json()["detail"])
        return resp
    workers, nginxs = "too many failed logins; wait before the next try", "Too many requests; try again later."
    for said in (workers, nginxs):
        eventually(lambda: flood(login) and said in told, what=said)
    eventually(lambda: found().get('client=127.0.0.1 request="POST /api/auth/login"') == told.count(nginxs))


# ---------------------------------------------------------------------- frames

def drown(sock, frame, most=50000):
    """Send frame over and over while reading, until the server closes; what it answered, and the close."""
    closed = threading.Event()

    def pour():
        try:
            for _ in range(most):
                if closed.is_set():
                    return
                sock.send(frame)
        except (OSError, websocket.WebSocketException):
            pass
    pouring = threading.Thread(target=pour)
    pouring.start()
    answers = []
    try:
        while True:
            answers.append(sock.recv_json())
    except Closed as end:
        return answers, end
    finally:
        closed.set()
        pouring.join()


def test_too_many_frames_get_an_error_and_close_4009(alice, bob):
    with dm_socket(alice) as sock:
        answers, end = drown(sock, {"recipient_id": "nobody", "content": "x"})
    assert end.code == 4009
    assert set(answers[-1]) == {"error"}


def test_a_flood_does_not_disturb_the_neighbours(alice, bob, people):
    with dm_socket(bob) as neighbour, dm_socket(alice) as other, dm_socket(alice) as sock:
        drown(sock, "{")
        echo = neighbour.exchange(people[2], "calm")
        assert echo["content"] == "calm"
        assert other.exchange(people[2], "also calm")["content"] == "also calm"


def test_too_many_sockets_of_one_user_close_4010(people, bob):
    carol = people[2]                   # who had none before: one that was left may still count
    with ExitStack() as opened:
        sockets = [opened.enter_context(dm_socket(carol)) for _ in range(5)]
        for sock in sockets:
            sock.ping()
        opened.enter_context(dm_socket(carol)).expect_close(4010)
        opened.enter_context(dm_socket(bob)).ping()
        sockets[0].close()
        eventually(lambda: _stays_open(carol), what="a socket is free again")


def _stays_open(user):
    with dm_socket(user) as sock:
        try:
            sock.ping()
            return True
        except (AssertionError, OSError, websocket.WebSocketException):
            return False


# ---------------------------------------------------------------------- other origins

ORIGINS = ["https://evil.example", "http://localhost:3000", "null"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_other_origin_is_allowed_unless_configured(stack, alice, origin):
    resp = alice.call("GET", "/api/v1/users/me", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in resp.headers
    preflight = requests.options(stack.url + "/api/v1/users/me", timeout=10,
                                 headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
    assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_other_origins_open_no_socket_unless_configured(alice, origin):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        dm_socket(alice, origin=origin)
    assert refused.value.status_code == 403


def test_own_origin_opens_a_socket(stack, alice, people):
    with dm_socket(alice, origin=stack.url) as sock:
        assert sock.exchange(people[2], "from our own page")["content"] == "from our own page"
