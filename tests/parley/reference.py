"""docs/openapi.yaml as the tests see it: operations, the requests it shows, and the world they speak of.

The examples name people and things by ids of their own, listed under x-example-world; World makes
all of it on a running stack and says what stands there instead.
"""

import copy
import functools
import hashlib
import json
import re
import secrets
import subprocess
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker, RefResolver

from .api import Dm, account, fresh_name
from .check import number_of
from .stack import binary

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/openapi.yaml"
PASSWORD = "correct horse battery"
METHODS = ("get", "post", "put", "patch", "delete")
SERVER_ERRORS = (500, 502, 503, 504)        # what the reference's 5XX stands for


@functools.lru_cache(None)
def reference():
    return yaml.load(REFERENCE.read_text(), yaml.CSafeLoader)


def resolve(node):
    """What node is, or refers to."""
    while isinstance(node, dict) and "$ref" in node:
        target = reference()
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


# ---------------------------------------------------------------------- schemas

def _closed(node):
    """Objects without undocumented members: clients may meet more one day, tests may not."""
    if isinstance(node, list):
        return [_closed(n) for n in node]
    if not isinstance(node, dict):
        return node
    closed = {k: _closed(v) for k, v in node.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


@functools.lru_cache(None)
def _resolver():
    return RefResolver.from_schema({"components": {"schemas": _closed(copy.deepcopy(reference()["components"]["schemas"]))}})


def schema_validator(schema):
    return Draft202012Validator(_closed(schema), resolver=_resolver(), format_checker=FormatChecker())


def assert_matches(value, schema, what):
    """value is what schema describes, and holds nothing that schema does not."""
    faults = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in schema_validator(schema).iter_errors(value)]
    assert not faults, f"{what}: " + "; ".join(faults[:5]) + f"\n{json.dumps(value)[:600]}"


def media(content):
    """The schema of a request's or response's JSON; None when there is none."""
    for kind in ("application/json", "application/problem+json"):
        if kind in (content or {}):
            return content[kind]["schema"]
    return None


# ---------------------------------------------------------------------- operations

class Operation:
    """One method of one path."""

    def __init__(self, method, path, spec):
        self.method, self.path, self.spec = method.upper(), path, spec
        self.id = spec["operationId"]
        self.parameters = [resolve(p) for p in spec.get("parameters", [])]
        self.secured = spec.get("security", reference()["security"]) != []
        self.content = spec.get("requestBody", {}).get("content", {})
        self.responses = {str(status): resolve(r) for status, r in spec["responses"].items()}

    def within(self, where):
        return [p for p in self.parameters if p["in"] == where]

    @property
    def body(self):
        """The schema of its JSON body, resolved; None: it takes none."""
        schema = media(self.content)
        return schema and resolve(schema)

    def error_codes(self):
        """Every (status, code) it may answer, by the reference."""
        return {(s, code) for status, r in self.responses.items() for code in r.get("x-error-codes", [])
                for s in (SERVER_ERRORS if status == "5XX" else [int(status)])}

    def first_success(self):
        """The status of a plain example: the first 2xx that is listed."""
        return next(int(s) for s in self.responses if s.startswith("2"))

    def shown(self):
        """The good requests it shows, as cases."""
        examples = self.content.get("application/json", {}).get("examples", {})
        cases = [{"why": name, "body": e["value"]} for name, e in examples.items()] or [{"why": "plain"}]
        return [{**c, "answers": self.first_success()} for c in cases]

    def cases(self):
        """The further requests it lists; a body given by name is an example's."""
        examples = self.content.get("application/json", {}).get("examples", {})
        for case in self.spec.get("x-cases", []):
            body = case.get("body")
            yield {**case, "body": examples[body]["value"]} if isinstance(body, str) else case

    def request(self, case, world):
        """(path, query, body) of a case, with the world's ids."""
        given = {p["name"]: p.get("example") for p in self.within("path")} | case.get("path", {})
        query = {p["name"]: p.get("example") for p in self.within("query")} | case.get("query", {})
        path = self.path.format(**{k: world.real(v) for k, v in given.items()})
        query = {k: world.real(v) for k, v in query.items() if v is not None}
        return path, query, world.real(case.get("body"))


