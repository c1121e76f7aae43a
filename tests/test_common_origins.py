"""CORS_ORIGINS: whose pages may call the API and open sockets."""

import pytest
import websocket

from parley.api import Dm, account
from parley.check import assert_problem
from parley.sockets import dm_socket

STACK = {"settings": {"CORS_ORIGINS": "https://app.example,http://two.example:8000"}}
ALLOWED = ["https://app.example", "http://two.example:8000"]
FOREIGN = ["http://app.example", "https://app.example.evil.example", "https://app.example:444", "https://xapp.example",
           "http://two.example", "null", "https://app.example/", "http://localhost:3000"]


@pytest.fixture
def listing(module_stack):
    """An account on the stack that lists two origins."""
    return account(module_stack)


def preflight(user, origin, method="POST"):
    return user.call("OPTIONS", "/api/v1/messages/dm", token=None, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key"})


@pytest.mark.parametrize("origin", ALLOWED)
def test_preflight_of_a_listed_origin_is_granted(listing, origin):
    resp = preflight(listing, origin)
    assert resp.status_code in (200, 204)
    assert resp.headers["Access-Control-Allow-Origin"] == origin
    assert "POST" in resp.headers["Access-Control-Allow-Methods"]
    granted = {h.strip() for h in resp.headers["Access-Control-Allow-Headers"].lower().split(",")}
    assert {"authorization", "content-type", "idempotency-key", "last-event-id"} <= granted


@pytest.mark.parametrize("origin", ALLOWED)
def test_answers_and_errors_are_readable_by_a_listed_origin(listing, origin):
    for token, status in ((listing.token, 200), ("nonsense", 401)):
        resp = listing.call("GET", "/api/v1/users/me", token=token, headers={"Origin": origin})
        assert resp.status_code == status
        assert resp.headers["Access-Control-Allow-Origin"] == origin
        assert "origin" in resp.headers["Vary"].lower()
        assert "Access-Control-Allow-Credentials" not in resp.headers


@pytest.mark.parametrize("origin", FOREIGN)
def test_unlisted_origin_is_granted_nothing(listing, origin):
    resp = listing.call("GET", "/api/v1/users/me", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in resp.headers
    assert "Access-Control-Allow-Origin" not in preflight(listing, origin).headers


@pytest.mark.parametrize("origin", ALLOWED)
def test_listed_origin_opens_a_socket(listing, module_stack, origin):
    other = account(module_stack)
    with dm_socket(listing, origin=origin) as sock:
        assert sock.exchange(other, "hello")["content"] == "hello"


@pytest.mark.parametrize("origin", FOREIGN)
def test_unlisted_origin_is_refused_before_the_upgrade(listing, origin):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        dm_socket(listing, origin=origin)
    assert refused.value.status_code == 403


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:3000", "https://localhost:8443",
                                    "http://127.0.0.1:5173", "http://[::1]:5173"])
def test_every_localhost_origin_is_allowed_under_make_run(stack, alice, origin):
    """The shared stack has what `make run` writes."""
    assert stack.written_settings()["CORS_ORIGINS"] == "localhost"
    assert preflight(alice, origin).headers["Access-Control-Allow-Origin"] == origin
    dm_socket(alice, origin=origin).close()
    assert alice.call("GET", "/nowhere", headers={"Origin": origin}).headers["Access-Control-Allow-Origin"] == origin, "nginx"


@pytest.mark.parametrize("origin", ["http://localhost.evil.example", "https://evil.example", "http://evil.example/localhost",
                                    "http://127.0.0.1.evil.example", "http://xlocalhost", "http://localhost@evil.example"])
def test_localhost_means_this_host_only(stack, alice, origin):
    assert "Access-Control-Allow-Origin" not in preflight(alice, origin).headers
    assert "Access-Control-Allow-Origin" not in alice.call("GET", "/nowhere", headers={"Origin": origin}).headers
    with pytest.raises(websocket.WebSocketBadStatusException):
        dm_socket(alice, origin=origin)


def test_request_without_an_origin_is_no_concern_of_cors(stack):
    resp = Dm(stack).call("GET", "/api/v1/users/me")
    assert_problem(resp, 401)
    assert "Access-Control-Allow-Origin" not in resp.headers
