"""Errors: every refusal, by whichever component, is JSON in the contract's one shape."""

import json
import re
import socket
import uuid

import pytest
import requests

from parley.api import Dm, fresh_name
from parley.check import PROBLEM_MEMBERS, assert_problem
from parley.wait import eventually

NOBODY = "0193e000-0000-7000-8000-000000000001"

#: method, path, whether it needs a token, whether it reads a body
ENDPOINTS = [
    ("POST", "/api/v1/auth/register", False, True),
    ("POST", "/api/v1/auth/login", False, True),
    ("POST", "/api/v1/auth/refresh", False, True),
    ("POST", "/api/v1/auth/logout", True, False),
    ("GET", "/api/v1/users/me", True, False),
    ("POST", "/api/v1/messages/dm", True, True),
    ("GET", f"/api/v1/messages/dm/{NOBODY}", True, False),
    ("GET", "/api/v1/messages/conversations", True, False),
]
PROTECTED = [(m, p) for m, p, token, _ in ENDPOINTS if token]
WITH_BODY = [(m, p) for m, p, _, body in ENDPOINTS if body]


def named(rows):
    return pytest.mark.parametrize("method,path", rows, ids=[f"{m} {p.replace(NOBODY, ':id')}" for m, p in rows])


# ---------------------------------------------------------------------- 401

@named(PROTECTED)
def test_no_token_is_unauthorized(stack, method, path):
    assert_problem(Dm(stack).call(method, path), 401, "unauthorized")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer nonsense", "Bearer a.b.c",
                                    "Bearer ..", "nonsense", "Bearer é"], ids=repr)
def test_unusable_authorization_header_is_unauthorized(stack, header):
    resp = Dm(stack).call("GET", "/api/v1/users/me", headers={"Authorization": header.encode()})
    assert_problem(resp, 401, "unauthorized")


def test_bearer_is_understood_in_any_case(alice):
    for scheme in ("bearer", "BEARER", "Bearer"):
        resp = alice.call("GET", "/api/v1/users/me", headers={"Authorization": f"{scheme} {alice.token}"})
        assert resp.status_code == 200


def test_a_token_in_the_url_is_no_authorization_for_rest(alice):
    resp = alice.call("GET", f"/api/v1/users/me?token={alice.token}", token=None)
    assert_problem(resp, 401, "unauthorized")


def test_an_outsiders_bad_body_is_not_even_looked_at(stack):
    assert_problem(Dm(stack).raw("POST", "/api/v1/messages/dm", b"{"), 401, "unauthorized")


# ---------------------------------------------------------------------- 400: bodies

@named(WITH_BODY)
@pytest.mark.parametrize("body", [b"{", b"nope", b'{"a":1', b'{"a":}', b"{} trailing", b"{'a':1}", b'{"a":"\xff"}',
                                  b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}', b'\x00', b'{"a":01}', b'{"a":"\n"}'],
                         ids=repr)
def test_malformed_json_is_refused(alice, method, path, body):
    assert_problem(alice.raw(method, path, body), 400, "bad_json")


@named(WITH_BODY)
def test_endless_nesting_is_refused(alice, method, path):
    for body in (b"[" * 10000, b'{"a":' * 10000, b"[" * 10000 + b"]" * 10000):
        assert_problem(alice.raw(method, path, body), 400, ("bad_json", "invalid_body"))


@named(WITH_BODY)
@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"true", b'[{"username":"x"}]'], ids=repr)
def test_json_that_is_no_object_is_refused(alice, method, path, body):
    assert_problem(alice.raw(method, path, body), 400, "invalid_body")


@named(WITH_BODY)
def test_an_empty_body_is_refused(alice, method, path):
    assert_problem(alice.raw(method, path, b""), 400, ("bad_json", "invalid_body", "missing_field"))


def test_lone_surrogates_are_refused(alice, bob):
    body = json.dumps({"recipient_id": bob.id, "content": "X"}).encode()
    for escape in (rb"\ud800", rb"\udc00", rb"\ud800\ud800", rb"\udc00\ud800", rb"\ud800x"):
        resp = alice.raw("POST", "/api/v1/messages/dm", body.replace(b"X", escape))
        assert_problem(resp, 400, ("bad_json", "invalid_field"))


# ---------------------------------------------------------------------- 415 and content types

@named(WITH_BODY)
@pytest.mark.parametrize("declared", ["text/plain", "application/xml", "multipart/form-data; boundary=x",
                                      "application/octet-stream", "text/json-ish", "nonsense"])
def test_body_declared_as_something_else_is_refused(alice, method, path, declared):
    assert_problem(alice.raw(method, path, b"{}", declared), 415, "unsupported_media_type")


def test_what_may_be_declared_is_said(alice):
    """curl -d '{…}' declares a form, whatever it sends."""
    form = "application/x-www-form-urlencoded"
    for path, taken in (("/api/v1/auth/login", " or a form"), ("/v1/users/login", "")):
        detail = assert_problem(alice.raw("POST", path, b"{}", "text/plain"), 415)["detail"]
        assert detail == "the body has to be JSON (Content-Type: application/json)" + taken
    assert_problem(alice.raw("POST", "/v1/users/login", b"{}", form), 415, names="application/json")
    assert_problem(alice.raw("POST", "/api/v1/auth/login", b'{"username": "x"}', form), 400, "invalid_body",
                   names="application/json")


