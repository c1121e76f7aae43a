"""Who has no part in something learns nothing of it and changes nothing, on every route that names one.

The routes are the server's own table; KINDS says what each segment of theirs names. A route with a
segment that is not in it fails here, until somebody has said what an outsider is to be told.
"""

import json
import re

import pytest

from parley import hostile
from parley.api import account
from parley.check import assert_problem, number_of, uuid_of, with_timestamp
from parley.reference import World, operations, pattern_of, routes
from parley.wire import Wire

STACK = {}      # of its own: with each test all that is in the database is looked at, twice

#: What a segment names, by what stands before it (and behind it); the first that fits counts.
KINDS = [
    (r"/messages/dm/\{uuid\}$", "person"),
    (r"/callbacks/\{uuid\}", "callback"),
    (r"/messages/(p2p|history)/\{int\}$", "person or group"),
    (r"/messages/(rooms|group)/\{int\}", "group"),
    (r"/messages/\{uuid\}", "message"),
    (r"^/api/conversations/\{uuid\}", "direct"),
    (r"/(conversations|groups|rooms)/\{(uuid|int)\}", "group"),
    (r"/(participants|members)/\{(uuid|name)\}$", "person"),
    (r"/users/\{(uuid|int)\}$", "person"),
    (r"/contacts/check/\{name\}$", "person"),
    (r"/contacts/\{(uuid|int)\}/(accept|reject)$", "invitation"),
    (r"/contacts/\{(uuid|int)\}$", "contact"),
    (r"/sessions/\{uuid\}$", "session"),
    (r"/tokens/\{uuid\}$", "token"),
    (r"/webhooks/\{uuid\}", "webhook"),
    (r"^/hooks/\{name\}$", "address"),
    (r"/consumers/\{name\}", "own"),     # a name the caller gives: everybody has their own of each
]

#: What outsiders are told. Where it is the answer for what does not exist, they cannot tell them apart;
#: of conversations the contract says 403 (groups: "on everything in a group or conversation that
#: exists"), and their UUIDs cannot be guessed. Everybody may know of a person.
TOLD = {"group": (403, "forbidden"), "direct": (403, "forbidden"), "message": (403, "forbidden"), "person or group": (403, "forbidden"),
        "invitation": (404, "not_found"), "contact": (404, "not_found"), "session": (404, "not_found"),
        "token": (404, "not_found")}

OPERATIONS = {(op.method, pattern_of(op)): op for op in operations()}
MISSING = {"uuid": "0193e000-0000-7000-bfff-ffffffffffff", "int": 987654321, "name": "nobody-of-this-name"}


def kinds(pattern):
    """What each of a pattern's segments names, in order."""
    found = []
    for m in re.finditer(r"\{\w+\}", pattern):
        fits = [kind for form, kind in KINDS for hit in re.finditer(form, pattern) if hit.start() < m.start() < hit.end()]
        found.append(fits[0] if fits else None)
    return found


NAMING = [route for route in routes() if "{" in route[1] and kinds(route[1]) != ["own"]]
GUARDED = [route for route, guards in routes().items() if guards & {"AUTH", "AUTH_TOKEN"}]
FOREIGN = [route for route in NAMING if set(kinds(route[1])) & set(TOLD)]
name_of = "{0[0]} {0[1]}".format


def test_it_is_known_what_every_route_names():
    assert [route for route in NAMING if None in kinds(route[1])] == []


def test_conversations_are_among_what_is_tried():
    assert len(FOREIGN) > 30


# ---------------------------------------------------------------------- a place and its outsiders