@functools.lru_cache(None)
def operations():
    return [Operation(method, path, spec) for path, item in reference()["paths"].items()
            for method, spec in item.items() if method in METHODS]


# ---------------------------------------------------------------------- the server's own table

SEGMENTS = {"{uuid}": "#/components/schemas/Uuid", "{int}": "#/components/schemas/Id", "{name}": None}


@functools.lru_cache(None)
def routes():
    """{(method, pattern): guards} as `fcgi-app --routes` prints them."""
    out = subprocess.run([binary("fcgi-app"), "--routes"], capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in out.splitlines()]
    return {(method, pattern): set(guards.split("|")) for method, pattern, guards, _ in lines}


#: What a script's token needs for a route; where none of these stands, it will not do at all.
SCOPES = ("read", "send", "admin")


def scopes_beside(guards):
    """All scopes but the one a route with these guards needs."""
    return [s for s in SCOPES if s.upper() not in guards]


def pattern_of(op):
    """The reference's path as the route table writes it."""
    types = {p["name"]: next((t for t, ref in SEGMENTS.items() if p["schema"].get("$ref") == ref), "{name}")
             for p in op.within("path")}
    return re.sub(r"\{(\w+)\}", lambda m: types[m[1]], op.path)


# ---------------------------------------------------------------------- the world of the examples