@pytest.mark.parametrize("declared", [None, "application/json", "application/json; charset=utf-8",
                                      "Application/JSON", "application/json;charset=UTF-8"])
def test_json_is_taken_as_declared_or_undeclared(alice, declared):
    body = json.dumps({"username": alice.name, "password": alice.password}).encode()
    assert alice.raw("POST", "/api/v1/auth/login", body, declared).status_code == 200


def test_answers_declare_json_and_are_not_cached(alice):
    resp = alice.me()
    assert resp.headers["Content-Type"].split(";")[0] == "application/json"
    assert "no-store" in resp.headers.get("Cache-Control", "")


# ---------------------------------------------------------------------- 413

@named(WITH_BODY)
def test_body_over_one_mebibyte_is_refused(alice, method, path):
    body = b'{"content":"' + b"x" * (1 << 20) + b'"}'
    assert_problem(alice.raw(method, path, body), 413, "body_too_large")


def test_chunked_body_over_one_mebibyte_is_refused(alice):
    chunks = (b"x" * 65536 for _ in range(17))
    assert_problem(alice.raw("POST", "/api/v1/messages/dm", chunks), 413, "body_too_large")


def test_body_of_one_mebibyte_is_read(alice, bob):
    frame = json.dumps({"recipient_id": bob.id, "content": "fits", "extra": ""})
    body = frame.replace('"extra": ""', '"extra": "%s"' % ("x" * ((1 << 20) - len(frame)))).encode()
    assert len(body) == 1 << 20
    assert alice.raw("POST", "/api/v1/messages/dm", body).status_code == 201


def test_chunked_body_is_read(alice, bob):
    body = json.dumps({"recipient_id": bob.id, "content": "in pieces"}).encode()
    chunks = (body[i:i + 7] for i in range(0, len(body), 7))
    assert alice.raw("POST", "/api/v1/messages/dm", chunks).json()["content"] == "in pieces"


# ---------------------------------------------------------------------- 404 and 405

@pytest.mark.parametrize("method,path", [(m, p) for m, p, _, _ in ENDPOINTS])
@pytest.mark.parametrize("wrong", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_wrong_method_is_refused_with_the_allowed_ones(alice, method, path, wrong):
    if wrong == method:
        return
    resp = alice.call(wrong, path)
    assert_problem(resp, 405, "method_not_allowed")
    allowed = re.split(r",\s*", resp.headers["Allow"])
    assert method in allowed and wrong not in allowed


@pytest.mark.parametrize("path", ["/", "/nope", "/index.html", "/api", "/apis/v1/users/me", "/favicon.ico",
                                  "/.git/config", "/nginx.conf"])
def test_outside_the_api_there_is_a_json_404(stack, path):
    assert_problem(Dm(stack).call("GET", path), 404, "not_found")


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/api/v1/nope", "/api/v1/users/me/", "/api/v1/messages/dm/a/b",
                                  "/api/v1/users/me/more", "/api/v1//users/me", "/api/v1/USERS/me", "/api/v9/users/me"])
def test_unknown_path_in_the_api_is_not_found(alice, path):
    assert_problem(alice.call("GET", path), 404, "not_found")


# ---------------------------------------------------------------------- nginx's own errors

def raw_http(stack, text):
    """The status, headers and JSON body that raw bytes are answered with."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as sock:
        sock.sendall(text)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), json.loads(body)


@pytest.mark.parametrize("text", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                  b"POST /api/v1/messages/dm HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"],
                         ids=["garbage", "no host", "two hosts", "bad length"])
def test_broken_http_is_answered_in_json(stack, text):
    status, headers, body = raw_http(stack, text)
    assert status == 400 and "application/problem+json" in headers and "x-request-id:" in headers
    assert set(PROBLEM_MEMBERS) <= set(body) and body["status"] == 400 and body["error"] == body["detail"]


def test_oversized_uri_is_answered_in_json(stack):
    assert_problem(Dm(stack).call("GET", "/api/v1/users/me?x=" + "y" * 40000), 414)


def test_oversized_header_is_answered_in_json(stack):
    resp = requests.get(stack.url + "/api/v1/users/me", headers={"X-Big": "y" * 40000}, timeout=10)
    assert resp.status_code in (400, 431)
    assert_problem(resp, resp.status_code)


# ---------------------------------------------------------------------- request ids

def test_request_id_leads_to_the_line_in_the_logs(alice, stack):
    resp = alice.send(NOBODY, "to nobody")
    request_id = resp.headers["X-Request-Id"]
    eventually(lambda: {name for name, text in stack.logs().items() if request_id in text}
               >= {"log/access.log", "log/fcgi-app.log"}, what="both nginx and the worker name it")


def test_every_request_has_its_own_id(alice):
    assert len({alice.me().headers["X-Request-Id"] for _ in range(20)}) == 20


def test_access_log_drops_the_query_string(alice, stack):
    marker = uuid.uuid4().hex
    resp = alice.call("GET", f"/api/v1/users/me?marker={marker}")
    stack.wait_for_log(resp.headers["X-Request-Id"])
    assert marker not in stack.log_text()


def test_unknown_body_members_are_ignored(alice, bob):
    assert alice.send(bob, "hello", nonsense={"deep": [1]}).status_code == 201
    name = fresh_name()
    assert alice.register(username=name, is_active=False, id=5).json()["is_active"] is True
