"""docs/openapi.yaml is true: the same endpoints, parameters, statuses and error codes as the server's."""

import json
import os
import re
import shutil
import subprocess

import pytest

from parley.api import fresh_name
from parley.reference import (ROOT, World, assert_matches, media, operations, pattern_of, reference, resolve,
                              routes, scopes_beside)

#: What no ordinary request is answered; tests of the limits and of faults show these.
NOT_HERE = {"rate_limited", "internal_error", "bad_gateway", "unavailable", "gateway_timeout", "cursor_expired", "callback_disabled",
            "too_many_callbacks", "too_many_consumers", "too_many_sockets"}


# ---------------------------------------------------------------------- the route table

def test_endpoints_are_those_of_the_route_table():
    documented = {(op.method, pattern_of(op)) for op in operations()}
    assert sorted(set(routes()) - documented) == [], "not in the reference"
    assert sorted(documented - set(routes())) == [], "not in the route table"


def test_guards_are_the_documented_requirements():
    for op in operations():
        guards = routes().get((op.method, pattern_of(op)), None)
        if guards is None:
            continue                    # the test above speaks of it
        assert op.secured == bool(guards & {"AUTH", "AUTH_TOKEN"}), f"{op.id}: a token"
        if op.content and "required" not in op.spec["requestBody"]:
            continue                    # the handler reads such a body itself
        assert bool(op.content) == ("BODY" in guards), f"{op.id}: a body"
        assert ("application/x-www-form-urlencoded" in op.content) == ("FORM" in guards), f"{op.id}: a form"


def test_query_parameters_are_those_the_handlers_read():
    sources = "".join(f.read_text() for folder in ("fcgi-app", "shared") for f in (ROOT / folder).glob("*.c"))
    read = set(re.findall(r'target_(?:parameter|number)\([^";]*"(\w+)"', sources)) \
        | set(re.findall(r'request_(?!variable)\w+\(req, "([a-z_]+)"', sources))
    documented = {p["name"] for op in operations() for p in op.within("query")}
    assert documented == read


# ---------------------------------------------------------------------- the error table

def error_table():
    """{(status, code)} of shared/error.h, and of what nginx says itself."""
    header = (ROOT / "shared/error.h").read_text().replace("\\\n", " ")
    nginx = (ROOT / "nginx.conf").read_text()
    block = re.search(r"map \$status \$parley_code \{(.*?)\}", nginx, re.S)[1]
    return {(int(s), c) for s, c in re.findall(r'X\(\w+, (\d+), \d+, "(\w+)"', header)} \
        | {(int(s), c) for s, c in re.findall(r"^\s*(\d{3})\s+(\w+);", block, re.M)}


def test_every_error_code_is_in_the_reference_and_no_other():
    codes = {code for _, code in error_table()}
    assert set(reference()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == codes
    rows = re.findall(r"^\| (\w+) \| (\d[\d, ]*) \|$", reference()["info"]["description"], re.M)
    assert {(int(s), code) for code, statuses in rows for s in statuses.split(",")} == error_table()


def test_refusals_not_met_here_are_met_by_other_tests():
    others = "".join(f.read_text() for f in (ROOT / "tests").glob("test_*.py") if not f.name.startswith("test_reference"))
    refusals = {code for status, code in error_table() if status < 500} & NOT_HERE
    assert not [code for code in refusals if f'"{code}"' not in others]


def test_operations_list_only_statuses_their_codes_have():
    for op in operations():
        unknown = {(s, c) for s, c in op.error_codes() if s < 500} - error_table()
        assert not unknown, f"{op.id}: {sorted(unknown)}"


# ---------------------------------------------------------------------- the document by itself

def test_every_reference_within_the_document_leads_somewhere():
    for ref in set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(reference()))):
        assert resolve({"$ref": ref}) is not None


def schema_examples():
    return [(name, example) for name, schema in reference()["components"]["schemas"].items()
            for example in schema.get("examples", [])]


def test_schema_examples_match_their_schemas():
    for name, example in schema_examples():
        assert_matches(example, {"$ref": f"#/components/schemas/{name}"}, name)


def test_error_examples_match_their_schemas_and_codes():
    for name, response in reference()["components"]["responses"].items():
        shown = response["content"]["application/problem+json"]
        assert_matches(shown["example"], shown["schema"], name)
        assert shown["example"]["code"] in response["x-error-codes"], name


def test_request_examples_match_their_schemas():
    for op in operations():
        for case in op.shown():
            if op.content:
                assert_matches(case["body"], media(op.content), f"{op.id} {case['why']}")


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed: the linter comes from there")
def test_reference_passes_the_linter(tmp_path):
    for file in (ROOT / "tests/reference-lint").glob("*.*"):
        shutil.copy(file, tmp_path)
    run = lambda *command: subprocess.run(command, cwd=tmp_path, text=True, stdin=subprocess.DEVNULL,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                          env={**os.environ, "npm_config_update_notifier": "false"})
    installed = run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    assert installed.returncode == 0, installed.stdout
    linted = run("node", "lint.mjs", str(ROOT / "docs/openapi.yaml"))
    assert linted.returncode == 0, linted.stdout


# ---------------------------------------------------------------------- the running stack

def streams(case):
    return (case.get("headers") or {}).get("Accept") == "text/event-stream"