class World:
    """Everybody and everything of x-example-world, made afresh."""

    def __init__(self, stack):
        self.stack = stack
        self.people = {name: account(stack, fresh_name(name), password=PASSWORD, display_name=name.title())
                       for name in ("alice", "bob", "carol", "dave", "erin")}
        self.things = {name: self._person(p) for name, p in self.people.items()}
        self.things["frank"] = {"username": fresh_name("frank"), "email": f"{fresh_name('frank')}@example.org"}
        alice = self.people["alice"]
        self.things["tokens"] = {"access": alice.token, "refresh": alice.refresh_token}
        alice.another_device()
        self._keep("session", self._make("alice", "GET", "/sessions")["sessions"][0]["id"])
        self._keep("script", self.script_token(["read"])["token"]["id"])
        self._befriend()
        self._converse()
        self._make("alice", "GET", "/events?consumer=backup-bot")
        self._table = self._translation()

    def script_token(self, scopes, who="alice"):
        return self._make(who, "POST", "/tokens", {"label": "a script", "scopes": scopes})

    @staticmethod
    def _person(p):
        return {"username": p.name, "email": p.user["email"], "uuid": p.id, "integer": number_of(p.id)}

    def _make(self, who, method, path, body=None):
        resp = self.people[who].call(method, "/api/v1" + path, **({"json": body} if body is not None else {}))
        assert resp.status_code in (200, 201), f"{method} {path}: {resp.status_code} {resp.text}"
        return resp.json()

    def _keep(self, name, uuid):
        self.things[name] = {"uuid": uuid, "integer": number_of(uuid)}
        return uuid

    def _invite(self, inviting, invited):
        body = {"username": self.people[invited].name}
        return self._make(inviting, "POST", "/contacts/invite", body)["invitation"]["id"]

    def _befriend(self):
        for friend in ("dave", "bob"):
            invitation = self._invite("alice", friend)
            contact = self._make(friend, "POST", f"/contacts/{invitation}/accept")["contact"]
        self._keep("contact", contact["id"])
        self._keep("direct", contact["conversation_id"])
        self._keep("invitation", self._invite("carol", "alice"))

    def _group(self, name, owner, member):
        body = {"type": "group", "name": name.title(), "participant_ids": [self.people[member].id]}
        return self._keep(name, self._make(owner, "POST", "/conversations", body)["conversation"]["id"])

    def _converse(self):
        alice, bob = self.people["alice"], self.people["bob"]
        key = reference()["x-example-world"]["hi"]["key"]
        self._keep("hello", bob.make_message(alice, "Hello!")["id"])
        self._keep("hi", alice.make_message(bob, "Hi Bob!", key=key)["id"])
        for name, owner, member, message, text in (
                ("climbing", "alice", "bob", "ropes", "Who brings the ropes?"),
                ("reading", "bob", "alice", "chapter", "Chapter two by Friday")):
            group = self._group(name, owner, member)
            sent = self._make(owner, "POST", f"/conversations/{group}/messages", {"body": text})
            self._keep(message, sent["message"]["id"])
        made = self.webhook("Disk watch")
        self._keep("webhook", made["webhook"]["id"])
        self.things["webhook"]["secret"] = made["url"].rpartition("/")[2]
        url = reference()["paths"]["/api/v1/conversations/{conversation_id}/callbacks"]["post"]["requestBody"]["content"][
            "application/json"]["examples"]["create"]["value"]
        made = self._make("alice", "POST", f"/conversations/{self.things['climbing']['uuid']}/callbacks", url)
        self._keep("callback", made["callback"]["id"])

    def webhook(self, name):
        return self._make("alice", "POST", f"/conversations/{self.things['climbing']['uuid']}/webhooks", {"name": name})

    # ------------------------------------------------------------------ from the reference to the stack

    def _translation(self):
        return {literal: self.things[name][field] for name, fields in reference()["x-example-world"].items()
                for field, literal in fields.items() if field in self.things.get(name, {})}

    @functools.cached_property
    def _pattern(self):
        texts = sorted((re.escape(t) for t in self._table if isinstance(t, str)), key=len, reverse=True)
        return re.compile(r"(?<![\w-])(" + "|".join(texts) + r")(?![\w-])")

    def real(self, value):
        """value with every id, name, address and token of the reference replaced by the stack's."""
        if isinstance(value, dict):
            return {k: self.real(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.real(v) for v in value]
        if isinstance(value, str):
            return self._pattern.sub(lambda m: self._table[m[1]], self._mailed(value))
        return value if isinstance(value, bool) else self._table.get(value, value)

    def _mailed(self, text):
        """Tokens that only a mail holds are asked for when a request shows one."""
        for name in ("verify", "reset"):
            if text == reference()["x-example-world"]["tokens"][name]:
                return self.mailed_token(name)
        return text

    def mailed_token(self, purpose):
        """A good link for Alice, as the courier stores it when it sends the mail."""
        token, alice = secrets.token_urlsafe(24), self.things["alice"]
        self.stack.query("INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at) "
                         "VALUES (%s, %s, %s, %s, now() + interval '1 hour')",
                         hashlib.sha256(token.encode()).digest(), alice["integer"], purpose, alice["email"])
        return token

    def caller(self, case):
        """Who makes a case's request. A disabled account is Alice's, from then on; a script is hers, with the
        case's scopes; the hoarder is Erin, who then has as many tokens as one may have, and the webmaster Alice,
        with as many webhooks."""
        who = case.get("as", "alice")
        if who == "script":
            return Dm(self.stack, self.script_token(case["scopes"])["secret"])
        if who == "hoarder":
            for _ in range(100 - len(self._make("erin", "GET", "/tokens?limit=100")["tokens"])):
                self.script_token(["read"], "erin")
            who = "erin"
        if who == "webmaster":
            path = f"/conversations/{self.things['climbing']['uuid']}/webhooks"
            for _ in range(20 - len(self._make("alice", "GET", path)["webhooks"])):
                self.webhook("One more")
            who = "alice"
        if who == "disabled":
            self.stack.disable(self.people["alice"].name)
            who = "alice"
        return self.people[who]
