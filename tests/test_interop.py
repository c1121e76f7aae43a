"""Five surfaces, one chat: accounts, direct conversations and contacts. Groups are in test_interop_groups."""

from itertools import combinations

import pytest

from parley.check import number_of, uuid_of
from parley.everywhere import SURFACES, hear, hears_nothing, pair, person, said, shout  # noqa: F401
from parley.race import at_once

each = pytest.mark.parametrize("surface", SURFACES)


# ---------------------------------------------------------------------- accounts

@each
def test_an_account_made_on_one_surface_is_the_same_on_all(person, surface):
    who = person(surface)
    uuids = {who.dm.id, who.conv.id, who.groups.user["id"]}
    numbers = {who.p2p.user["id"], who.rooms.user["id"], number_of(who.dm.id)}
    assert len(uuids) == len(numbers) == 1
    assert {getattr(who, s).user["username"] for s in SURFACES} == {who.name}
    assert who.uuid == uuid_of(who.number, who.rooms.user["created_at"])


@each
def test_login_takes_username_or_email_in_either_field_on_every_surface(person, surface):
    who = person("conv")
    client = getattr(who, surface)
    for field in ("username", "email"):
        for value in (who.name, who.conv.user["email"]):
            resp = client.login(**{field: value, "password": who.password})
            assert resp.status_code == 200, (field, value, resp.text)


@each
def test_a_token_is_good_on_every_surface(person, surface):
    token = getattr(person(), surface).token
    caller = person().conv
    for path in ("/api/v1/users/me", "/api/v1/conversations", "/v1/auth/me", "/v1/rooms", "/v1/chats", "/v1/groups", "/api/groups",
                 "/api/conversations", "/api/v1/messages/conversations"):
        assert caller.call("GET", path, token=token).status_code == 200, path


# ---------------------------------------------------------------------- one conversation per pair

def conversations_of(stack, *people):
    low, high = sorted(p.number for p in people)
    return [row[0] for row in stack.query("SELECT id FROM conversations WHERE kind = 'direct' AND user_low = %s AND user_high = %s",
                                          low, high)]


def assert_all_list(stack, one, other):
    """Every surface shows the two's one conversation to both; its Talk."""
    ids = conversations_of(stack, one, other)
    assert len(ids) == 1
    for me, you in ((one, other), (other, one)):
        assert [number_of(c["id"]) for c in me.conv.list()] == ids
        assert [r["id"] for r in me.rooms.rooms()] == ids
        assert [number_of(c["id"]) for c in me.groups.conversations()] == ids
        assert {number_of(u) for u in me.groups.conversations()[0]["participants"]} == {one.number, other.number}
        assert me.groups_on("conv") == me.groups_on("groups") == me.groups_on("p2p") == me.groups_on("rooms") == []
    return one.talk_with(other)


@each
def test_a_pair_met_on_one_surface_has_its_conversation_on_all(stack, person, surface):
    one, other = person(), person("p2p")
    one.meet(surface, other)
    talk = assert_all_list(stack, one, other)
    room = other.rooms.get(talk.number).json()
    assert room["is_system"] and room["name"] is None and room["owner"] is None
    assert one.conv.conversation(talk.uuid)["type"] == "direct"


@pytest.mark.parametrize("first,then", combinations(SURFACES, 2))
def test_meeting_again_elsewhere_finds_the_same_conversation(stack, person, first, then):
    one, other = person(), person("groups")
    one.meet(first, other)
    before = conversations_of(stack, one, other)
    other.meet(then, one)
    assert conversations_of(stack, one, other) == before and len(before) == 1


@pytest.mark.parametrize("again", range(3))
def test_twenty_requests_that_race_across_surfaces_make_one_conversation(stack, person, again):
    one, other = person(), person("rooms")
    ways = [s for s in SURFACES if s != "rooms"]
    calls = [lambda s=s, a=a, b=b: a.meet(s, b) for s in ways for a, b in ((one, other), (other, one))] * 2
    calls += [lambda: one.rooms.invite(other), lambda: other.rooms.invite(one)] * 2
    answers = at_once(*calls)
    assert len(calls) == 20
    good = [a for a in answers[16:] if a.status_code == 200]
    assert len(good) == 2, [a.text for a in answers[16:]]
    talk = assert_all_list(stack, one, other)
    assert len(one.read("conv", talk)) == 8
    assert len(one.rooms.contacts()["contacts"]) == 1


