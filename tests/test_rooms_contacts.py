"""`rooms` (003) over REST: accounts, contacts and invitations."""

import secrets
import time

import pytest

from parley import tokens
from parley.api import fresh_name, fresh_password
from parley.check import assert_problem, parse_time, uuid_of
from parley.race import at_once
from parley.rooms import Rooms, alice, assert_user, bob, friends, new  # noqa: F401

INVITATION = {"id", "from_user", "to_user", "created_at", "updated_at"}
CONTACT = {"id", "other_user", "created_at", "updated_at"}
NOBODY = 4611686018427387903


# ---------------------------------------------------------------------- accounts

def test_register_answers_201_with_the_five_members(stack):
    name = fresh_name()
    resp = Rooms(stack).register(username=name, password=fresh_password())
    assert resp.status_code == 201
    assert_user(resp.json())
    assert resp.json()["username"] == name


@pytest.mark.parametrize("name", ["ab", "a" * 51, "with space", "dot.ted", "under_score", "da-sh", "ümlaut", "", "a@b.c",
                                  "１２３４", "\u0130stanbul", "semi;colon"])
def test_username_is_3_to_50_letters_and_digits(stack, name):
    assert_problem(Rooms(stack).register(username=name, password=fresh_password()), 400, "invalid_field", names="username")


def test_username_of_3_and_of_50_characters_is_accepted(stack):
    for name in (secrets.token_hex(2)[:3], (fresh_name() + "x" * 50)[:50]):
        assert_user(Rooms(stack).ask("POST", "/auth/register", 201, json={"username": name, "password": fresh_password()}, token=None))


@pytest.mark.parametrize("password", ["", "short77", "x" * 73, "é" * 37, "nul\0inside"], ids=ascii)
def test_password_has_at_least_8_characters_and_at_most_72_bytes(stack, password):
    resp = Rooms(stack).register(username=fresh_name(), password=password)
    assert_problem(resp, 400, ("weak_password", "invalid_field", "bad_json"))


def test_taken_username_is_400_in_any_case(alice, stack):
    for name in (alice.name, alice.name.upper()):
        assert_problem(Rooms(stack).register(username=name, password=fresh_password()), 400, "username_taken")


@pytest.mark.parametrize("drop", ["username", "password"])
def test_register_needs_both_members(stack, drop):
    body = {"username": fresh_name(), "password": fresh_password()}
    del body[drop]
    assert_problem(Rooms(stack).register(**body), 400, "missing_field", names=drop)


def test_login_answers_a_bearer_token_and_nothing_else(alice, stack):
    resp = Rooms(stack).login(username=alice.name, password=alice.password)
    assert resp.status_code == 200
    assert set(resp.json()) == {"access_token", "token_type"} and resp.json()["token_type"] == "bearer"


def test_token_is_of_the_rooms_dialect_and_lives_8_days(alice):
    claims = tokens.parts(alice.token)[1]
    assert claims["dialect"] == "rooms" and claims["user_id"] == alice.id and claims["username"] == alice.name
    assert claims["exp"] - claims["iat"] == 8 * 86400 and abs(claims["iat"] - time.time()) < 60


def test_wrong_password_and_unknown_user_are_401_alike(alice, stack):
    wrong = Rooms(stack).login(username=alice.name, password="not the password")
    unknown = Rooms(stack).login(username=fresh_name(), password="not the password")
    assert assert_problem(wrong, 401, "invalid_credentials") == assert_problem(unknown, 401, "invalid_credentials")


def test_me_answers_the_five_members(alice):
    resp = alice.me()
    assert resp.status_code == 200 and resp.json() == alice.user
    assert_user(resp.json(), alice)


def test_disabled_user_neither_logs_in_nor_uses_a_token(alice, stack):
    stack.disable(alice.name)
    assert_problem(alice.login(username=alice.name, password=alice.password), 403, "account_disabled")
    assert_problem(alice.me(), 403, "account_disabled")


# ---------------------------------------------------------------------- invitations

def assert_invitation(value, sender, invitee):
    assert set(value) == INVITATION and type(value["id"]) is int, value
    assert_user(value["from_user"], sender)
    assert_user(value["to_user"], invitee)
    assert parse_time(value["updated_at"]) >= parse_time(value["created_at"])


def assert_contact(value, other):
    assert set(value) == CONTACT and type(value["id"]) is int, value
    assert_user(value["other_user"], other)


