"""Sockets at the door: how many from where, how long they may stay."""

import time
from contextlib import ExitStack

import pytest
import websocket

from parley import keys, tokens
from parley.api import account
from parley.check import parse_time
from parley.conv import ConvSocket
from parley.everywhere import SOCKETS, SURFACES, Person
from parley.rooms import RoomsSocket
from parley.sockets import DmSocket, dm_socket
from parley.wait import eventually

MOST = 4
STACK = {"settings": {"SOCKETS_PER_ADDRESS": MOST}}


@pytest.fixture
def limited(module_stack):
    """An account on the stack that lets few sockets in from one address."""
    return account(module_stack)


@pytest.fixture
def brief(stack):
    """A function that makes a token of a client's which expires in so many seconds."""
    def make(token, seconds):
        head, _ = tokens.parts(token)
        return tokens.resign(token, keys.read(stack)[head["kid"]], exp=int(time.time()) + seconds)
    return make


def expiry(token):
    return tokens.parts(token)[1]["exp"]


def outlive(sock, token):
    """Nothing is said, nor is the socket closed, until token has been over for a second."""
    sock.expect_nothing(expiry(token) + 1 - time.time())
    sock.sync()


# ---------------------------------------------------------------------- by address

def refused(open_one):
    """The status and JSON of a refused upgrade."""
    with pytest.raises(websocket.WebSocketBadStatusException) as failed:
        open_one().close()
    return failed.value


def test_too_many_sockets_of_one_address_are_refused_before_the_upgrade(limited, module_stack):
    """Whoever they belong to; other addresses are not concerned, and a closed one makes room."""
    here, there = "127.0.8.1", "127.0.8.2"
    with ExitStack() as opened:
        sockets = [opened.enter_context(dm_socket(account(module_stack), source=here)) for _ in range(MOST)]
        for sock in sockets:
            sock.ping()
        failed = refused(lambda: dm_socket(limited, source=here))
        assert failed.status_code == 429
        assert failed.resp_headers["retry-after"] == "1"
        assert failed.resp_headers["x-request-id"]
        opened.enter_context(dm_socket(limited, source=there)).ping()
        sockets[0].close()
        eventually(lambda: _opens(limited, here), what="there is room again")


def _opens(user, source):
    try:
        with dm_socket(user, source=source) as sock:
            sock.ping()
            return True
    except websocket.WebSocketBadStatusException:
        return False


def test_sockets_that_never_authenticate_count_too(limited, module_stack):
    here = "127.0.8.3"
    with ExitStack() as opened:
        for _ in range(MOST):
            opened.enter_context(RoomsSocket(module_stack, source=here))
        assert refused(lambda: dm_socket(limited, source=here)).status_code == 429


def test_refused_and_broken_handshakes_leave_no_count(limited, module_stack):
    here = "127.0.8.4"
    for _ in range(3 * MOST):
        assert refused(lambda: ConvSocket(module_stack, "nonsense", source=here)).status_code == 401
        DmSocket(module_stack, "nonsense", source=here).expect_close(4001)
        DmSocket(module_stack, limited.token, source=here).abort()
    eventually(lambda: _opens(limited, here), what="nothing is counted")


def test_the_client_does_not_choose_its_address(limited):
    here = "127.0.8.5"
    with ExitStack() as opened:
        for n in range(MOST):
            opened.enter_context(dm_socket(limited, source=here, header=[f"X-Real-IP: 192.0.2.{n}", f"X-Forwarded-For: 192.0.2.{n}"]))
        assert refused(lambda: dm_socket(limited, source=here, header=["X-Real-IP: 192.0.2.77"])).status_code == 429


def test_the_daemons_log_tells_the_request(limited, module_stack):
    sock = dm_socket(limited)
    sock.close()
    module_stack.wait_for_log(f"event=socket_closed request_id={sock.headers['x-request-id']}")
    for _ in range(2):
        failed = refused(lambda: ConvSocket(module_stack, "nonsense"))
    module_stack.wait_for_log(f"event=socket_refused request_id={failed.resp_headers['x-request-id']}")
    assert "denied connection" not in module_stack.log_text(), "not libwebsockets' words beside it"


# ---------------------------------------------------------------------- by time

def test_a_socket_of_any_surface_ends_with_its_token(stack, brief):
    person = Person(stack)
    with ExitStack() as opened:
        clients = [getattr(person, surface) for surface in SURFACES]
        for client in clients:
            client.token = brief(client.token, 6)
        sockets = [opened.enter_context(SOCKETS[surface](client)) for surface, client in zip(SURFACES, clients)]
        for sock, client in zip(sockets, clients):
            sock.expect_close(4001)
            assert time.time() >= expiry(client.token), "not before"


def test_a_fresh_token_keeps_a_conv_socket_alive(alice, stack, brief):
    first = brief(alice.token, 4)
    with ConvSocket(stack, first) as sock:
        later = brief(alice.token, 10)
        sock.tell("auth", token=later)
        expires = sock.expect("authenticated")["expires_at"]
        assert parse_time(expires).timestamp() == expiry(later)
        outlive(sock, first)
        sock.expect_close(4001)


def test_a_fresh_token_keeps_a_rooms_socket_alive(alice, stack, brief):
    first = brief(alice.token, 4)
    with RoomsSocket(stack, first) as sock:
        assert sock.auth(alice.token)["type"] == "success"
        outlive(sock, first)


def test_the_token_of_another_session_carries_the_socket_over(alice, stack):
    """From then on the socket ends with that session, not with the first."""
    other = alice.another_device()
    with ConvSocket(stack, alice.token) as sock:
        sock.tell("auth", token=other.token)
        sock.expect("authenticated")
        alice.logout()
        sock.expect_nothing(1.5)
        sock.sync()
        other.logout()
        sock.expect_close(4001)


@pytest.mark.parametrize("kind", ["nonsense", "expired", "revoked", "another user's"])
def test_a_bad_fresh_token_ends_the_connection(alice, bob, stack, brief, kind):
    other = alice.another_device()
    with ConvSocket(stack, other.token) as theirs:
        other.logout()
        theirs.expect_close(4001)       # the daemon has heard of it
    token = {"nonsense": "nonsense", "expired": brief(alice.token, -5), "revoked": other.token, "another user's": bob.token}[kind]
    with ConvSocket(stack, alice.token) as sock:
        sock.tell("auth", token=token)
        assert sock.expect("error")["code"] == "unauthorized"
        sock.expect_close(4001)


def test_an_auth_frame_without_a_token_leaves_the_socket_as_it_was(alice, stack):
    with ConvSocket(stack, alice.token) as sock:
        for frame in ({}, {"token": None}, {"token": 7}):
            sock.tell("auth", **frame)
            assert sock.expect("error")["code"] in ("missing_field", "invalid_field")
        sock.sync()
