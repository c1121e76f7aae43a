"""nginx at the door: what is not quite HTTP, what is too large, what is too much, and what every answer says.

The smuggled request is /smuggled: it must be answered by nobody and stand in no log.
"""

import contextlib
import re
import socket

import pytest

from parley.api import Dm, account
from parley.check import assert_problem
from parley.sockets import dm_socket

ORIGIN = "https://app.example"
STACK = {"settings": {"CORS_ORIGINS": f"{ORIGIN}, http://two.example:8000"}, "env": {"AUTH_RATE": None, "ADDRESS_RATE": "1r/s"}}
BURST = 2000                            # of the limit by address, in nginx.conf
SECURITY = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}


@pytest.fixture(scope="module")
def known(module_stack):
    return account(module_stack)


@pytest.fixture
def stack(module_stack, known):
    return module_stack


def exchange(stack, data, quiet=0.3):
    """Everything nginx answers to these bytes until it closes or has nothing more to say."""
    with socket.create_connection(("127.0.0.1", stack.port), 5) as s:
        s.sendall(data)
        s.settimeout(3)
        answer = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while chunk := s.recv(65536):
                answer += chunk
                s.settimeout(quiet)
        return answer.decode(errors="replace")


def statuses(answer):
    return [int(s) for s in re.findall(r"HTTP/1\.[01] (\d{3}) ", answer)]     # nothing stands between two answers


# ---------------------------------------------------------------------- smuggling

SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = '{"a":1}'
#: Headers on whose meaning two parsers might disagree; the body would be a request to one of them.
AMBIGUOUS = {
    "length and chunked": f"Content-Length: {len(BODY)}\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": f"Transfer-Encoding: chunked\r\nContent-Length: {len(BODY)}\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: 7\r\n",
    "the same length twice": "Content-Length: 7\r\nContent-Length: 7\r\n",
    "a list of lengths": "Content-Length: 7, 7\r\n",
    "a negative length": "Content-Length: -1\r\n",
    "a signed length": "Content-Length: +7\r\n",
    "a hexadecimal length": "Content-Length: 0x7\r\n",
    "a huge length": "Content-Length: 99999999999999999999\r\n",
    "space before the colon": "Content-Length : 7\r\n",
    "chunked with a space before the colon": "Transfer-Encoding : chunked\r\n",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked misspelt": "Transfer-Encoding: xchunked\r\n",
    "chunked quoted": 'Transfer-Encoding: "chunked"\r\n',
    "chunked and identity": "Transfer-Encoding: chunked, identity\r\n",
    "chunked behind a control character": "Transfer-Encoding: \x0bchunked\r\n",
    "a folded header": "X-Fold: a\r\n Content-Length: 7\r\n",
    "a NUL in a header": "X-Null: a\0b\r\n",
    "two hosts": "Host: y\r\n",
    "a header without a colon": "Content-Length\r\n",
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=list(AMBIGUOUS))
@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/messages/dm", "/ws/chat"])
def test_ambiguous_framing_smuggles_nothing(stack, path, headers):
    answer = exchange(stack, f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{BODY}{SMUGGLED}".encode())
    assert len(statuses(answer)) <= 1, answer
    assert "smuggled" not in (stack.var / "log/access.log").read_text()
    if statuses(answer) and "colon" not in headers:
        assert 400 <= statuses(answer)[0] < 600


@pytest.mark.parametrize("size", ["ZZ", "-1", "0x5", "FFFFFFFFFFFFFFFFF", "5;\n", ""], ids=repr)
def test_bad_chunks_smuggle_nothing(stack, size):
    answer = exchange(stack, f"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{BODY}\r\n0\r\n\r\n{SMUGGLED}".encode())
    assert len(statuses(answer)) <= 1, answer
    assert "smuggled" not in (stack.var / "log/access.log").read_text()


def test_the_smuggling_tests_would_notice(stack):
    """The control: a second request that is one is answered, and logged."""
    answer = exchange(stack, b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n"
                             b"GET /two-is-answered HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", quiet=5)
    assert statuses(answer) == [404, 404]
    stack.wait_for_log("/two-is-answered")


def test_a_chunked_body_is_understood(stack, known):
    body = f'{{"username":"{known.name}","password":"{known.password}"}}'
    half = len(body) // 2
    chunks = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (body[:half], body[half:]))
    answer = exchange(stack, f"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n".encode())
    assert statuses(answer) == [200]


def test_headers_with_underscores_do_not_pass_for_others(stack, known):
    """Both spellings become one CGI variable."""
    resp = Dm(stack).call("GET", "/api/v1/users/me", headers={"AUTHORIZATION_": "x", "HTTP_AUTHORIZATION": f"Bearer {known.token}"})
    assert_problem(resp, 401)
    resp = known.call("GET", "/api/v1/users/me", headers={"REMOTE_ADDR": "192.0.2.1", "Request_Id": "forged", "Proxy": "http://192.0.2.1"})
    assert resp.status_code == 200 and resp.headers["X-Request-Id"] != "forged"


# ---------------------------------------------------------------------- too large

@pytest.mark.parametrize("path", ["/api/v1/users/me", "/ws/chat", "/nowhere"])
def test_what_is_too_large_is_refused_in_the_contracts_shape(stack, known, path):
    assert_problem(known.call("GET", path, headers={"X-Large": "x" * 9000}), 431, "headers_too_large")
    assert_problem(known.call("GET", path, headers={f"X-Large-{n}": "x" * 7000 for n in range(6)}), 431, "headers_too_large")
    assert_problem(known.call("GET", path + "?a=" + "x" * 9000), 414, "uri_too_long")
    assert known.me().status_code == 200