def assert_strangers(*people):
    for who in people:
        assert who.contacts() == {"sent_invitations": [], "received_invitations": [], "contacts": []}
        assert who.rooms() == []


def test_invite_answers_200_with_the_invitation(alice, bob):
    resp = alice.invite(bob)
    assert resp.status_code == 200
    assert_invitation(resp.json(), alice, bob)


def test_invitee_is_found_in_any_case(alice, bob):
    assert_invitation(alice.invitation(bob.name.upper()), alice, bob)


def test_both_see_the_invitation_until_it_is_answered(alice, bob):
    invitation = alice.invitation(bob)
    assert alice.contacts() == {"sent_invitations": [invitation], "received_invitations": [], "contacts": []}
    assert bob.contacts() == {"sent_invitations": [], "received_invitations": [invitation], "contacts": []}


def test_inviting_an_unknown_user_is_404(alice):
    for name in (fresh_name(), "", "no such name", alice.name + "x"):
        assert_problem(alice.invite(name), 404, "user_not_found")


def test_inviting_oneself_is_400(alice):
    for name in (alice.name, alice.name.upper()):
        assert_problem(alice.invite(name), 400, "self_invitation")


def test_inviting_twice_is_400(alice, bob):
    alice.invitation(bob)
    assert_problem(alice.invite(bob), 400, "already_invited")
    assert len(bob.contacts()["received_invitations"]) == 1


def test_inviting_a_contact_is_400_from_both_sides(alice, bob):
    alice.befriend(bob)
    for one, other in ((alice, bob), (bob, alice)):
        assert_problem(one.invite(other), 400, "already_contacts")


@pytest.mark.parametrize("value", [5, True, [], {}, "nul\0"], ids=ascii)
def test_invitee_is_named_by_a_string(alice, value):
    assert_problem(alice.ask("POST", "/contacts/invite", json={"username": value}), 400, "invalid_field", names="username")


def test_accepting_answers_the_contact_and_both_see_it(alice, bob):
    resp = bob.accept(alice.invitation(bob))
    assert resp.status_code == 200
    assert_contact(resp.json(), alice)
    assert bob.contacts() == {"sent_invitations": [], "received_invitations": [], "contacts": [resp.json()]}
    seen = alice.contacts()
    assert seen["sent_invitations"] == [] and len(seen["contacts"]) == 1
    assert_contact(seen["contacts"][0], bob)
    assert seen["contacts"][0]["id"] == resp.json()["id"]


def test_accepting_makes_the_system_room(alice, bob):
    assert_strangers(alice, bob)
    alice.invitation(bob)
    assert alice.rooms() == bob.rooms() == []
    bob.accept(bob.contacts()["received_invitations"][0])
    rooms = alice.rooms()
    assert len(rooms) == 1 and rooms == bob.rooms()
    room = rooms[0]
    assert (room["is_system"], room["name"], room["owner"]) == (True, None, None)
    assert sorted(m["id"] for m in room["members"]) == sorted((alice.id, bob.id))


def test_rejecting_removes_the_invitation_and_makes_nothing(alice, bob):
    invitation = alice.invitation(bob)
    resp = bob.reject(invitation)
    assert resp.status_code == 204 and not resp.content
    assert_strangers(alice, bob)
    assert_problem(bob.accept(invitation), 404, "not_found")


def test_rejected_invitation_may_be_sent_again(alice, bob):
    bob.reject(alice.invitation(bob))
    assert_invitation(alice.invitation(bob), alice, bob)
    assert_invitation(alice.contacts()["sent_invitations"][0], alice, bob)


def test_only_the_invitee_answers(alice, bob, new):
    invitation, carol = alice.invitation(bob), new()
    for who in (alice, carol):
        assert_problem(who.accept(invitation), 404, "not_found")
        assert_problem(who.reject(invitation), 404, "not_found")
    assert bob.contacts()["received_invitations"] == [invitation]


def test_an_invitation_is_answered_once(alice, bob):
    invitation = alice.invitation(bob)
    assert bob.accept(invitation).status_code == 200
    assert_problem(bob.accept(invitation), 404, "not_found")
    assert_problem(bob.reject(invitation), 404, "not_found")


def test_invitation_ids_are_integers(alice, bob):
    invitation = alice.invitation(bob)
    for wrong in (uuid_of(invitation["id"], invitation["created_at"]), f"0{invitation['id']}", "x", NOBODY):
        for word in ("accept", "reject"):
            assert_problem(bob.ask("POST", f"/contacts/{wrong}/{word}"), 404, "not_found")


