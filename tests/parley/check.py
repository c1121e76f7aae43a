"""The contract's shapes as assertions."""

import re
import uuid
from datetime import datetime, timedelta, timezone
from http import HTTPStatus

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
PROBLEM_MEMBERS = ("type", "title", "status", "detail", "error", "code")
#: Titles Python's table still has by their former names (RFC 9110).
TITLES = {413: "Content Too Large", 414: "URI Too Long"}
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def _codes(code):
    return (code,) if isinstance(code, str) else tuple(code)


def assert_problem(resp, status, code=None, names=None):
    """resp is an error in the contract's shape; names: the field its sentence has to mention."""
    assert resp.status_code == status, f"{resp.status_code}, not {status}: {resp.text[:300]}"
    assert resp.headers["Content-Type"].split(";")[0] == "application/problem+json"
    body = resp.json()
    assert not [m for m in PROBLEM_MEMBERS if m not in body], body
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] == (TITLES.get(status) or HTTPStatus(status).phrase)
    assert body["detail"] and body["error"] == body["detail"]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", body["code"]), body
    if code is not None:
        assert body["code"] in _codes(code), body
    if names is not None:
        assert names in body["detail"], body
    _assert_headers_of(resp, status)
    return body


def _assert_headers_of(resp, status):
    assert resp.headers.get("X-Request-Id"), "no X-Request-Id"
    if status == 401:
        assert resp.headers["WWW-Authenticate"].startswith("Bearer")
    if status == 405:
        assert resp.headers["Allow"]
    if status in (429, 503):
        assert int(resp.headers["Retry-After"]) > 0


def parse_time(text):
    """A time in the contract's format, as a datetime."""
    assert isinstance(text, str) and TIME.fullmatch(text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def epoch_ms(text):
    return (parse_time(text) - EPOCH) // timedelta(milliseconds=1)


def id_parts(text):
    """(version, variant, milliseconds, low 62 bits) of a UUID as Parley writes it."""
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text), text
    n = uuid.UUID(text).int
    return (n >> 76) & 0xF, (n >> 62) & 0x3, n >> 80, n & ((1 << 62) - 1)


def assert_id(text, created_at, number=None):
    """text is the UUIDv7 of a row made at created_at (whose integer id is number)."""
    version, variant, ms, low = id_parts(text)
    assert (version, variant) == (7, 2), text
    assert ms == epoch_ms(created_at)
    assert low > 0 and number in (None, low)


def with_timestamp(text, ms):
    """The same UUID claiming another millisecond."""
    n = uuid.UUID(text).int
    return str(uuid.UUID(int=(n & ((1 << 80) - 1)) | ms << 80))


def number_of(text):
    """The integer id inside a UUID."""
    return id_parts(text)[3]


def uuid_of(number, created_at):
    """The UUID of the row with this integer id, made at created_at: one surface's name for another's."""
    return str(uuid.UUID(int=epoch_ms(created_at) << 80 | 7 << 76 | 2 << 62 | number))
