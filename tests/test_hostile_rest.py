"""Hostile requests: whatever is sent to whichever endpoint, it is answered in the contract's error shape
with a documented status, nothing of it is kept, nothing grows, and the neighbours do not notice.

The endpoints are the reference's, which test_reference.py holds equal to the server's own table; what
is tried on each is in parley/hostile.py. Malformed path segments are in test_outsiders.py.
"""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from parley import hostile
from parley.check import assert_problem
from parley.growth import Growth, use_every_worker
from parley.reference import World, operations, schema_validator
from parley.sockets import dm_socket
from parley.wait import lasting, seconds
from parley.wire import Wire, request_bytes

#: Few workers, so that each gets many of the requests and would show what it kept of them.
STACK = {"env": {"API_WORKERS": "2", "AUTH_WORKERS": "1"}}

#: What may be answered beside an operation's own errors; most of it is nginx's.
ANYWHERE = {(400, "bad_request"), (404, "not_found"), (405, "method_not_allowed"), (411, "length_required"),
            (413, "body_too_large"), (414, "uri_too_long"), (431, "headers_too_large")}
#: Members of which one is read and the other is not.
TWINS = ({"username", "email"}, {"body", "content"})
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOBODY = {"uuid": "0193e000-0000-7000-bfff-ffffffffffff", "integer": 987654321}
JSON_TYPE = {"Content-Type": "application/json"}

every = pytest.mark.parametrize("op", operations(), ids=lambda op: op.id)
#: A webhook makes a message of whatever has a text in it; tests/test_webhooks.py has what it refuses.
with_body = pytest.mark.parametrize("op", [op for op in operations() if op.content and op.id != "leaveMessage"],
                                    ids=lambda op: op.id)
with_form = pytest.mark.parametrize("op", [op for op in operations() if "application/x-www-form-urlencoded" in op.content
                                           and op.id != "leaveMessage"], ids=lambda op: op.id)


# ---------------------------------------------------------------------- the stack, and what it keeps

@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module")
def world(stack):
    return World(stack)


@pytest.fixture(scope="module")
def wire(stack):
    with Wire(stack) as one:
        yield one


@pytest.fixture(scope="module", autouse=True)
def growth(stack, world):
    """The workers and the daemon, once each has had its fill: of the largest bodies, of a socket."""
    with dm_socket(world.people["alice"]) as sock:
        sock.exchange(world.people["bob"], "ready")
    for op in operations():
        if op.id in ("login", "renameConversation"):
            storm(stack, world, op, lasting(0.5))
    use_every_worker(stack, world.people["alice"])
    return Growth(stack)