class Place:
    """What Alice and Bob have together, and those who have no part in it."""

    #: Words that stand in it and may be in no answer to an outsider.
    WORDS = ("Climbing", "Who brings the ropes?", "Hi Bob!")

    def __init__(self, stack):
        self.world = World(stack)
        self.alice, self.bob = self.world.people["alice"], self.world.people["bob"]
        things = {name: thing.get("uuid") for name, thing in self.world.things.items()}
        self.outsiders = {"a stranger": account(stack), "one who left": account(stack), "one who is invited": account(stack)}
        self._leave(things["climbing"], self.outsiders["one who left"])
        self._ok(self.alice.call("POST", "/api/v1/contacts/invite", json={"username": self.outsiders["one who is invited"].name}))
        self.uuids = {"group": things["climbing"], "direct": things["direct"], "message": things["ropes"],
                      "invitation": things["invitation"], "contact": things["contact"], "person": self.bob.id,
                      "person or group": things["climbing"], "session": self._session(stack),
                      "callback": things["callback"], "token": things["script"], "webhook": things["webhook"]}

    def _leave(self, group, who):
        self._ok(self.alice.call("POST", f"/api/v1/conversations/{group}/participants", json={"user_id": who.id}))
        self._ok(who.call("POST", f"/api/v1/conversations/{group}/leave"))

    def _session(self, stack):
        """The UUID of Alice's session."""
        number, ms = stack.query("SELECT id, epoch_ms(created_at) FROM sessions WHERE user_id = %s", number_of(self.alice.id))[0]
        return with_timestamp(uuid_of(number, self.alice.user["created_at"]), ms)

    @staticmethod
    def _ok(resp):
        assert resp.status_code in (200, 201, 204), resp.text

    def segment(self, form, kind):
        """The name of a thing in the form of a route's segment."""
        if form == "name":
            return {"person": self.bob.name, "own": "backup-bot", "address": self.world.things["webhook"]["secret"]}[kind]
        return self.uuids[kind] if form == "uuid" else number_of(self.uuids[kind])


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module")
def place(stack):
    return Place(stack)


@pytest.fixture(scope="module")
def wire(stack):
    with Wire(stack) as one:
        yield one


class Request:
    """A good request of Alice's to a route, for others to try."""

    def __init__(self, place, wire, route):
        self.place, self.wire, (self.method, self.pattern) = place, wire, route
        _, self.query, self.body = OPERATIONS[route].request(OPERATIONS[route].shown()[0], place.world)
        self.forms = re.findall(r"\{(\w+)\}", self.pattern)
        self.kinds = kinds(self.pattern)

    def path(self, **instead):
        """The path of Alice's things; instead: another segment for a kind."""
        segments = iter(instead.get(kind.replace(" ", "_"), self.place.segment(form, kind))
                        for form, kind in zip(self.forms, self.kinds))
        return re.sub(r"\{\w+\}", lambda _: str(next(segments)), self.pattern)

    def send(self, path, authorization):
        headers = {"Content-Type": "application/json"} if self.body is not None else {}
        if authorization is not None:
            headers["Authorization"] = authorization
        query = "?" + "&".join(f"{k}={v}" for k, v in self.query.items()) if self.query else ""
        body = None if self.body is None else json.dumps(self.body).encode()
        return self.wire.ask(self.method, path + query, headers, body)


@pytest.fixture
def request_of(route, place, wire):
    return Request(place, wire, route)


def told(answer):
    """What an answer tells, less what differs between any two."""
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"]


# ---------------------------------------------------------------------- without a part in it

@pytest.mark.parametrize("route", FOREIGN, ids=name_of)
def test_outsiders_are_refused_and_told_nothing(request_of, place, nothing_kept):
    kind = next(k for k in request_of.kinds if k in TOLD)
    form = request_of.forms[request_of.kinds.index(kind)]
    for who, person in place.outsiders.items():
        answer = request_of.send(request_of.path(), f"Bearer {person.token}")
        status, code = TOLD[kind]
        assert_problem(answer, status, code)
        assert not [word for word in place.WORDS if word.encode() in answer.content], f"{who}: {answer.text}"
        missing = request_of.send(request_of.path(**{kind.replace(" ", "_"): MISSING[form]}), f"Bearer {person.token}")
        assert_problem(missing, 404)
        if status == 404:
            assert told(answer) == told(missing), who


