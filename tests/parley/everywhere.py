"""One person on all five surfaces at once, and what each of them shows, brought to one form.

A talk is a conversation by both its names. What was said comes as Said: integer ids, as all surfaces'
ids have one inside.
"""

from collections import namedtuple
from contextlib import ExitStack

import pytest

from .api import Dm, fresh_name, fresh_password
from .check import number_of, uuid_of
from .conv import Conv, conv_socket
from .groups import Groups, groups_socket
from .p2p import P2p, p2p_socket
from .rooms import Rooms, rooms_socket
from .sockets import dm_socket
from .wait import PATIENCE

SURFACES = ("dm", "conv", "p2p", "rooms", "groups")
GROUPED = SURFACES[1:]                  # dm has no place for groups
CLIENTS = {"dm": Dm, "conv": Conv, "p2p": P2p, "rooms": Rooms, "groups": Groups}
SOCKETS = {"dm": dm_socket, "conv": conv_socket, "p2p": p2p_socket, "rooms": rooms_socket, "groups": groups_socket}

Said = namedtuple("Said", "id sender text")


class Talk:
    """A conversation as every surface names it; with: the other person, None in a group."""

    def __init__(self, number, created_at, other=None):
        self.number, self.other = number, other
        self.uuid = uuid_of(number, created_at)

    @property
    def place(self):
        """As the groups client takes it."""
        return {"id": self.uuid} if self.other else {"id": self.uuid, "members": []}


def said(surface, m):
    """A message as a surface shows it, in the common form."""
    if surface == "rooms":
        return Said(m["id"], m["sender"]["id"], m["content"])
    if surface == "p2p":
        return Said(m["id"], m["sender_id"], m["content"])
    return Said(number_of(m["id"]), number_of(m["sender_id"]), m["body" if surface == "conv" else "content"])


def message_in(surface, frame):
    """The message a frame brings, None for another frame."""
    if surface == "dm":
        return frame if "sender_username" in frame else None
    if surface == "p2p":
        return frame if frame.get("id") and frame["type"] == "text" else None
    return frame["message" if surface == "rooms" else "data"] if frame["type"] == "message" else None


