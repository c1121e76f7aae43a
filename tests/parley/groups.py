"""The `groups` (004) client and its socket."""

import pytest

from .api import Api, fresh_name, fresh_password, id_of
from .check import assert_id, parse_time
from .sockets import Socket
from .wait import PATIENCE


class Groups(Api):
    """/api auth, conversations and groups. Methods return the response; those in the second half assert
    that it worked and return what it says. A place is a conversation or a group, as an answer showed it."""

    BASE = "/api"

    refresh_token = None

    # ------------------------------------------------------------------ the endpoints

    def register(self, **body):
        return self.ask("POST", "/auth/register", json=body, token=None)

    def login(self, **body):
        return self.ask("POST", "/auth/login", json=body, token=None)

    def refresh(self, token=...):
        return self.ask("POST", "/auth/refresh", token=None,
                        json={"refresh_token": self.refresh_token if token is ... else token})

    def logout(self):
        return self.ask("POST", "/auth/logout")

    def open(self, other):
        return self.ask("POST", "/conversations", json={"user_id": id_of(other)})

    def create(self, **body):
        return self.ask("POST", "/groups", json=body)

    def add(self, group, who):
        return self.ask("POST", f"/groups/{id_of(group)}/members", json={"user_id": id_of(who)})

    def remove(self, group, who):
        return self.ask("DELETE", f"/groups/{id_of(group)}/members/{id_of(who)}")

    def get(self, place):
        return self.ask("GET", path_of(place))

    def send(self, place, content, key=None, **more):
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.ask("POST", path_of(place) + "/messages", json={"content": content, **more}, headers=headers)

    def history(self, place, **query):
        return self.ask("GET", path_of(place) + "/messages", params=query)

    # ------------------------------------------------------------------ what has to work

    def sign_up(self, name=None):
        """Register, keep the tokens and remember who it is."""
        self.password = fresh_password()
        answer = self.ask("POST", "/auth/register", 200, token=None, json={
            "username": name or fresh_name(), "email": f"{fresh_name('g')}@example.org", "password": self.password})
        self.user, self.token, self.refresh_token = (answer[k] for k in ("user", "access_token", "refresh_token"))
        self.stack.secrets.update((self.password, self.refresh_token))
        return self

    def direct(self, other):
        return self.ask("POST", "/conversations", 200, json={"user_id": id_of(other)})["conversation"]

    def group(self, *members, name="Team Chat"):
        made = self.ask("POST", "/groups", 201, json={"name": name})["group"]
        for who in members:
            assert self.add(made, who).status_code == 200
        return made

    def conversations(self):
        return self.ask("GET", "/conversations", 200)["conversations"]

    def groups(self):
        return self.ask("GET", "/groups", 200)["groups"]

    def members(self, group):
        return self.ask("GET", f"/groups/{id_of(group)}", 200)["group"]["members"]

    def say(self, place, content, **more):
        resp = self.send(place, content, **more)
        assert resp.status_code == 201, resp.text
        return resp.json()["message"]

    def page(self, place, **query):
        answer = self.ask("GET", path_of(place) + "/messages", 200, params=query)
        assert set(answer) == {"messages", "next_cursor"}
        return answer

    def texts(self, place, **query):
        return [m["content"] for m in self.page(place, **query)["messages"]]

    def pages(self, place, limit):
        """Every page of a history by next_cursor, newest first."""
        query = {"limit": limit}
        while True:
            page = self.page(place, **query)
            yield page["messages"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]


def path_of(place):
    """Where a place lives: a group has members, a conversation participants."""
    return f"/{'groups' if 'members' in place else 'conversations'}/{place['id']}"


def place_member(place):
    """The member of a message that names this place."""
    return "group_id" if "members" in place else "conversation_id"


def assert_message(value, place, both=False):
    """value is a message of this place as REST shows it; with both as a frame's data does."""
    member = place_member(place)
    other = {"group_id", "conversation_id"} - {member}
    assert set(value) == {"id", "sender_id", member, "content", "created_at"} | (other if both else set()), value
    assert value[member] == place["id"] and all(value[o] is None for o in (other if both else ()))
    assert_id(value["id"], value["created_at"])
    parse_time(value["created_at"])
    return value


def groups_account(stack, name=None):
    """A new account on stack, registered through groups."""
    return Groups(stack).sign_up(name)


class GroupsSocket(Socket):
    """`/ws` by a groups token: {type, data}."""

    PATH = "/ws"

    def say(self, place, content, **more):
        ids = {"conversation_id": None, "group_id": None, place_member(place): place["id"]}
        self.send({"type": "message", **ids, "content": content, **more})

    def message(self, timeout=PATIENCE):
        """The data of the next frame, which has to be a message."""
        frame = self.recv_json(timeout)
        assert set(frame) == {"type", "data"} and frame["type"] == "message", frame
        return frame["data"]

    def exchange(self, place, content, **more):
        """Send and return the next message, the echo unless others write meanwhile."""
        self.say(place, content, **more)
        return self.message()

    def refused(self):
        """The code of the next frame, which is an error."""
        frame = self.recv_json()
        assert frame["type"] == "error" and isinstance(frame["message"], str) and frame["message"], frame
        return frame["code"]


def groups_socket(user, **options):
    return GroupsSocket(user.stack, user.token, **options)


# ---------------------------------------------------------------------- fixtures: import them

@pytest.fixture
def ann(stack):
    return groups_account(stack)


@pytest.fixture
def ben(stack):
    return groups_account(stack)


@pytest.fixture
def cid(stack):
    return groups_account(stack)
