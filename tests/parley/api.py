"""A thin HTTP client: no retries, no interpretation, one class per dialect.

A new dialect is a class with its paths and field names; Api keeps what all share. Methods named as
verbs return the response as it came; those that `make` something assert that it worked.
"""

import itertools
import json
import uuid

import requests

from .wait import eventually

_count = itertools.count(1)


def fresh_name(prefix="u"):
    """A username nobody has: tests share a stack."""
    return f"{prefix}{next(_count)}{uuid.uuid4().hex[:10]}"


def fresh_password():
    return f"pw-{uuid.uuid4().hex}"


def id_of(thing):
    """The id of an account, a JSON object, or an id as it is."""
    return thing["id"] if isinstance(thing, dict) else getattr(thing, "id", thing)


class _From(requests.adapters.HTTPAdapter):
    """Connects from one of this machine's addresses, such as 127.0.0.9."""

    def __init__(self, source):
        self.source = source
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=(self.source, 0), **kwargs)


class Api:
    """One caller: a stack, and a token once there is one; source: the address it comes from. Also holds who it is
    once signed up."""

    #: What the paths given to ask() are below.
    BASE = ""

    user = None
    password = None

    def __init__(self, stack, token=None, source=None):
        self.stack = stack
        self.token = token
        self.http = requests.Session()
        self.http.trust_env = False
        if source:
            self.http.mount("http://", _From(source))

    def call(self, method, path, token=..., headers=None, **kwargs):
        """Any request; token=None sends none, otherwise the caller's own goes along."""
        headers = dict(headers or {})
        token = self.token if token is ... else token
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        resp = self.http.request(method, self.stack.url + path, headers=headers,
                                 timeout=kwargs.pop("timeout", 20), allow_redirects=False, **kwargs)
        assert resp.headers.get("X-Request-Id"), f"no X-Request-Id: {method} {path}"
        return resp

    def raw(self, method, path, body, content_type="application/json", **kwargs):
        """A request with exactly these bytes as its body; content_type None sends none."""
        headers = {**({"Content-Type": content_type} if content_type else {}), **kwargs.pop("headers", {})}
        return self.call(method, path, data=body, headers=headers, **kwargs)

    def ask(self, method, path, status=None, **kwargs):
        """A request below BASE; with status its answer has to be that one, and is returned as JSON."""
        resp = self.call(method, self.BASE + path, **kwargs)
        if status is None:
            return resp
        assert resp.status_code == status, f"{method} {path}: {resp.status_code} {resp.text}"
        return resp.json() if resp.content else None

    @property
    def id(self):
        return self.user["id"]

    @property
    def name(self):
        return self.user["username"]

    def close(self):
        self.http.close()


class Dm(Api):
    """`dm` (000): /api/v1 auth, users and messages."""

    BASE = "/api/v1"

    refresh_token = None

    # ------------------------------------------------------------------ accounts and sessions

    def register(self, username=..., email=..., password=..., **more):
        """Missing arguments get fresh values; None leaves the member out."""
        name = fresh_name() if username in (..., None) else username
        body = {"username": name if username is not None else None,
                "email": f"{fresh_name('m')}@example.org" if email is ... else email,
                "password": fresh_password() if password is ... else password}
        body = {k: v for k, v in body.items() if v is not None}
        return self.call("POST", f"{self.BASE}/auth/register", json={**body, **more})

    def login(self, **body):
        return self.call("POST", f"{self.BASE}/auth/login", json=body, token=None)

    def refresh(self, token=...):
        body = {"refresh_token": self.refresh_token if token is ... else token}
        return self.call("POST", f"{self.BASE}/auth/refresh", json=body, token=None)

    def logout(self):
        return self.call("POST", f"{self.BASE}/auth/logout")

    def me(self, token=...):
        return self.call("GET", f"{self.BASE}/users/me", token=token)

    def make_account(self, name=None, **more):
        """Register and take the answer's tokens."""
        self.password = more.pop("password", None) or fresh_password()
        resp = self.register(username=name or fresh_name(), password=self.password, **more)
        assert resp.status_code == 201, resp.text
        self._remember(resp.json())
        return self

    def another_device(self):
        """The same account logged in again: a session of its own."""
        other = Dm(self.stack)
        other.password = self.password
        resp = other.login(username=self.user["username"], password=self.password)
        assert resp.status_code == 200, resp.text
        other._remember(resp.json())
        return other

    def _remember(self, answer):
        self.user = answer["user"]
        self.token = answer["tokens"]["access_token"]
        self.refresh_token = answer["tokens"]["refresh_token"]
        self.stack.secrets.update((self.password, self.refresh_token))

    # ------------------------------------------------------------------ messages

    def send(self, recipient, content, key=None, **more):
        """recipient: another Dm or an id."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        body = {"recipient_id": getattr(recipient, "id", recipient), "content": content, **more}
        return self.call("POST", f"{self.BASE}/messages/dm", json=body, headers=headers)

    def make_message(self, recipient, content, **more):
        resp = self.send(recipient, content, **more)
        assert resp.status_code == 201, resp.text
        return resp.json()

    def history(self, other, **query):
        return self.call("GET", f"{self.BASE}/messages/dm/{getattr(other, 'id', other)}", params=query)

    def whole_history(self, other):
        """Every message with other, oldest first. Asks again while the answer is 503, as clients do."""
        found = []
        while True:
            page = eventually(lambda: self._page(other, len(found)), what="the history is served")
            found += page[0]
            if len(page[0]) < 100:
                return found[::-1]

    def _page(self, other, offset):
        resp = self.history(other, limit=100, offset=offset)
        assert resp.status_code in (200, 502, 503, 504), resp.text
        return [resp.json()] if resp.status_code == 200 else None

    def conversations(self):
        return self.call("GET", f"{self.BASE}/messages/conversations")


def account(stack, name=None, **more):
    """A new account on stack, signed in."""
    return Dm(stack).make_account(name, **more)


def json_bytes(value, **kwargs):
    """JSON as a client that escapes nothing would write it."""
    return json.dumps(value, ensure_ascii=False, **kwargs).encode("utf-8", "surrogatepass")


