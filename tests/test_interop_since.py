"""Catching up on any surface from whatever message was shown last, also one that is gone by now."""

import pytest

from parley.check import number_of
from parley.everywhere import SURFACES, hear, hears_nothing, pair, person, said  # noqa: F401

each = pytest.mark.parametrize("surface", SURFACES)


def since(surface, uuid):
    """A message's id in this surface's form."""
    return number_of(uuid) if surface in ("p2p", "rooms") else uuid


def refused(sock):
    frame = sock.recv_json()
    return "error" in frame or frame.get("type") == "error"


@each
def test_a_deleted_message_is_still_a_place(pair, surface):
    one, other, talk, back = pair
    mark = one.conv.say(talk.uuid, "mark")
    missed = [one.say("conv", talk, f"{n}") for n in range(3)]
    assert one.conv.unsend(mark).status_code == 204
    sock = other.listen(surface, back, since=since(surface, mark["id"]))
    assert [hear(sock) for _ in missed] == missed


@each
@pytest.mark.parametrize("way", ["left", "removed", "deleted"])
def test_a_message_of_a_group_one_is_no_longer_in_is_still_a_place(pair, surface, way):
    one, other, talk, back = pair
    group, echo = one.make_group("conv", other), one.listen("conv", talk)
    one.say("conv", talk, "seen before")
    before = one.say("conv", talk, "just before the mark")
    mark = one.conv.say(group.uuid, "mark")
    missed = [one.say("conv", talk, "1")]
    one.say("conv", group, "not to be seen")
    gone = {"left": lambda: other.conv.leave(group.uuid), "removed": lambda: one.conv.remove(group.uuid, other.uuid),
            "deleted": lambda: one.conv.delete(group.uuid)}[way]()
    assert gone.status_code in (200, 204)
    missed += [one.say("conv", talk, "2")]
    while hear(echo) != missed[-1]:
        pass                            # the daemon knows of all of it: who comes earlier is a member still, as it sees things
    sock = other.listen(surface, back, since=since(surface, mark["id"]))
    heard = [hear(sock)]
    if way == "deleted" and heard == [before]:
        heard = []                      # nothing is left of the mark but its id: the one before may come again
    heard += [hear(sock) for _ in missed[len(heard):]]
    assert heard == missed
    hears_nothing(sock)


@each
def test_a_message_of_others_is_no_place(pair, person, surface):
    one, other, talk, back = pair
    mark = one.conv.say(one.make_group("conv", person()).uuid, "for somebody else")
    echo = one.listen("conv", talk)
    old = one.say("conv", talk, "old")
    while hear(echo) != old:
        pass                            # then the daemon is through with it
    sock = other.listen(surface, back, since=since(surface, mark["id"]))
    assert refused(sock)
    if surface == "rooms":
        sock.subscribe(back.number)
    new = one.say("conv", talk, "new")
    assert hear(sock) == new


def test_hundreds_of_messages_in_many_conversations_come_once_and_in_order(pair):
    one, other, talk, back = pair
    places = [talk, *(one.make_group("conv", other) for _ in range(3))]
    before = [one.say("conv", place, "before") for place in places]
    mark = one.conv.say(talk.uuid, "mark")
    sock = one.listen("conv", talk)
    sock.say(talk.uuid, "here we go")
    while sock.expect("message")["body"] != "here we go":
        pass                            # what was said just before may come live too
    frames = []
    for n in range(520):
        sock.say(places[n // 3 % 4 if n < 300 else 0].uuid, f"{n}")
        if n % 40 == 39:
            frames += [sock.expect("message") for _ in range(40)]
    for m in frames[::50]:
        assert one.conv.unsend(m).status_code == 204
    due = [said("conv", m) for n, m in enumerate(frames) if n % 50]
    heard = other.listen("conv", back, since=mark["id"])
    assert hear(heard).text == "here we go"
    assert [hear(heard) for _ in due] == due and not set(before) & set(due)
    hears_nothing(heard)
