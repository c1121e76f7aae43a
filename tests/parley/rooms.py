"""The `rooms` (003) client, its socket, and the fixtures of its tests."""

import uuid
from contextlib import ExitStack

import pytest

from .api import Api, fresh_name, fresh_password, id_of
from .check import parse_time
from .sockets import Socket
from .wait import PATIENCE

USER = {"id", "username", "is_active", "created_at", "updated_at"}


def name_of(who):
    return getattr(who, "name", who)


class Rooms(Api):
    """/v1 auth, contacts, rooms and messages/rooms. Methods return the response; those in the second half
    assert that it worked and return what it says."""

    BASE = "/v1"

    # ------------------------------------------------------------------ the endpoints

    def register(self, **body):
        return self.ask("POST", "/auth/register", json=body, token=None)

    def login(self, **body):
        return self.ask("POST", "/auth/login", json=body, token=None)

    def me(self):
        return self.ask("GET", "/auth/me")

    def invite(self, who):
        return self.ask("POST", "/contacts/invite", json={"username": name_of(who)})

    def accept(self, invitation):
        return self.ask("POST", f"/contacts/{id_of(invitation)}/accept")

    def reject(self, invitation):
        return self.ask("POST", f"/contacts/{id_of(invitation)}/reject")

    def remove_contact(self, contact):
        return self.ask("DELETE", f"/contacts/{id_of(contact)}")

    def check(self, who):
        return self.ask("GET", f"/contacts/check/{name_of(who)}")

    def create(self, name, *members, **more):
        return self.ask("POST", "/rooms", json={"name": name, "member_usernames": [name_of(m) for m in members], **more})

    def get(self, room):
        return self.ask("GET", f"/rooms/{id_of(room)}")

    def add(self, room, *members):
        return self.ask("POST", f"/rooms/{id_of(room)}/members", json={"usernames": [name_of(m) for m in members]})

    def remove(self, room, who):
        return self.ask("DELETE", f"/rooms/{id_of(room)}/members/{name_of(who)}")

    def leave(self, room):
        return self.ask("POST", f"/rooms/{id_of(room)}/leave")

    def delete(self, room):
        return self.ask("DELETE", f"/rooms/{id_of(room)}")

    def history(self, room, **query):
        return self.ask("GET", f"/messages/rooms/{id_of(room)}/history", params=query)

    # ------------------------------------------------------------------ what has to work

    def sign_up(self, name=None, password=None):
        """Register, log in and remember who it is."""
        self.password = password or fresh_password()
        body = {"username": name or fresh_name(), "password": self.password}
        self.user = self.ask("POST", "/auth/register", 201, json=body, token=None)
        self.token = self.ask("POST", "/auth/login", 200, json=body, token=None)["access_token"]
        self.stack.secrets.add(self.password)
        return self

    def contacts(self):
        return self.ask("GET", "/contacts", 200)

    def rooms(self):
        return self.ask("GET", "/rooms", 200)["rooms"]

    def invitation(self, who):
        return self.ask("POST", "/contacts/invite", 200, json={"username": name_of(who)})

    def befriend(self, *others):
        """Contacts of each of them, who accept; the last one as they see it."""
        for other in others:
            contact = other.ask("POST", f"/contacts/{self.invitation(other)['id']}/accept", 200)
        return contact

    def system_room(self, other):
        """The room of a contact."""
        return next(r for r in self.rooms() if r["is_system"] and other.name in names(r))

    def room(self, *members, name="Climbing"):
        """A room of one's own with these contacts."""
        return self.ask("POST", "/rooms", 201, json={"name": name, "member_usernames": [m.name for m in members]})

    def page(self, room, **query):
        return self.ask("GET", f"/messages/rooms/{id_of(room)}/history", 200, params=query)

    def texts(self, room, **query):
        return [m["content"] for m in self.page(room, **query)["messages"]]

    def whole_history(self, room):
        """Every message, oldest first."""
        page = self.page(room, limit=100)
        found = page["messages"]
        while page["has_more"]:
            page = self.page(room, limit=100, before_id=found[0]["id"])
            found = page["messages"] + found
        return found


def names(room):
    """The members' usernames, in the order shown."""
    return [m["username"] for m in room["members"]]


def rooms_account(stack, name=None):
    """A new account on stack, signed up and in through rooms."""
    return Rooms(stack).sign_up(name)


def assert_user(value, account=None):
    """value is the document's user object (of this account)."""
    assert set(value) == USER, value
    assert type(value["id"]) is int and value["is_active"] is True
    assert parse_time(value["updated_at"]) >= parse_time(value["created_at"])
    assert account is None or (value["id"], value["username"]) == (account.id, account.name)


class RoomsSocket(Socket):
    """`/v1/messages/ws`."""

    PATH = "/v1/messages/ws"

    def tell(self, type, **members):
        self.send({"type": type, **members})

    def expect(self, type, timeout=PATIENCE):
        """The next frame, which has to be of this type."""
        frame = self.recv_json(timeout)
        assert frame["type"] == type, frame
        return frame

    def auth(self, token):
        self.tell("auth", token=token)
        return self.recv_json()

    def subscribe(self, *rooms):
        """Subscriptions that have to succeed."""
        for room in rooms:
            self.tell("subscribe", room_id=id_of(room))
            self.expect("success")
        return self

    def say(self, room, content, **more):
        self.tell("send_message", room_id=id_of(room), content=content, **more)

    def message(self, timeout=PATIENCE):
        """The message in the next frame."""
        return self.expect("message", timeout)["message"]

    def exchange(self, room, content, **more):
        """Send and return the next frame's message, the echo unless others write meanwhile."""
        self.say(room, content, **more)
        return self.message()

    def refused(self):
        """The next frame, an error; its sentence is for people, its code returned."""
        frame = self.expect("error")
        assert isinstance(frame["error"], str) and frame["error"], frame
        return frame["code"]

    def sync(self):
        """Everything the server had to say before is here now; returns those frames."""
        self.tell("ping")
        frames = []
        while (frame := self.recv_json())["type"] != "pong":
            frames.append(frame)
        return frames


def assert_usable(sock, room):
    """The connection still does its work (and is subscribed)."""
    word = uuid.uuid4().hex
    assert sock.exchange(room, word)["content"] == word


def rooms_socket(user, **options):
    """A `/v1/messages/ws` connection of an account, authenticated by its address."""
    return RoomsSocket(user.stack, user.token, **options)


# ---------------------------------------------------------------------- fixtures: a test file imports these

@pytest.fixture
def new(stack):
    return lambda name=None: rooms_account(stack, name)


@pytest.fixture
def alice(new):
    return new()


@pytest.fixture
def bob(new):
    return new()


@pytest.fixture
def friends(alice, bob, new):
    """alice with her contacts bob and carol."""
    carol = new()
    alice.befriend(bob, carol)
    return alice, bob, carol


@pytest.fixture
def sockets():
    """A function that opens a socket which ends with the test."""
    with ExitStack() as opened:
        yield lambda user, **options: opened.enter_context(rooms_socket(user, **options))


@pytest.fixture
def silent(stack):
    """A function that opens a socket without a token."""
    with ExitStack() as opened:
        yield lambda **options: opened.enter_context(RoomsSocket(stack, **options))


@pytest.fixture
def room(friends):
    """A room of alice and her contact bob."""
    alice, bob, _ = friends
    return alice.room(bob)
