"""Five surfaces, one chat: groups. Made, joined, left, renamed or deleted on one, they are so on all (dm has none)."""

import pytest

from parley.check import number_of
from parley.everywhere import GROUPED, hear, hears_nothing, person, shout  # noqa: F401
from parley.sockets import dm_socket

each = pytest.mark.parametrize("surface", GROUPED)


@pytest.fixture
def trio(person):
    """Three people, of whom the first has the others as contacts."""
    one, two, three = person("conv"), person("rooms"), person("p2p")
    one.rooms.befriend(two.rooms, three.rooms)
    return one, two, three


def assert_members(group, *people):
    """Every surface shows these members to each of them, in this order."""
    ids = [p.number for p in people]
    for who in people:
        for s in GROUPED:
            assert who.members(s, group) == ids, s
            assert group.number in who.groups_on(s), s


def assert_outside(group, who):
    """No surface shows who anything of the group, or lets them in."""
    for s in GROUPED:
        assert group.number not in who.groups_on(s), s
        assert who.history(s, group).status_code == 403, s
    for resp in (who.conv.ask("GET", f"/conversations/{group.uuid}"), who.rooms.get(group.number), who.groups.get(group.place),
                 who.p2p.ask("GET", f"/groups/{group.number}/members"), who.conv.post(group.uuid, "x"), who.groups.send(group.place, "x"),
                 who.p2p.send_to_group(group.number, "x"), who.p2p.send(group.number, "x")):
        assert resp.status_code == 403, resp.text


def listen_all(group, *people):
    return [who.listen(s, group) for who in people for s in GROUPED]


# ---------------------------------------------------------------------- making

@pytest.mark.parametrize("surface", ["conv", "p2p", "groups", "rooms"])
def test_a_group_made_on_one_surface_is_on_all(person, surface):
    one, two, three = person(), person("dm"), person("groups")
    group = one.make_group(surface, two, three)
    assert_members(group, one, two, three)
    conv, room, place = two.conv.conversation(group.uuid), two.rooms.get(group.number).json(), two.groups.get(group.place).json()["group"]
    assert conv["name"] == room["name"] == place["name"]
    assert number_of(conv["owner_id"]) == room["owner"]["id"] == number_of(place["created_by"]) == one.number
    assert conv["created_at"] == room["created_at"] == place["created_at"]
    assert (conv["type"], room["is_system"]) == ("group", False)
    shown = next(g for g in two.p2p.ask("GET", "/groups", 200) if g["id"] == group.number)
    assert (shown["name"], shown["owner_id"]) == (conv["name"], one.number)
    assert number_of(place["id"]) not in [number_of(c["id"]) for c in two.groups.conversations()]


# ---------------------------------------------------------------------- messages

@each
def test_what_one_surface_sends_every_surfaces_sockets_hear_once(trio, surface):
    one, two, three = trio
    group = one.make_group("conv", two, three)
    ears = listen_all(group, one, two)
    deaf = [who.sockets.enter_context(dm_socket(who.dm)) for who in (two, three)]
    sent = two.say(surface, group, f"by {surface}")
    assert [hear(sock) for sock in ears] == [sent] * len(ears)
    mouth = two.listen(surface, group)
    shout(mouth, group, f"by a {surface} socket")
    heard = hear(mouth)
    assert [hear(sock) for sock in ears] == [heard] * len(ears)
    for s in GROUPED:
        assert three.read(s, group) == [sent, heard], s
    for sock in ears:
        hears_nothing(sock, 0.05)
    for sock in deaf:
        sock.expect_nothing(0.05)


def test_groups_have_no_place_in_dm(trio):
    one, two, three = trio
    group = one.make_group("conv", two, three)
    one.say("groups", group, "for three")
    assert two.dm.conversations().json() == []
    assert one.dm.history(two.uuid).json() == []


# ---------------------------------------------------------------------- membership