def test_crossing_invitation_accepts_the_first_one(alice, bob):
    first = alice.invitation(bob)
    resp = bob.invite(alice)
    assert resp.status_code == 200 and resp.json() == first
    for one, other in ((alice, bob), (bob, alice)):
        seen = one.contacts()
        assert seen["sent_invitations"] == seen["received_invitations"] == []
        assert_contact(seen["contacts"][0], other)
    assert len(alice.rooms()) == 1 and alice.rooms() == bob.rooms()


@pytest.mark.parametrize("again", range(5))
def test_invitations_that_cross_at_the_same_moment_make_one_contact(alice, bob, again):
    answers = at_once(*[lambda: alice.invite(bob), lambda: bob.invite(alice)] * 5)
    good = [a for a in answers if a.status_code == 200]
    assert len(good) == 2 and good[0].json() == good[1].json()
    for answer in answers:
        assert answer in good or assert_problem(answer, 400, ("already_contacts", "already_invited"))
    assert len(alice.contacts()["contacts"]) == len(bob.contacts()["contacts"]) == 1
    assert len(alice.rooms()) == 1 and alice.rooms() == bob.rooms()


def test_an_invitation_accepted_and_rejected_at_the_same_moment_has_one_answer(alice, bob):
    invitation = alice.invitation(bob)
    answers = at_once(*[lambda: bob.accept(invitation), lambda: bob.reject(invitation)] * 4)
    assert sorted(a.status_code for a in answers)[:2] in ([200, 404], [204, 404])
    accepted = any(a.status_code == 200 for a in answers)
    assert len(alice.contacts()["contacts"]) == len(alice.rooms()) == accepted


def test_many_invitations_at_once_are_one(alice, bob):
    answers = at_once(*[lambda: alice.invite(bob)] * 8)
    assert sorted(a.status_code for a in answers) == [200] + [400] * 7
    assert len(bob.contacts()["received_invitations"]) == 1


# ---------------------------------------------------------------------- contacts

def test_contacts_are_listed_in_the_order_they_came(friends, new):
    alice, bob, carol = friends
    dave = new()
    dave.befriend(alice)
    assert [c["other_user"]["id"] for c in alice.contacts()["contacts"]] == [bob.id, carol.id, dave.id]
    assert len({c["id"] for c in alice.contacts()["contacts"]}) == 3


def test_removing_a_contact_ends_it_for_both_and_leaves_the_room(alice, bob):
    contact = alice.befriend(bob)
    resp = alice.remove_contact(contact)
    assert resp.status_code == 204 and not resp.content
    assert alice.contacts()["contacts"] == bob.contacts()["contacts"] == []
    assert len(alice.rooms()) == 1
    assert_problem(bob.remove_contact(contact), 404, "not_found")


def test_either_of_the_two_removes_a_contact_and_nobody_else(alice, bob, new):
    contact = alice.befriend(bob)
    assert_problem(new().remove_contact(contact), 404, "not_found")
    assert alice.contacts()["contacts"] == [{**contact, "other_user": bob.user}]
    assert bob.remove_contact(contact).status_code == 204


def test_removing_what_is_no_contact_is_404(alice, bob):
    invitation = alice.invitation(bob)
    for wrong in (NOBODY, invitation, bob.id, "x"):
        assert_problem(alice.remove_contact(wrong), 404, "not_found")


def test_former_contacts_become_contacts_again_in_the_same_room(alice, bob):
    alice.remove_contact(alice.befriend(bob))
    room = alice.rooms()[0]["id"]
    bob.befriend(alice)
    assert len(alice.contacts()["contacts"]) == 1
    assert [r["id"] for r in alice.rooms()] == [room]


def test_check_tells_whether_the_two_are_contacts(alice, bob):
    assert bob.check(alice).json() == {"username": alice.name, "is_mutual_contact": False}
    invitation = alice.invitation(bob)
    assert alice.check(bob).json() == {"username": bob.name, "is_mutual_contact": False}
    bob.accept(invitation)
    for one, other in ((alice, bob), (bob, alice)):
        resp = one.check(other.name.upper())
        assert resp.status_code == 200 and resp.json() == {"username": other.name, "is_mutual_contact": True}
    assert alice.check(alice).json()["is_mutual_contact"] is False


def test_checking_an_unknown_user_is_404(alice):
    for name in (fresh_name(), "no%20such", "a%2Fb"):
        assert_problem(alice.check(name), 404, "user_not_found")