# ---------------------------------------------------------------------- direct messages

def test_what_is_sent_through_one_surface_shows_on_all(pair):
    one, other, talk, back = pair
    sent = [one.say(s, talk, f"by {s}") for s in SURFACES] + [other.say(s, back, f"back by {s}") for s in SURFACES]
    assert [m.sender for m in sent] == [one.number] * 5 + [other.number] * 5
    for surface in SURFACES:
        assert one.read(surface, talk) == other.read(surface, back) == sent, surface


def test_every_surface_names_a_message_by_its_own_form_of_one_id(pair):
    one, _, talk, _ = pair
    sent = one.conv.say(talk.uuid, "named")
    assert one.dm.history(talk.other.uuid).json()[0]["id"] == sent["id"] == one.groups.page(talk.place)["messages"][0]["id"]
    number = number_of(sent["id"])
    assert one.rooms.page(talk.number)["messages"][0]["id"] == number == one.p2p.page(talk.other.number)[0]["id"]
    assert one.rooms.page(talk.number)["messages"][0]["room_id"] == number_of(talk.uuid)
    times = {sent["created_at"], one.rooms.page(talk.number)["messages"][0]["created_at"], one.p2p.page(talk.other.number)[0]["timestamp"]}
    assert len(times) == 1


@each
def test_what_one_surface_sends_every_surfaces_sockets_hear_once(pair, surface):
    one, other, talk, back = pair
    ears = [who.listen(s, t) for who, t in ((one, talk), (other, back)) for s in SURFACES]
    for sender, t in ((one, talk), (other, back)):
        sent = sender.say(surface, t, f"by {surface}")
        assert [hear(sock) for sock in ears] == [sent] * 10
    for sock in ears:
        hears_nothing(sock, 0.05)


@each
def test_what_one_socket_sends_every_surfaces_sockets_hear_once(pair, surface):
    one, other, talk, back = pair
    ears = [who.listen(s, t) for who, t in ((one, talk), (other, back)) for s in SURFACES]
    mouth = one.listen(surface, talk)
    shout(mouth, talk, f"by {surface}")
    sent = hear(mouth)
    assert (sent.sender, sent.text) == (one.number, f"by {surface}")
    assert [hear(sock) for sock in ears] == [sent] * 10
    for s in SURFACES:
        assert other.read(s, back) == [sent], s


def test_all_see_one_order_while_all_surfaces_send_at_once(pair):
    one, other, talk, back = pair
    ears = [who.listen(s, t) for who, t in ((one, talk), (other, back)) for s in SURFACES]
    at_once(*[lambda s=s, who=who, t=t: [who.say(s, t, f"{s} {n}") for n in range(5)]
              for s in SURFACES for who, t in ((one, talk), (other, back))])
    order = one.read("conv", talk)
    assert len(order) == 50
    assert all(one.read(s, talk) == order for s in SURFACES)
    for sock in ears:
        assert [hear(sock) for _ in range(50)] == order, sock.surface


@each
def test_since_takes_up_where_another_surface_left_off(pair, surface):
    one, other, talk, back = pair
    mark = one.conv.say(talk.uuid, "mark")
    missed = [one.say(s, talk, f"missed {s}") for s in SURFACES]
    since = number_of(mark["id"]) if surface in ("p2p", "rooms") else mark["id"]
    sock = other.listen(surface, back, since=since)
    assert [hear(sock) for _ in missed] == missed


