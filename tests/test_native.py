"""The native surface: what /api/v1 adds to the documents. Contacts, edits, receipts, look-ups, a history read both ways."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.check import assert_id, assert_problem, id_parts, number_of, parse_time, with_timestamp
from parley.conv import conv_account

ACCOUNT = conv_account
INVITATION = {"id", "from_user", "to_user", "created_at", "updated_at"}
CONTACT = {"id", "other_user", "conversation_id", "created_at", "updated_at"}
USER = {"id", "username", "display_name", "is_active", "created_at", "updated_at"}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


# ---------------------------------------------------------------------- users

def test_user_is_found_by_name_in_either_case(alice, bob):
    for name in (bob.name, bob.name.upper()):
        resp = alice.ask("GET", "/users", params={"username": name})
        assert resp.status_code == 200
        assert set(resp.json()["user"]) == USER and resp.json()["user"]["id"] == bob.id


def test_user_is_found_by_id(alice, bob):
    user = alice.make("GET", f"/users/{bob.id}")["user"]
    assert set(user) == USER and user["username"] == bob.name


def test_nobody_elses_address_is_shown(alice, bob):
    for resp in (alice.ask("GET", f"/users/{bob.id}"), alice.ask("GET", "/users", params={"username": bob.name})):
        assert bob.user["email"] not in resp.text and "password" not in resp.text


def test_unknown_users_are_not_found(alice, bob):
    for unknown in (NOBODY, with_timestamp(bob.id, id_parts(bob.id)[2] + 1)):
        assert_problem(alice.ask("GET", f"/users/{unknown}"), 404, "user_not_found")
    for name in ("nobody-of-that-name", "", "%", bob.name[:-1]):
        assert_problem(alice.ask("GET", "/users", params={"username": name}), 404, "user_not_found")
    assert_problem(alice.ask("GET", "/users"), 400, "invalid_parameter", names="username")
    assert_problem(alice.ask("GET", f"/users/{number_of(bob.id)}"), 404)


# ---------------------------------------------------------------------- invitations and contacts

@pytest.mark.parametrize("by", ["username", "user_id", "form"])
def test_invitation_shows_on_both_sides(alice, bob, by):
    body = {"user_id": bob.id} if by == "user_id" else {"username": bob.name.upper()}
    resp = alice.ask("POST", "/contacts/invite", **({"data": body} if by == "form" else {"json": body}))
    assert resp.status_code == 201 and set(resp.json()) == {"invitation", "contact"}
    invitation = resp.json()["invitation"]
    assert set(invitation) == INVITATION and resp.json()["contact"] is None
    assert set(invitation["from_user"]) == USER == set(invitation["to_user"])
    assert (invitation["from_user"]["id"], invitation["to_user"]["id"]) == (alice.id, bob.id)
    assert_id(invitation["id"], invitation["created_at"])
    assert alice.contacts() == {"sent_invitations": [invitation], "received_invitations": [], "contacts": []}
    assert bob.contacts() == {"sent_invitations": [], "received_invitations": [invitation], "contacts": []}


def test_accepting_makes_the_contact_and_the_direct_conversation(alice, bob):
    invitation = alice.invite(bob).json()["invitation"]
    resp = bob.answer(invitation, "accept")
    assert resp.status_code == 200
    contact = resp.json()["contact"]
    assert set(contact) == CONTACT and contact["other_user"]["id"] == alice.id
    assert_id(contact["id"], contact["created_at"])
    assert bob.contacts() == {"sent_invitations": [], "received_invitations": [], "contacts": [contact]}
    mine = alice.contacts()["contacts"]
    assert [(c["id"], c["other_user"]["id"], c["conversation_id"]) for c in mine] == [(contact["id"], bob.id, contact["conversation_id"])]
    assert [c["id"] for c in alice.list()] == [contact["conversation_id"]]
    assert alice.create("direct", [bob]).status_code == 200


def test_rejecting_removes_the_invitation_and_another_may_follow(alice, bob):
    resp = bob.answer(alice.invite(bob).json()["invitation"], "reject")
    assert resp.status_code == 204 and resp.content == b""
    assert bob.contacts() == alice.contacts() == {"sent_invitations": [], "received_invitations": [], "contacts": []}
    assert alice.invite(bob).status_code == 201


def test_only_the_invitee_answers_and_only_once(alice, bob, new_user):
    invitation = alice.invite(bob).json()["invitation"]
    for who in (alice, new_user()):
        for word in ("accept", "reject"):
            assert_problem(who.answer(invitation, word), 404, "not_found")
    bob.answer(invitation, "accept")
    for word in ("accept", "reject"):
        assert_problem(bob.answer(invitation, word), 404, "not_found")
    assert_problem(bob.answer(NOBODY, "accept"), 404, "not_found")


def test_crossing_invitation_accepts_the_first_one(alice, bob):
    first = alice.invite(bob).json()["invitation"]
    resp = bob.invite(alice)
    assert resp.status_code == 200
    assert resp.json()["invitation"] == first and resp.json()["contact"]["other_user"]["id"] == alice.id
    assert bob.contacts() == {"sent_invitations": [], "received_invitations": [], "contacts": [resp.json()["contact"]]}


def test_racing_invitations_make_one_contact(alice, bob):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda i: (alice, bob)[i % 2].invite((bob, alice)[i % 2]), range(12)))
    assert sorted(a.status_code for a in answers)[:2] == [200, 201]
    assert {a.json()["code"] for a in answers if a.status_code == 400} <= {"already_contacts", "already_invited"}
    assert len(alice.contacts()["contacts"]) == 1 == len(alice.list())


def test_invitations_that_make_no_sense_are_refused(alice, bob):
    assert_problem(alice.invite("nobody-of-that-name"), 404, "user_not_found")
    assert_problem(alice.invite(alice), 400, "self_invitation")
    alice.invite(bob)
    assert_problem(alice.invite(bob), 400, "already_invited")
    bob.invite(alice)
    assert_problem(alice.invite(bob), 400, "already_contacts")
    for body, code in (({}, "missing_field"), ({"username": 5}, "invalid_field"), ({"user_id": "x"}, "invalid_field"),
                       ({"username": bob.name, "user_id": bob.id}, "invalid_field")):
        assert_problem(alice.ask("POST", "/contacts/invite", json=body), 400, code)
    assert_problem(alice.ask("POST", "/contacts/invite", json={"user_id": NOBODY}), 404, "user_not_found")


def test_either_ends_a_contact_and_the_conversation_stays(alice, bob, new_user):
    for who in (alice, bob):
        contact = alice.befriend(bob)
        assert_problem(new_user().ask("DELETE", f"/contacts/{contact['id']}"), 404, "not_found")
        assert who.ask("DELETE", f"/contacts/{contact['id']}").status_code == 204
        assert_problem(who.ask("DELETE", f"/contacts/{contact['id']}"), 404, "not_found")
        assert alice.contacts()["contacts"] == bob.contacts()["contacts"] == []
    assert alice.say(contact["conversation_id"], "still here")


# ---------------------------------------------------------------------- one's own messages

@pytest.mark.parametrize("member", ["body", "content"])
def test_editing_changes_the_text_and_says_when(alice, bob, group, member):
    m = alice.say(group, "tpyo")
    resp = alice.ask("PATCH", f"/messages/{m['id']}", json={member: "typo"})
    assert resp.status_code == 200
    edited = resp.json()["message"]
    assert parse_time(edited["edited_at"]) > parse_time(m["created_at"])
    assert edited == {**m, "body": "typo", "content": "typo", "edited_at": edited["edited_at"]}
    assert bob.page(group)["messages"] == [edited]


def test_deleting_takes_the_message_from_every_history(alice, bob, group):
    m = [alice.say(group, f"n{i}") for i in range(3)][1]
    resp = alice.unsend(m)
    assert resp.status_code == 204 and resp.content == b""
    assert bob.texts(group) == alice.texts(group) == ["n2", "n0"]
    assert bob.conversation(group)["unread_count"] == 2
    for again in (alice.unsend(m), alice.edit(m, "x"), alice.ask("GET", f"/messages/{m['id']}/deliveries")):
        assert_problem(again, 404, "message_not_found")


def test_last_message_is_the_one_before_the_deleted(alice, group):
    alice.say(group, "first")
    alice.unsend(alice.say(group, "second"))
    assert alice.conversation(group)["last_message"]["body"] == "first"


def test_only_the_sender_edits_and_deletes(alice, bob, group):
    m = alice.say(group, "mine")
    for resp in (bob.edit(m, "his"), bob.unsend(m)):
        assert_problem(resp, 403, "forbidden")
    alice.remove(group, bob)
    theirs = with_timestamp(m["id"], id_parts(m["id"])[2] + 1)
    for unknown in (NOBODY, theirs):
        for resp in (alice.edit(unknown, "x"), alice.unsend(unknown)):
            assert_problem(resp, 404, "message_not_found")
    assert alice.texts(group) == ["mine"]


@pytest.mark.parametrize("body, code", [({}, "missing_field"), ({"body": ""}, "invalid_field"), ({"body": 5}, "invalid_field"),
                                        ({"body": "y" * 16385}, "invalid_field"), ({"body": "a\0b"}, "invalid_field")], ids=lambda v: str(v)[:20])
def test_editing_validates_its_input(alice, group, body, code):
    assert_problem(alice.ask("PATCH", f"/messages/{alice.say(group, 'x')['id']}", json=body), 400, code)


# ---------------------------------------------------------------------- read receipts

def test_reading_up_to_a_message_leaves_later_ones_unread(alice, bob, group):
    ids = [alice.say(group, f"n{i}")["id"] for i in range(4)]
    resp = bob.read(group, message_id=ids[1])
    assert resp.status_code == 200 and resp.json()["conversation"]["unread_count"] == 2
    assert bob.ask("POST", f"/messages/{ids[2]}/read").status_code == 204
    assert bob.list()[0]["unread_count"] == 1
    bob.read(group, message_id=ids[0])          # a watermark does not fall
    assert bob.conversation(group)["unread_count"] == 1
    assert [alice.deliveries(m)[bob.id]["status"] for m in ids] == ["read"] * 3 + ["sent"]


@pytest.mark.parametrize("more", [{}, {"json": {}}, {"data": {}}, {"json": {"message_id": None}}], ids=["no body", "json", "form", "null"])
def test_reading_without_a_message_reads_all(alice, bob, group, more):
    for i in range(3):
        alice.say(group, f"n{i}")
    resp = bob.ask("POST", f"/conversations/{group['id']}/read", **more)
    assert resp.status_code == 200 and resp.json()["conversation"]["unread_count"] == 0


def test_receipts_refuse_what_is_not_there(alice, bob, group):
    elsewhere = alice.say(alice.direct(bob), "elsewhere")["id"]
    for unknown in (NOBODY, elsewhere):
        assert_problem(bob.read(group, message_id=unknown), 404, "message_not_found")
    assert_problem(bob.read(NOBODY), 404, "conversation_not_found")
    assert_problem(bob.ask("POST", f"/messages/{NOBODY}/read"), 404, "message_not_found")
    assert_problem(bob.read(group, message_id="x"), 400, "invalid_field", names="message_id")
    assert_problem(bob.raw("POST", f"/api/v1/conversations/{group['id']}/read", b"{"), 400, "bad_json")


# ---------------------------------------------------------------------- a history that is read both ways

@pytest.fixture
def history(alice, group):
    """Ten messages, oldest first."""
    return [alice.say(group, f"n{i}")["id"] for i in range(10)]


def ids(page):
    return [m["id"] for m in page["messages"]]


def test_before_after_and_around_a_message(bob, group, history):
    before, after, around = (bob.page(group, limit=4, **{way: history[5]}) for way in ("before", "after", "around"))
    assert ids(before) == history[1:5][::-1]
    assert ids(after) == history[6:10][::-1]
    assert ids(around) == history[3:7][::-1]
    assert (before["next_cursor"] is None, before["prev_cursor"] is None) == (False, False)
    assert (after["next_cursor"] is None, after["prev_cursor"] is None) == (False, True)
    assert (around["next_cursor"] is None, around["prev_cursor"] is None) == (False, False)


@pytest.mark.parametrize("middle", range(10))
def test_cursors_lead_both_ways_from_any_message_to_the_whole_history(bob, group, history, middle):
    page = bob.page(group, limit=3, around=history[middle])
    seen, older, newer = ids(page), page["next_cursor"], page["prev_cursor"]
    while older:
        page = bob.page(group, limit=3, cursor=older)
        seen, older = seen + ids(page), page["next_cursor"]
    while newer:
        page = bob.page(group, limit=3, cursor=newer)
        seen, newer = ids(page) + seen, page["prev_cursor"]
    assert seen == history[::-1]


def test_ends_of_the_history_are_empty_pages(bob, group, history):
    for query in ({"before": history[0]}, {"after": history[-1]}):
        assert bob.page(group, **query) == {"messages": [], "next_cursor": None, "prev_cursor": None}


def test_polling_after_the_newest_finds_what_came_since(alice, bob, group, history):
    new = [alice.say(group, f"new {i}")["id"] for i in range(2)]
    assert ids(bob.page(group, after=history[-1])) == new[::-1]


def test_deleted_message_is_still_a_place(alice, bob, group, history):
    alice.unsend(history[5])
    assert ids(bob.page(group, limit=2, before=history[5])) == history[3:5][::-1]
    assert ids(bob.page(group, limit=2, after=history[5])) == history[6:8][::-1]


def test_bad_places_are_refused(bob, group, history):
    for way in ("before", "after", "around"):
        for bad in ("x", "", "5", str(number_of(history[0]))):
            assert_problem(bob.messages(group, **{way: bad}), 400, "invalid_parameter", names=way)
    assert_problem(bob.messages(group, before=history[1], after=history[1]), 400, "invalid_parameter")