def said(resp):
    """An answer's text; of a stream, which does not end by itself, what it says up to its first cursor."""
    if resp.headers.get("Content-Type") != "text/event-stream":
        return resp.text
    if not hasattr(resp, "beginning"):
        resp.beginning = ""
        for line in resp.iter_lines(chunk_size=1, decode_unicode=True):
            resp.beginning += line + "\n"
            if not line and "id: " in resp.beginning:
                break
        resp.close()
    return resp.beginning


class Replay:
    """One operation's requests against the stack, and the error codes they met."""

    def __init__(self, op, stack):
        self.op, self.stack = op, stack
        self.met = set()

    def check(self, resp, what):
        """The answer's status is documented and its body is what the reference says."""
        what = f"{self.op.id}, {what}: {resp.status_code} {said(resp)[:300]}"
        status = str(resp.status_code)
        response = self.op.responses.get(status, self.op.responses.get("5XX") if status[0] == "5" else None)
        assert response is not None, f"undocumented status: {what}"
        content = response.get("content", {})
        kind = resp.headers.get("Content-Type", "").split(";")[0]
        assert kind in content or not content and resp.content == b"", f"{kind!r}: {what}"
        if not content:
            return resp
        text = kind.startswith("text/")
        assert_matches(said(resp) if text else resp.json(), content[kind]["schema"], what)
        if resp.status_code >= 400:
            code = resp.json()["code"]
            assert (resp.status_code, code) in self.op.error_codes(), f"undocumented code: {what}"
            self.met.add((resp.status_code, code))
        return resp

    def case(self, case, world):
        path, query, body = self.op.request(case, world)
        token = world.caller(case).token if self.op.secured else None
        if case.get("form"):
            body = {k: str(v).lower() if isinstance(v, bool) else " ".join(v) if isinstance(v, list) else v for k, v in body.items()}
        more = {} if body is None else {"data" if case.get("form") else "json": body}
        resp = world.caller(case).call(self.op.method, path, token=token, params=query,
                                       headers=world.real(case.get("headers")), stream=streams(case), **more)
        self.check(resp, case.get("why", case["answers"]))
        wanted = str(case["answers"]).split()
        got = [str(resp.status_code)] + ([resp.json()["code"]] if resp.status_code >= 400 else [])
        assert got == wanted, f"{self.op.id}, {case}: {resp.status_code} {said(resp)}"

    # ------------------------------------------------------------------ what anybody might try

    def probe(self, world):
        """Requests that are wrong in the usual ways; only documented answers may come."""
        alice, op = world.people["alice"], self.op
        shown = op.shown()[0]
        path, query, body = op.request(shown, world)
        send = lambda what, path=path, token=alice.token, **more: self.check(
            alice.call(op.method, path, token=token if op.secured else None, **more), what)
        good = {"params": query, **({"json": body} if op.content else {})}
        if op.secured:
            send("no token", token=None, **good)
        send("a malformed query", path + "?a=%ff", **{k: v for k, v in good.items() if k == "json"})
        for p in op.within("query"):
            resp = send(f"bad {p['name']}", **{**good, "params": {**query, p["name"]: "%"}})
            assert resp.status_code == 400 or p.get("required") or p.get("x-any-value"), f"{op.id} does not read {p['name']}"
        for p in op.within("path"):
            for value in ("0193e000-0000-7000-bfff-ffffffffffff", 987654321, fresh_name("nobody")):
                send(f"unknown {p['name']}", op.request({**shown, "path": {p["name"]: value}}, world)[0], **good)
        if op.content:
            self._probe_body(send, query, body)

    def _probe_body(self, send, query, body):
        raw = lambda data, kind="application/json": {"params": query, "data": data, "headers": {"Content-Type": kind}}
        send("no JSON", **raw("{"))
        send("no object", **raw("[]"))
        send("a text body", **raw("hello", "text/plain"))
        send("a large body", **raw("x" * (1 << 20 | 1)))
        for name in self.op.body["properties"]:
            send(f"{name} of another type", params=query, json={**body, name: {"a": 1}})
            send(f"without {name}", params=query, json={k: v for k, v in body.items() if k != name})


@pytest.mark.parametrize("op", operations(), ids=lambda op: op.id)
def test_requests_are_answered_as_documented(stack, op):
    """Every example and case has the documented answer; every documented error has been seen."""
    replay, world = Replay(op, stack), World(stack)
    disabled = [c for c in op.cases() if c.get("as") == "disabled"]
    refused = [c for c in op.cases() if int(str(c["answers"])[:3]) >= 400 and c not in disabled]
    served = op.shown() + [c for c in op.cases() if int(str(c["answers"])[:3]) < 400]
    if "application/x-www-form-urlencoded" in op.content:
        served.append({**op.shown()[0], "form": True})
    if op.secured and not disabled:
        disabled = [{**op.shown()[0], "as": "disabled", "answers": "403 account_disabled"}]
    if op.secured:
        refused.append({**op.shown()[0], "as": "script", "scopes": scopes_beside(routes()[op.method, pattern_of(op)]),
                        "answers": "403 insufficient_scope"})
    for case in refused:
        replay.case(case, world)
    replay.probe(world)
    for case in served:
        replay.case(case, world if op.method == "GET" else World(stack))
    for case in disabled:
        replay.case(case, world)
    unseen = {(s, c) for s, c in op.error_codes() - replay.met if c not in NOT_HERE}
    assert not unseen, f"{op.id} is said to answer {sorted(unseen)}"