def test_a_picture_sent_through_p2p_shows_everywhere(pair):
    one, other, talk, back = pair
    url = "https://example.org/cheese.jpg"
    sent = one.p2p.say(talk.other.number, media_url=url, type="image")
    conv = other.conv.page(back.uuid)["messages"][0]
    assert (number_of(conv["id"]), conv["body"], conv["media_url"]) == (sent["id"], "", url)
    for shown in (other.rooms.page(back.number)["messages"][0], other.groups.page(back.place)["messages"][0]):
        assert (shown["content"], shown["media_url"]) == ("", url)
    assert other.history("dm", back).status_code == 200


def test_an_edit_shows_on_all_and_a_deleted_message_on_none(pair):
    one, other, talk, back = pair
    first, second = one.dm.make_message(talk.other.uuid, "frist"), one.say("groups", talk, "second")
    assert one.conv.edit(first["id"], "first").status_code == 200
    for s in SURFACES:
        assert [m.text for m in other.read(s, back)] == ["first", "second"], s
    assert one.conv.unsend(first["id"]).status_code == 204
    for s in SURFACES:
        assert other.read(s, back) == [second], s
        assert one.read(s, talk) == [second], s


def test_one_key_stores_once_whatever_surfaces_repeat_it(pair):
    one, other, talk, back = pair
    first = one.say("dm", talk, "once", key="k")
    assert one.say("conv", talk, "once", key="k") == one.say("groups", talk, "once", key="k") == one.say("p2p", talk, "once", key="k") == first
    assert one.say("rooms", talk, "once", client_msg_id="k") == first
    assert other.read("conv", back) == [first]
    assert one.groups.send(talk.place, "other", key="k").status_code == 409


def test_the_lists_of_all_surfaces_begin_with_the_latest(person):
    me, early, late = person(), person("dm"), person("groups")
    for who in (late, early):
        me.meet("groups", who)
    me.say("p2p", me.talk_with(early), "first")
    last = me.say("rooms", me.talk_with(late), "last")
    assert [c["username"] for c in me.dm.conversations().json()] == [late.name, early.name]
    assert [number_of(c["last_message"]["id"]) for c in me.conv.list()][0] == last.id
    assert [said("p2p", m) for m in me.p2p.chats()][0] == last
    for listed in (me.rooms.rooms()[0]["id"], number_of(me.groups.conversations()[0]["id"]), number_of(me.conv.list()[0]["id"])):
        assert listed == me.talk_with(late).number


def test_reading_on_conv_is_seen_by_p2p_as_delivered(pair):
    one, other, talk, back = pair
    sent = one.p2p.say(talk.other.number, "read me")
    assert sent["status"] in ("PENDING", "SENT")
    assert other.conv.read(back.uuid).status_code == 200
    assert one.p2p.page(talk.other.number)[0]["status"] == "DELIVERED"


# ---------------------------------------------------------------------- contacts

def test_an_invitation_of_rooms_is_answered_on_the_native_surface(person):
    one, other = person(), person()
    made = one.rooms.invitation(other.name)
    seen = other.conv.contacts()["received_invitations"][0]
    assert seen["id"] == uuid_of(made["id"], made["created_at"]) and seen["from_user"]["id"] == one.uuid
    contact = other.conv.make("POST", f"/contacts/{seen['id']}/accept")["contact"]
    assert [number_of(contact["id"])] == [c["id"] for c in one.rooms.contacts()["contacts"]]
    assert number_of(contact["conversation_id"]) == one.talk_with(other).number


def test_invitations_that_cross_between_surfaces_make_a_contact(person):
    one, other = person(), person()
    assert one.conv.invite(other.name).status_code == 201
    assert other.rooms.invite(one.name).status_code == 200
    assert len(one.rooms.contacts()["contacts"]) == len(other.conv.contacts()["contacts"]) == 1
    assert one.rooms.check(other.name).json()["is_mutual_contact"] is True


def test_a_contact_ended_on_one_surface_is_ended_on_the_other(pair):
    one, other, talk, back = pair
    contact = one.conv.contacts()["contacts"][0]
    assert one.conv.ask("DELETE", f"/contacts/{contact['id']}").status_code == 204
    assert other.rooms.contacts()["contacts"] == []
    assert other.say("rooms", back, "still here") in one.read("groups", talk)