def storm(stack, world, op, over):
    """Four attackers, as fast as they can, for a while."""
    bodies = [body for _, body in hostile.broken_objects({})] + list(hostile.LARGE.values())

    def attack(start):
        with Wire(stack) as wire:
            target = Target(op, world, wire)
            for body in itertools.cycle(bodies[start:] + bodies[:start]):
                if over():
                    return
                target.send(body=body)
    with ThreadPoolExecutor(4) as attackers:
        list(attackers.map(attack, range(0, len(bodies), len(bodies) // 3)))


class Target:
    """One operation in a world: the good request, and what comes of changing it."""

    def __init__(self, op, world, wire):
        self.op, self.wire, self.world = op, wire, world
        case = op.shown()[0]
        self.path, self.query, self.body = op.request(case, world)
        self.token = world.people["alice"].token if op.secured else None
        self.codes = op.error_codes() | ANYWHERE

    def send(self, method=None, path=None, query=None, body=..., headers=()):
        """The operation's request with these changes, its answer checked."""
        target = path or self.path
        if query is None and self.query:
            query = "&".join(f"{k}={v}" for k, v in self.query.items())
        target += f"?{query}" if query else ""
        body = self.good() if body is ... else body
        return self.checked(self.wire.ask(method or self.op.method, target, self.headers(body, headers), body))

    def headers(self, body, more=()):
        return {**({"Authorization": f"Bearer {self.token}"} if self.token else {}),
                **(JSON_TYPE if body is not None else {}), **dict(more)}

    def good(self):
        return None if self.body is None else json.dumps(self.body).encode()

    def with_member(self, name, raw):
        """The body with other bytes as a member, and without what the server would read in its place."""
        twins = next((t for t in TWINS if name in t), ())
        return hostile.with_raw({k: v for k, v in self.body.items() if k not in twins}, name, raw)

    def checked(self, answer):
        """A documented status, and an error of the documented shape and code."""
        status = answer.status_code
        if status < 400:
            assert str(status) in self.op.responses, f"{status}: {answer.text}"
            return answer
        assert status < 500 and status != 429, f"{status}: {answer.text}"
        try:
            code = assert_problem(answer, status)["code"]
        except AssertionError as fault:
            raise AssertionError(f"{answer.text}\n{fault}") from None
        assert (status, code) in self.codes, f"undocumented: {answer.text}"
        return answer

    def refused(self, why, statuses, **change):
        answer = self.send(**change)
        assert answer.status_code in statuses, f"{self.op.id}, {why}: {answer.status_code} {answer.text}"
        return answer


@pytest.fixture
def target(op, world, wire):
    return Target(op, world, wire)


# ---------------------------------------------------------------------- bodies

@with_body
def test_a_body_that_is_no_json_object_is_refused(target, nothing_kept):
    for why, body in hostile.broken_objects(target.body):
        if body or "required" in target.op.spec["requestBody"]:
            target.refused(why, {400}, body=body)


@with_body
def test_large_bodies_are_refused(target, nothing_kept):
    for why, body in hostile.LARGE.items():
        target.refused(why, {400}, body=body)
    target.refused("a byte too many", {413}, body=b" " * (hostile.MIB + 1))


@with_body
def test_very_long_members_are_refused(target, kept):
    """A very long password is a wrong one, which is remembered."""
    with kept.unchanged(but={"audit_log", "login_throttle"} if "password" in str(target.op.body) else ()):
        for name in target.op.body["properties"]:
            long = json.dumps(hostile.MARK * 50000).encode()
            target.refused(f"a very long {name}", range(400, 405), body=target.with_member(name, long))


@with_body
def test_members_of_a_wrong_type_are_refused(target, nothing_kept):
    validator = schema_validator(target.op.body)
    for name in target.op.body["properties"]:
        for why, raw in hostile.NO_TEXT.items():
            body = target.with_member(name, raw)
            if not validator.is_valid(json.loads(body)):
                target.refused(f"{name} is {why}", {400}, body=body)
                target.refused(f"{name} is {why} at last", {400}, body=hostile.with_first(body, name, b'"good"'))
        for why, raw in hostile.NUL.items():
            target.refused(f"{name} is {why}", {400}, body=target.with_member(name, raw))


@with_body
def test_missing_members_are_refused(target, nothing_kept):
    for name in target.op.body.get("required", ()):
        for raw in ({k: v for k, v in target.body.items() if k != name}, {**target.body, name: None}):
            target.refused(f"no {name}", {400}, body=json.dumps(raw).encode())


@with_body
def test_more_members_than_there_are_do_nothing(stack, op, wire, kept):
    """What looks like a privilege is not taken, and of a member given twice the last one counts."""
    target = Target(op, World(stack), wire)
    body = hostile.with_more(target.body)
    for name in target.body:
        body = hostile.with_first(body, name, b'"%s"' % hostile.MARK.encode())
    answer = target.send(body=body)
    assert answer.status_code == op.first_success(), answer.text
    assert hostile.MARK.encode() not in answer.content
    assert hostile.MARK not in kept.text()


@with_body
def test_a_body_declared_as_something_else_is_refused(target, nothing_kept):
    for declared in hostile.WRONG_TYPES:
        target.refused(declared, {415}, headers={"Content-Type": declared})
    if "application/x-www-form-urlencoded" not in target.op.content:
        target.refused("a form", {415}, body=b"a=1", headers={"Content-Type": "application/x-www-form-urlencoded"})


@with_form
def test_forms_that_are_none_are_refused(target, nothing_kept):
    for body in hostile.BAD_FORMS:
        target.refused(body[:20], {400}, body=body, headers={"Content-Type": "application/x-www-form-urlencoded"})


@with_body
def test_bodies_cut_off_or_in_broken_pieces_do_nothing(target, stack, nothing_kept):
    good = target.good()
    plain = {k: v for k, v in target.headers(good).items()}
    chunked = {**plain, "Transfer-Encoding": "chunked"}
    head = request_bytes(target.op.method, target.path, chunked)
    target.checked(target.wire.raw(head + hostile.chunks(b"[" * 100, 7)))
    for why, rest in hostile.BROKEN_CHUNKS.items():
        assert target.checked(target.wire.raw(head + rest)).status_code in (400, 413), why
        target.wire.close()
    for length in ("-1", "x", "1, 1", "99999999999999999999", "+5", "0x5"):
        data = request_bytes(target.op.method, target.path, {**plain, "Content-Length": length}) + good
        assert target.checked(target.wire.raw(data)).status_code in (400, 413), length
        target.wire.close()
    for cut in (head + hostile.chunks(good, 7)[:-7],
                request_bytes(target.op.method, target.path, {**plain, "Content-Length": str(len(good) + 1)}) + good):
        assert target.wire.hangs_up(cut)


@pytest.mark.parametrize("op", [op for op in operations() if not op.content], ids=lambda op: op.id)
def test_a_body_nobody_asked_for_is_not_read(target, op, nothing_kept):
    """On what changes something, of nobody's thing."""
    path = target.path if op.method == "GET" else op.path.format(**{p["name"]: _nobody(p) for p in op.within("path")})
    if op.method != "GET" and path == target.path:
        target.token = target.token and "nonsense"
    target.query = {name: "nonsense" for name in target.query if name == "token"}
    expected = target.send(path=path).status_code
    for body in (b"[" * hostile.DEEP, b"\x00\xff", b" " * hostile.MIB):
        for kind in ("application/json", "text/plain"):
            answer = target.send(path=path, body=body, headers={"Content-Type": kind})
            assert answer.status_code == expected, answer.text


def _nobody(parameter):
    return NOBODY["integer"] if parameter["schema"].get("$ref", "").endswith("/Id") else NOBODY["uuid"]


# ---------------------------------------------------------------------- addresses, methods, headers

@every
def test_malformed_queries_are_refused(target, nothing_kept):
    for query in hostile.BAD_QUERIES:
        target.refused(query[:40], {400}, query=query)


@pytest.mark.parametrize("op", [op for op in operations() if op.within("query")], ids=lambda op: op.id)
def test_query_parameters_take_no_nonsense(target, kept):
    """Some of it is good enough for a consumer's name, or a text."""
    takes = {"events": {"consumers"}, "leaveMessage": {"conversations", "messages", "users", "webhooks"}}
    with kept.unchanged(but=takes.get(target.op.id, ())):
        for p in target.op.within("query"):
            for value in hostile.BAD_VALUES:
                if p["name"] == "wait" and value.isdigit():
                    continue            # "more counts as 60": a minute's wait for nothing
                target.send(query=f"{p['name']}={value}")
                target.send(query=f"{p['name']}=1&{p['name']}={value}")


@pytest.mark.parametrize("op", {op.path: op for op in operations()}.values(), ids=lambda op: op.path)
def test_other_methods_are_not_allowed(target, op, wire, nothing_kept):
    here = {other.method for other in operations() if other.path == op.path}
    for method in [m for m in METHODS if m not in here] + ["FOO", "PROPFIND", "TRACE", "X" * 30]:
        target.refused(method, {405}, method=method)
    for method in ("get", "CONNECT", "GET\x00", "É"):
        target.refused(method, {400, 405}, method=method)
        wire.close()


@pytest.mark.parametrize("op", [op for op in operations() if op.body and "client_msg_id" in op.body["properties"]],
                         ids=lambda op: op.id)
def test_bad_idempotency_keys_are_refused(target, nothing_kept):
    for key in ("", "x" * 201, b"\xff", b"a\x7fb", b"\xed\xa0\x80", b"\xe2\x82", b"a\tb"):
        target.refused(key, {400}, headers={"Idempotency-Key": key})


# ---------------------------------------------------------------------- neighbours

def test_a_storm_of_horrors_does_not_hold_up_the_others(stack, world):
    """What is sent and read beside it is not kept until the storm is over."""
    op = next(op for op in operations() if op.id == "dmSend")
    bob, dave = world.people["bob"], world.people["dave"]
    sends, echoes = [], []
    with dm_socket(bob) as sock, ThreadPoolExecutor(1) as pool:
        raging = pool.submit(storm, stack, world, op, lasting(2, lambda: len(echoes) >= 5))
        while not raging.done():
            sends.append(seconds(lambda: dave.make_message(bob, "calm")))
            sock.recv_json()
            echoes.append(seconds(lambda: sock.exchange(dave, "calm too")))
    raging.result()                     # what the storm was answered is checked there
    for taken in (sends, echoes):
        assert median(taken) < 0.5, taken


def test_nothing_grew(stack, world, wire, growth):
    """After all of the above: one block of each request's memory left behind would be 20 MB. And then by
    a steady stream: 100 bytes of each request would be 220 KiB."""
    growth.assert_none(kib=4096)
    targets = [Target(op, world, wire) for op in operations() if op.id in ("sendMessage", "login")]

    def stream(rounds):
        for _ in range(rounds):
            for target in targets:
                for _, body in hostile.broken_objects(target.body):
                    target.send(body=body)
    stream(5)
    settled = Growth(stack)
    stream(25)
    settled.assert_none(kib=200)