@pytest.mark.parametrize("route", [r for r in FOREIGN if kinds(r[1])[0] == "group"], ids=name_of)
def test_a_direct_conversation_is_as_closed_as_a_group(request_of, place, nothing_kept):
    form = request_of.forms[0]
    direct = place.uuids["direct"] if form == "uuid" else number_of(place.uuids["direct"])
    for who, person in place.outsiders.items():
        answer = request_of.send(request_of.path(group=direct), f"Bearer {person.token}")
        assert answer.status_code in (403, 404), f"{who}: {answer.text}"
        assert not [word for word in place.WORDS if word.encode() in answer.content], f"{who}: {answer.text}"


# ---------------------------------------------------------------------- what is not there

@pytest.mark.parametrize("route", NAMING, ids=name_of)
def test_what_does_not_exist_is_not_found(request_of, place, nothing_kept):
    for form, kind in zip(request_of.forms, request_of.kinds):
        answer = request_of.send(request_of.path(**{kind.replace(" ", "_"): MISSING[form]}), f"Bearer {place.alice.token}")
        assert_problem(answer, 404)


@pytest.mark.parametrize("route", [r for r in NAMING if "{uuid}" in r[1]], ids=name_of)
def test_a_uuid_of_another_time_is_as_if_it_did_not_exist(request_of, place, nothing_kept):
    """So that counting up the numbers inside finds nothing."""
    for form, kind in zip(request_of.forms, request_of.kinds):
        real = place.uuids[kind] if form == "uuid" else None
        if real:
            ms = int(real.replace("-", "")[:12], 16)
            tried = [with_timestamp(real, ms + 1), with_timestamp(real, ms - 1), MISSING["uuid"]]
            answers = [request_of.send(request_of.path(**{kind: uuid}), f"Bearer {place.alice.token}") for uuid in tried]
            assert {told(a) for a in answers} == {told(answers[-1])}
            assert answers[-1].status_code == 404


@pytest.mark.parametrize("route", NAMING, ids=name_of)
def test_a_malformed_id_is_not_found(request_of, place, nothing_kept):
    for form, kind in zip(request_of.forms, request_of.kinds):
        for segment in hostile.BAD_SEGMENTS:
            answer = request_of.send(request_of.path(**{kind.replace(" ", "_"): segment}), f"Bearer {place.alice.token}")
            assert answer.status_code in (400, 404), answer.text
            assert_problem(answer, answer.status_code)


# ---------------------------------------------------------------------- without a token

@pytest.fixture(scope="module")
def broken(stack):
    """Authorization headers that authorize nobody."""
    gone = account(stack)
    good, revoked = gone.another_device().token, gone.token
    assert gone.logout().status_code == 200
    head, claims, signature = good.split(".")
    return {"none": None, "empty": "", "no token": "Bearer ", "nonsense": "Bearer nonsense", "basic": "Basic YWxpY2U6eA==",
            "revoked": f"Bearer {revoked}", "cut off": f"Bearer {good[:-3]}", "no signature": f"Bearer {head}.{claims}.",
            "another signature": f"Bearer {head}.{claims}.{signature[::-1]}", "not signed": "Bearer eyJhbGciOiJub25lIn0." + claims + ".",
            "bytes": b"Bearer \xff\xfe", "a very long one": "Bearer " + "x" * 7000, "two": f"Bearer {good} {good}"}


@pytest.mark.parametrize("route", GUARDED, ids=name_of)
def test_without_a_good_token_there_is_nothing(request_of, broken, nothing_kept):
    """And whether it exists makes no difference."""
    there = request_of.path()
    nowhere = request_of.path(**{k.replace(" ", "_"): MISSING[f] for f, k in zip(request_of.forms, request_of.kinds)})
    for why, authorization in broken.items():
        answer, other = (request_of.send(path, authorization) for path in (there, nowhere))
        assert_problem(answer, 401, "unauthorized")
        assert told(answer) == told(other), why