@each
def test_one_who_is_added_on_one_surface_is_in_on_all_at_once(trio, surface):
    one, two, three = trio
    group = one.make_group("conv", two)
    assert_outside(group, three)
    ears = [three.listen(s, group) for s in GROUPED if s != "rooms"]
    assert one.add(surface, group, three).status_code in (200, 201)
    ears.append(three.listen("rooms", group))
    assert_members(group, one, two, three)
    sent = two.say("conv", group, "welcome")
    assert [hear(sock) for sock in ears] == [sent] * 4


def leave(surface, group, who):
    if surface == "conv":
        return who.conv.leave(group.uuid)
    return who.rooms.leave(group.number) if surface == "rooms" else who.groups.remove(group.place, who.uuid)


def remove(surface, group, owner, who):
    if surface == "conv":
        return owner.conv.remove(group.uuid, who.uuid)
    return owner.rooms.remove(group.number, who.name) if surface == "rooms" else owner.groups.remove(group.place, who.uuid)


@pytest.mark.parametrize("way", ["leaves", "is removed"])
@pytest.mark.parametrize("surface", ["conv", "rooms", "groups"])
def test_one_who_leaves_or_is_removed_on_one_surface_is_out_on_all_at_once(trio, surface, way):
    one, two, three = trio
    group = one.make_group("conv", two, three)
    ears, stays = listen_all(group, three), listen_all(group, two)
    before = one.say("conv", group, "before")
    assert [hear(sock) for sock in ears + stays] == [before] * 8
    resp = leave(surface, group, three) if way == "leaves" else remove(surface, group, one, three)
    assert resp.status_code in (200, 204), resp.text
    after = one.say("groups", group, "after")
    assert [hear(sock) for sock in stays] == [after] * 4
    for sock in ears:
        hears_nothing(sock, 0.1)
        shout(sock, group, "let me in")
    assert_outside(group, three)
    assert_members(group, one, two)
    assert one.read("conv", group) == [before, after]


@pytest.mark.parametrize("surface", ["conv", "rooms"])
def test_a_group_deleted_on_one_surface_is_gone_from_all_at_once(trio, surface):
    one, two, three = trio
    group = one.make_group("conv", two, three)
    ears = listen_all(group, two)
    one.say("conv", group, "last words")
    assert {hear(sock).text for sock in ears} == {"last words"}
    assert (one.conv.delete(group.uuid) if surface == "conv" else one.rooms.delete(group.number)).status_code == 204
    for who in trio:
        for s in GROUPED:
            assert group.number not in who.groups_on(s)
            assert who.history(s, group).status_code == 404, s
    for sock in ears:
        shout(sock, group, "anyone?")
        hears_nothing(sock, 0.1)


def test_a_new_name_shows_on_all(trio):
    one, two, three = trio
    group = one.make_group("conv", two, three)
    assert one.conv.rename(group.uuid, "Bouldering").status_code == 200
    assert two.rooms.get(group.number).json()["name"] == two.groups.get(group.place).json()["group"]["name"] == "Bouldering"
    assert next(g["name"] for g in two.p2p.ask("GET", "/groups", 200) if g["id"] == group.number) == "Bouldering"


@pytest.mark.parametrize("surface", ["conv", "rooms", "groups"])
def test_only_the_owner_changes_a_group_on_any_surface(trio, surface):
    one, two, three = trio
    two.rooms.befriend(three.rooms)
    group = one.make_group("p2p", two)
    for s in GROUPED:
        assert two.add(s, group, three).status_code == 403, s
    assert remove(surface, group, two, one).status_code == 403
    assert_members(group, one, two)


def test_rooms_adds_contacts_only_where_other_surfaces_add_anybody(person):
    one, two = person(), person()
    group = one.make_group("groups")
    assert one.add("rooms", group, two).status_code == 200
    assert_members(group, one)
    assert one.add("groups", group, two).status_code == 200
    assert_members(group, one, two)