class Person:
    """An account made on one surface (home) and logged in on all: .dm, .conv, .p2p, .rooms, .groups."""

    def __init__(self, stack, home="conv"):
        self.home, self.password, self.sockets = home, fresh_password(), ExitStack()
        stack.secrets.add(self.password)
        name = fresh_name()
        body = {"password": self.password, "display_name" if home == "conv" else "username": name}
        body.update({} if home == "rooms" else {"email": f"{name}@example.org"})
        path = {"p2p": "/v1/users/register", "rooms": "/v1/auth/register", "groups": "/api/auth/register"}
        made = Conv(stack).call("POST", path.get(home, "/api/v1/auth/register"), json=body)
        assert made.status_code in (200, 201), made.text
        for surface, client in CLIENTS.items():
            setattr(self, surface, client(stack))
            self._log_in(getattr(self, surface), surface, name)
        self.number, self.uuid, self.name = self.rooms.user["id"], self.dm.id, self.rooms.user["username"]

    def _log_in(self, client, surface, name):
        client.password = self.password
        resp = client.login(username=name, password=self.password)
        assert resp.status_code == 200, resp.text
        answer = resp.json()
        if surface in ("dm", "conv"):
            client._remember(answer)
        else:
            client.token = answer["token" if surface == "p2p" else "access_token"]
            client.user = client.me().json() if surface == "rooms" else answer["user"]

    # ------------------------------------------------------------------ direct conversations

    def meet(self, surface, other):
        """Have to do with other for the first time, in the way this surface has for it."""
        if surface == "rooms":
            return self.rooms.befriend(other.rooms)
        if surface == "conv":
            return self.conv.direct(other.uuid)
        if surface == "groups":
            return self.groups.direct(other.uuid)
        return self.dm.make_message(other.uuid, "hello") if surface == "dm" else self.p2p.say(other.number, "hello")

    def talk_with(self, other):
        room = self.rooms.system_room(other.rooms)
        return Talk(room["id"], room["created_at"], other)

    # ------------------------------------------------------------------ groups

    def make_group(self, surface, *members):
        """A group of these, made on a surface. (rooms takes contacts, so they become such first.)"""
        if surface == "rooms":
            self.rooms.befriend(*(m.rooms for m in members))
            made = self.rooms.room(*(m.rooms for m in members))
            return Talk(made["id"], made["created_at"])
        if surface == "p2p":
            made = self.p2p.group(*(m.number for m in members))
            return Talk(made["id"], made["created_at"])
        made = (self.conv if surface == "conv" else self.groups).group(*(m.uuid for m in members))
        return Talk(number_of(made["id"]), made["created_at"])

    def add(self, surface, group, who):
        if surface == "conv":
            return self.conv.add(group.uuid, who.uuid)
        if surface == "groups":
            return self.groups.add(group.place, who.uuid)
        return self.p2p.add(group.number, who.number) if surface == "p2p" else self.rooms.add(group.number, who.name)

    def members(self, surface, group):
        """Integer ids, in the order shown."""
        if surface == "conv":
            return [number_of(p["user_id"]) for p in self.conv.conversation(group.uuid)["participants"]]
        if surface == "groups":
            return [number_of(u) for u in self.groups.members(group.place)]
        if surface == "p2p":
            return self.p2p.members(group.number)
        return [m["id"] for m in self.rooms.get(group.number).json()["members"]]

    def groups_on(self, surface):
        """The integer ids of the groups a surface lists."""
        if surface == "conv":
            return [number_of(c["id"]) for c in self.conv.list() if c["type"] == "group"]
        if surface == "groups":
            return [number_of(g["id"]) for g in self.groups.groups()]
        if surface == "p2p":
            return [g["id"] for g in self.p2p.ask("GET", "/groups", 200)]
        return [r["id"] for r in self.rooms.rooms() if not r["is_system"]]

    # ------------------------------------------------------------------ messages

    def say(self, surface, talk, text, **more):
        """Send over REST (rooms: over its socket, the only way there)."""
        if surface == "rooms":
            with rooms_socket(self.rooms) as sock:
                sock.subscribe(talk.number).say(talk.number, text, **more)
                while (m := said(surface, sock.message()))[1:] != (self.number, text):
                    pass                # what others say, or said just before
                return m
        if surface == "conv":
            return said(surface, self.conv.say(talk.uuid, text, **more))
        if surface == "groups":
            return said(surface, self.groups.say(talk.place, text, **more))
        if surface == "dm":
            return said(surface, self.dm.make_message(talk.other.uuid, text, **more))
        return said(surface, self.p2p.say(talk.other.number if talk.other else talk.number, text, **more))

    def history(self, surface, talk):
        """The response; its messages come from read()."""
        if surface == "dm":
            return self.dm.history(talk.other.uuid)
        if surface == "conv":
            return self.conv.messages(talk.uuid)
        if surface == "groups":
            return self.groups.history(talk.place)
        if surface == "rooms":
            return self.rooms.history(talk.number)
        return self.p2p.history(talk.other.number) if talk.other else self.p2p.group_history(talk.number)

    def read(self, surface, talk):
        """What was said, oldest first."""
        resp = self.history(surface, talk)
        assert resp.status_code == 200, resp.text
        page = resp.json()
        found = [said(surface, m) for m in (page if surface == "dm" else page["messages"])]
        return found if surface in ("p2p", "rooms") else found[::-1]

    def read_all(self, surface, talk):
        """What was ever said, oldest first, by this surface's way of paging."""
        if surface == "dm":
            found = self.dm.whole_history(talk.other.uuid)
        elif surface == "conv":
            found = self.conv.whole_history(talk.uuid)
        elif surface == "groups":
            found = [m for page in self.groups.pages(talk.place, 100) for m in page][::-1]
        elif surface == "rooms":
            found = self.rooms.whole_history(talk.number)
        else:
            found = self.p2p.whole_history(talk.other.number if talk.other else talk.number)
        return [said(surface, m) for m in found]

    # ------------------------------------------------------------------ sockets

    def listen(self, surface, talk, **options):
        """A socket of this surface that hears of the talk; with since it hears first what it missed."""
        sock = self.sockets.enter_context(SOCKETS[surface](getattr(self, surface), **options))
        sock.surface = surface
        return sock.subscribe(talk.number) if surface == "rooms" and "since" not in options else sock

    def close(self):
        self.sockets.close()


def hear(sock, timeout=PATIENCE):
    """The next thing said; frames about anything else are let through."""
    while True:
        m = message_in(sock.surface, sock.recv_json(timeout))
        if m:
            return said(sock.surface, m)


def hears_nothing(sock, seconds=0.3):
    try:
        heard = hear(sock, seconds)
    except TimeoutError:
        return
    raise AssertionError(f"{sock.surface}: {heard}")


def shout(sock, talk, text, **more):
    """Send over a socket."""
    if sock.surface == "dm":
        sock.say(talk.other.uuid, text, **more)
    elif sock.surface == "p2p":
        sock.say(talk.other.number if talk.other else talk.number, text, **more)
    else:
        sock.say({"conv": talk.uuid, "groups": talk.place, "rooms": talk.number}[sock.surface], text, **more)


# ---------------------------------------------------------------------- fixtures: import them

@pytest.fixture
def person(stack):
    """A function that makes a person whose sockets end with the test."""
    with ExitStack() as people:
        def make(home="conv"):
            one = Person(stack, home)
            people.callback(one.close)
            return one
        yield make


@pytest.fixture
def pair(person):
    """Two people who are contacts, and their talk as the first one sees it and as the second does."""
    one, other = person("rooms"), person("dm")
    one.meet("rooms", other)
    return one, other, one.talk_with(other), other.talk_with(one)