def test_the_largest_token_that_passes_is_refused_as_a_token(stack):
    big = "x" * 7900
    assert_problem(Dm(stack, big).me(), 401, "unauthorized")
    with dm_socket(Dm(stack, big), token_in_url=False) as sock:
        sock.expect_close(4001)


# ---------------------------------------------------------------------- what every answer says

def answers(stack, known):
    """An answer of each kind: workers, both pools, the daemon, nginx."""
    headers = {"Origin": ORIGIN}
    ask = lambda method, path, **more: known.call(method, path, headers={**headers, **more.pop("headers", {})}, **more)
    yield "a worker", 200, ask("GET", "/api/v1/users/me")
    yield "a worker's error", 404, ask("GET", "/api/v1/nowhere")
    yield "the auth pool", 400, ask("POST", "/api/v1/auth/login", json={})
    yield "an empty answer", 204, ask("OPTIONS", "/api/v1/users/me")
    yield "HEAD", 200, ask("HEAD", "/api/v1/users/me")
    yield "the daemon", 426, ask("GET", "/ws")
    yield "the daemon, to who waits for events", 200, ask("GET", "/api/v1/events?wait=1")
    yield "the daemon's error to such", 401, ask("GET", "/api/v1/events?wait=1", token="nonsense")
    yield "nginx", 404, ask("GET", "/nowhere")
    yield "a large body", 413, ask("POST", "/api/v1/messages/dm", data="x" * (1 << 20 | 1))
    yield "large headers", 431, ask("GET", "/api/v1/users/me", headers={"X-Large": "x" * 9000})


def test_every_answer_has_the_security_headers_once(stack, known):
    for what, status, resp in answers(stack, known):
        assert resp.status_code == status, what
        assert {name: resp.headers.get(name) for name in SECURITY} == SECURITY, what
        assert "nginx/" not in resp.headers.get("Server", ""), what


def test_a_socket_has_the_security_headers_too(known):
    with dm_socket(known) as sock:
        assert {name: sock.headers.get(name.lower()) for name in SECURITY} == SECURITY


def may_read(resp):
    """What a page of ORIGIN may see of an answer."""
    if resp.headers.get("Access-Control-Allow-Origin") != ORIGIN:
        return None
    assert "origin" in resp.headers["Vary"].lower()
    assert "Access-Control-Allow-Credentials" not in resp.headers
    return {name.strip() for name in resp.headers["Access-Control-Expose-Headers"].split(",")}


def get_from(stack, origin, path="/nowhere"):
    return Dm(stack).call("GET", path, headers={"Origin": origin} if origin else {})


@pytest.mark.parametrize("origin,granted", [(ORIGIN, True), ("http://two.example:8000", True), ("https://evil.example", False),
                                            ("http://app.example", False), (ORIGIN + ".evil.example", False), ("null", False),
                                            ("http://localhost:3000", False), (None, False)])
def test_listed_origins_may_read_what_nginx_says_itself(stack, origin, granted):
    resp = get_from(stack, origin)
    assert resp.headers.get("Access-Control-Allow-Origin") == (origin if granted else None)
    assert ("Access-Control-Expose-Headers" in resp.headers) == granted


def test_a_page_can_read_that_it_is_limited(stack):
    """429 by the limit on logins, with how long to wait."""
    ask = lambda: Dm(stack, source="127.0.9.1").call("POST", "/api/v1/auth/login", json={}, headers={"Origin": ORIGIN})
    resp = next(r for r in iter(ask, None) if r.status_code != 400)
    assert_problem(resp, 429, "rate_limited")
    assert {"Retry-After", "X-Request-Id"} <= may_read(resp)


def test_a_page_can_read_that_a_pool_is_out_of_reach(stack):
    ask = lambda: Dm(stack, source="127.0.9.2").call("POST", "/api/v1/auth/login", json={}, headers={"Origin": ORIGIN})
    door, aside = stack.var / "run/auth.sock", stack.var / "run/auth.aside"
    door.rename(aside)
    try:
        resp = ask()
    finally:
        aside.rename(door)
    assert_problem(resp, 502, "bad_gateway")
    assert {"Retry-After", "X-Request-Id"} <= may_read(resp)
    assert {name: resp.headers.get(name) for name in SECURITY} == SECURITY
    assert ask().status_code == 400, "within reach again"


# ---------------------------------------------------------------------- too much

def pour(stack, count, source, token="nonsense", path="/api/v1/users/me"):
    """Many requests down one connection; their statuses."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", stack.port), 10, (source, 0)) as s:
        s.settimeout(30)
        answer = b""
        for start in range(0, count, 50):
            size = min(50, count - start)
            s.sendall(request * (size - (start + size == count)) + (last if start + size == count else b""))
            while len(statuses(answer.decode(errors="replace"))) < size:
                chunk = s.recv(1 << 20)
                assert chunk, "closed early"
                answer += chunk
            yield from statuses(answer.decode(errors="replace"))
            answer = b""


def test_one_address_cannot_take_everything(stack, known):
    """However it invents tokens; another address is not concerned."""
    flood = list(pour(stack, BURST + 200, "127.0.9.3"))
    assert 429 in flood and set(flood) <= {401, 429}
    assert flood.index(429) >= BURST
    assert known.me().status_code == 200
    for path in ("/api/v1/users/me", "/api/v1/events"):
        assert 429 in pour(stack, BURST + 200, "127.0.9.3", known.token, path), "a good token is no exception"


def test_the_address_that_is_counted_is_the_one_that_connects(stack):
    """Whatever the client says of itself."""
    ask = lambda n: Dm(stack, source="127.0.9.4").call("POST", "/api/v1/auth/login", json={}, headers={
        "X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}"})
    assert any(ask(n).status_code == 429 for n in range(400))       # a busy machine takes longer to be too quick
