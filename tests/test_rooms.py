"""`rooms` (003) over REST: rooms, members, history. Accounts and contacts are in test_rooms_contacts."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import Api, fresh_name
from parley.check import assert_problem, parse_time, uuid_of
from parley.rooms import USER, alice, assert_user, bob, friends, names, new, rooms_socket  # noqa: F401

ROOM = {"id", "name", "owner", "is_system", "members", "created_at", "updated_at"}
MESSAGE = {"id", "room_id", "sender", "content", "edited_at", "created_at", "updated_at"}
NOBODY = 4611686018427387903
LONG_NAME = "n" * 100


def assert_room(room, owner, *members):
    """A room with these members, in the order they came; owner None: a system room."""
    assert set(room) == ROOM and type(room["id"]) is int, room
    assert room["is_system"] is (owner is None)
    assert_user(room["owner"], owner) if owner else None
    assert owner or room["owner"] is None and room["name"] is None
    assert [m["id"] for m in room["members"]] == [m.id for m in members]
    assert all(USER <= set(m) for m in room["members"])
    assert parse_time(room["updated_at"]) >= parse_time(room["created_at"])


# ---------------------------------------------------------------------- every endpoint

ENDPOINTS = [("GET", "/auth/me"), ("POST", "/contacts/invite"), ("POST", "/contacts/1/accept"), ("POST", "/contacts/1/reject"),
             ("GET", "/contacts"), ("DELETE", "/contacts/1"), ("GET", "/contacts/check/bob"), ("POST", "/rooms"), ("GET", "/rooms"),
             ("GET", "/rooms/1"), ("POST", "/rooms/1/members"), ("DELETE", "/rooms/1/members/bob"), ("POST", "/rooms/1/leave"),
             ("DELETE", "/rooms/1"), ("GET", "/messages/rooms/1/history")]
BODIES = [("/auth/register", False), ("/auth/login", False), ("/contacts/invite", True), ("/rooms", True), ("/rooms/1/members", True)]


@pytest.mark.parametrize("method,path", ENDPOINTS, ids=" ".join)
def test_every_endpoint_wants_a_good_token(stack, alice, method, path):
    for token in (None, "nonsense", alice.token[:-2]):
        assert_problem(Api(stack, token).call(method, "/v1" + path), 401, "unauthorized")


@pytest.mark.parametrize("path,auth", BODIES)
def test_every_body_has_to_be_a_json_object(alice, path, auth):
    token = alice.token if auth else None
    for body, code in ((b"", "bad_json"), (b"{", "bad_json"), (b"[]", "invalid_body"), (b'"x"', "invalid_body")):
        assert_problem(alice.raw("POST", "/v1" + path, body, token=token), 400, code)
    assert_problem(alice.raw("POST", "/v1" + path, b"a=b", "application/x-www-form-urlencoded", token=token), 415)
    assert_problem(alice.raw("POST", "/v1" + path, b"{}", token=token), 400, "missing_field")


def test_ids_in_paths_are_integers(alice):
    room = alice.room()
    uuid = uuid_of(room["id"], room["created_at"])
    for wrong in (uuid, f"0{room['id']}", f"-{room['id']}", f"+{room['id']}", f"{room['id']}.0", "x", "", "9" * 30):
        for path in ("/v1/rooms/{}", "/v1/messages/rooms/{}/history"):
            assert_problem(alice.call("GET", path.format(wrong)), 404, "not_found")


@pytest.mark.parametrize("path,allow", [("/auth/me", "GET"), ("/auth/register", "POST"), ("/contacts/invite", "POST"), ("/rooms/1/leave", "POST")])
def test_other_methods_are_405(alice, path, allow):
    assert allow in alice.call("PUT", "/v1" + path).headers["Allow"]
    assert_problem(alice.call("PUT", "/v1" + path), 405, "method_not_allowed")


# ---------------------------------------------------------------------- making rooms

def test_create_answers_201_with_the_room(friends):
    alice, bob, carol = friends
    resp = alice.create("Room Name", bob, carol)
    assert resp.status_code == 201
    assert_room(resp.json(), alice, alice, bob, carol)
    assert resp.json()["name"] == "Room Name"


def test_members_are_optional(alice):
    for body in ({"name": "Just me"}, {"name": "Just me", "member_usernames": None}, {"name": "Just me", "member_usernames": []}):
        assert_room(alice.ask("POST", "/rooms", 201, json=body), alice, alice)


def test_only_own_contacts_become_members(friends, new):
    alice, bob, carol = friends
    stranger = new()
    room = bob.ask("POST", "/rooms", 201, json={"name": "x", "member_usernames":
                   [stranger.name, alice.name.upper(), carol.name, fresh_name(), alice.name, bob.name, "no such name"]})
    assert_room(room, bob, bob, alice)
    assert stranger.rooms() == []


@pytest.mark.parametrize("name", ["x", LONG_NAME, "日本語 🧗", " padded ", "😀" * 100], ids=ascii)
def test_room_name_is_kept_as_it_is(alice, name):
    assert alice.room(name=name)["name"] == name == alice.rooms()[0]["name"]


@pytest.mark.parametrize("name", ["", LONG_NAME + "x", 5, True, [], {}, "nul\0"], ids=ascii)
def test_room_name_has_1_to_100_characters(alice, name):
    assert_problem(alice.create(name), 400, "invalid_field", names="name")


@pytest.mark.parametrize("members", ["bob", 5, {}, [5], [None], [["bob"]], ["x"] * 1001], ids=lambda m: ascii(m)[:12])
def test_member_usernames_is_an_array_of_names(alice, members):
    resp = alice.ask("POST", "/rooms", json={"name": "x", "member_usernames": members})
    assert_problem(resp, 400, "invalid_field", names="member_usernames")
    resp = alice.ask("POST", f"/rooms/{alice.room()['id']}/members", json={"usernames": members})
    assert_problem(resp, 400, "invalid_field", names="usernames")


def test_two_rooms_may_share_a_name(alice):
    assert alice.room()["id"] != alice.room()["id"]


# ---------------------------------------------------------------------- reading rooms

def test_rooms_are_those_one_is_in_latest_first(friends, new):
    alice, bob, carol = friends
    first, second = alice.room(bob, name="first"), alice.room(bob, name="second")
    alice.room(carol, name="not bob's")
    with rooms_socket(alice) as sock:
        sock.subscribe(first).exchange(first, "to the front")
    listed = bob.rooms()
    assert [r["id"] for r in listed] == [first["id"], second["id"], alice.system_room(bob)["id"]]
    assert all(set(r) == ROOM for r in listed)
    assert new().rooms() == []


def test_room_is_shown_to_its_members(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    for who in (alice, bob):
        assert who.get(room).status_code == 200 and who.get(room).json() == room


def test_outsiders_get_403_and_what_is_not_there_404(friends, new):
    alice, bob, carol = friends
    room, system, stranger = alice.room(bob), alice.system_room(bob), new()
    for target, status, code in ((room, 403, "forbidden"), (system, 403, "forbidden"), (NOBODY, 404, "conversation_not_found"),
                                 (alice.id, 404, "conversation_not_found")):
        for who in (stranger, carol):
            for resp in (who.get(target), who.add(target, bob), who.remove(target, bob), who.leave(target), who.delete(target),
                         who.history(target)):
                assert_problem(resp, status, code)
    assert alice.get(room).json() == room and len(system["members"]) == 2


# ---------------------------------------------------------------------- members

def test_owner_adds_contacts_and_others_are_skipped(friends, new):
    alice, bob, carol = friends
    room, stranger = alice.room(bob), new()
    resp = alice.add(room, carol, stranger, bob, fresh_name(), alice)
    assert resp.status_code == 200
    assert_room(resp.json(), alice, alice, bob, carol)
    assert resp.json()["updated_at"] > room["updated_at"]
    assert resp.json() == carol.get(room).json()
    assert_problem(stranger.get(room), 403, "forbidden")


def test_adding_nobody_changes_nothing(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    for people in ((), (bob,), (fresh_name(),)):
        assert alice.add(room, *people).json() == room


def test_add_needs_usernames(alice):
    room = alice.room()
    assert_problem(alice.ask("POST", f"/rooms/{room['id']}/members", json={"usernames": None}), 400, "missing_field", names="usernames")


def test_only_the_owner_adds_removes_and_deletes(friends, new):
    alice, bob, carol = friends
    room, dave = alice.room(bob, carol), new()
    bob.befriend(dave)
    for resp in (bob.add(room, dave), bob.remove(room, carol), bob.remove(room, bob), bob.remove(room, alice), bob.delete(room)):
        assert_problem(resp, 403, "forbidden")
    assert alice.get(room).json() == room


def test_owner_removes_members(friends):
    alice, bob, carol = friends
    room = alice.room(bob, carol)
    resp = alice.remove(room, bob.name.upper())
    assert resp.status_code == 200
    assert_room(resp.json(), alice, alice, carol)
    assert_problem(bob.get(room), 403, "forbidden")
    assert room["id"] not in [r["id"] for r in bob.rooms()]


def test_removing_one_who_is_no_member_is_404(friends, new):
    alice, bob, _ = friends
    room = alice.room(bob)
    for who in (new(), fresh_name()):
        assert_problem(alice.remove(room, who), 404, "user_not_found")


def test_owner_cannot_leave_or_be_removed(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    assert_problem(alice.leave(room), 403, "forbidden")
    assert_problem(alice.remove(room, alice), 403, "forbidden")
    assert alice.get(room).json() == room


def test_members_leave_and_may_be_added_again(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    resp = bob.leave(room)
    assert resp.status_code == 204 and not resp.content
    assert_problem(bob.leave(room), 403, "forbidden")
    assert names(alice.get(room).json()) == [alice.name]
    assert names(alice.add(room, bob).json()) == [alice.name, bob.name]


def test_a_member_stays_when_the_contact_ends(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    assert alice.remove_contact(bob.contacts()["contacts"][0]).status_code == 204
    assert names(bob.get(room).json()) == [alice.name, bob.name]
    bob.leave(room)
    assert names(alice.add(room, bob).json()) == [alice.name]


def test_owner_deletes_the_room_for_all(friends):
    alice, bob, _ = friends
    room = alice.room(bob)
    with rooms_socket(alice) as sock:
        sock.subscribe(room).exchange(room, "soon gone")
    resp = alice.delete(room)
    assert resp.status_code == 204 and not resp.content
    for who in (alice, bob):
        for resp in (who.get(room), who.history(room), who.delete(room), who.leave(room)):
            assert_problem(resp, 404, "conversation_not_found")
        assert room["id"] not in [r["id"] for r in who.rooms()]


def test_concurrent_changes_leave_one_state(friends):
    alice, bob, carol = friends
    room = alice.room()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: (alice.add, alice.remove)[n % 2](room, (bob, carol)[n // 2 % 2]).status_code, range(24)))
    assert set(done) <= {200, 404}
    final = alice.get(room).json()
    for who in (bob, carol):
        assert (who.name in names(final)) is (who.get(room).status_code == 200)


# ---------------------------------------------------------------------- system rooms

def test_system_room_cannot_be_modified(friends):
    alice, bob, carol = friends
    room = alice.system_room(bob)
    assert_room(room, None, *sorted((alice, bob), key=lambda u: [m["id"] for m in room["members"]].index(u.id)))
    for who in (alice, bob):
        for resp in (who.add(room, carol), who.remove(room, alice), who.remove(room, bob), who.leave(room), who.delete(room)):
            assert_problem(resp, 403, "forbidden")
    assert alice.get(room).json() == room == bob.get(room).json()


# ---------------------------------------------------------------------- history

@pytest.fixture
def talk(friends):
    """A room of alice and bob in which 1 to 25 were said."""
    alice, bob, _ = friends
    room = alice.room(bob)
    with rooms_socket(alice) as a, rooms_socket(bob) as b:
        a.subscribe(room)
        b.subscribe(room)
        for n in range(1, 26):
            (a if n % 2 else b).exchange(room, str(n))
            (b if n % 2 else a).message()
    return alice, bob, room


def test_history_shows_messages_as_documented(talk):
    alice, bob, room = talk
    page = bob.page(room)
    assert set(page) == {"messages", "has_more"} and page["has_more"] is False
    for n, m in enumerate(page["messages"], 1):
        assert set(m) == MESSAGE and type(m["id"]) is int
        assert (m["room_id"], m["content"], m["edited_at"]) == (room["id"], str(n), None)
        assert m["updated_at"] == m["created_at"]
        assert_user(m["sender"], alice if n % 2 else bob)


def test_pages_go_from_the_newest_back_oldest_first_within(talk):
    alice, _, room = talk
    page = alice.page(room, limit=10)
    assert [m["content"] for m in page["messages"]] == [str(n) for n in range(16, 26)] and page["has_more"] is True
    page = alice.page(room, limit=10, before_id=page["messages"][0]["id"])
    assert [m["content"] for m in page["messages"]] == [str(n) for n in range(6, 16)] and page["has_more"] is True
    page = alice.page(room, limit=5, before_id=page["messages"][0]["id"])
    assert [m["content"] for m in page["messages"]] == [str(n) for n in range(1, 6)] and page["has_more"] is False
    assert alice.page(room, limit=5, before_id=page["messages"][0]["id"]) == {"messages": [], "has_more": False}


@pytest.mark.parametrize("limit", [1, 24, 25, 26, 100, 101, 10 ** 30])
def test_has_more_is_exact(talk, limit):
    page = talk[0].page(talk[2], limit=limit)
    assert len(page["messages"]) == min(limit, 25) and page["has_more"] is (limit < 25)


def test_limit_defaults_to_50_and_is_clamped_to_100(friends, stack):
    alice, bob, _ = friends
    room = alice.room(bob)
    stack.query("SELECT message_send(s.id, s.user_id, %s, NULL, NULL, NULL, 'text', n::text, NULL, NULL) FROM sessions s, "
                "generate_series(1, 130) n WHERE s.user_id = %s", room["id"], alice.id)
    assert alice.texts(room) == [str(n) for n in range(81, 131)]
    assert alice.texts(room, limit=500) == [str(n) for n in range(31, 131)]
    assert [m["content"] for m in bob.whole_history(room)] == [str(n) for n in range(1, 131)]


@pytest.mark.parametrize("query", [{"limit": v} for v in ("0", "-1", "x", "", "1.5")] +
                         [{"before_id": v} for v in ("-5", "x", "", "1.5", "0193e000-0000-7000-8000-000000000001")], ids=str)
def test_bad_parameters_are_refused_by_name(talk, query):
    assert_problem(talk[0].history(talk[2], **query), 400, "invalid_parameter", names=list(query)[0])


def test_before_id_may_be_any_id(talk):
    alice, _, room = talk
    last = alice.page(room)["messages"][-1]["id"]
    assert len(alice.texts(room, before_id=last + 1000)) == 25
    assert alice.texts(room, before_id=1) == []
    assert alice.texts(room, before_id=0) == alice.texts(room)


def test_new_and_removed_members_read_all_and_nothing(talk, friends):
    alice, bob, room = talk
    carol = friends[2]
    alice.add(room, carol)
    assert len(carol.texts(room)) == 25
    alice.remove(room, carol)
    assert_problem(carol.history(room), 403, "forbidden")


def test_edited_message_shows_when(talk):
    alice, bob, room = talk
    m = bob.page(room)["messages"][24]
    resp = alice.call("PATCH", f"/api/v1/messages/{uuid_of(m['id'], m['created_at'])}", json={"content": "25!"})
    assert resp.status_code == 200, resp.text
    edited = bob.page(room)["messages"][24]
    assert edited["content"] == "25!" and edited["id"] == m["id"] and edited["created_at"] == m["created_at"]
    assert parse_time(edited["edited_at"]) > parse_time(m["created_at"]) and edited["updated_at"] == edited["edited_at"]
    alice.call("DELETE", f"/api/v1/messages/{uuid_of(m['id'], m['created_at'])}")
    assert bob.texts(room)[-1] == "24"
