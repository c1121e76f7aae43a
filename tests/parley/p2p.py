"""The `p2p` (002) client and its socket."""

import pytest

from .api import Api, fresh_name, fresh_password, id_of
from .check import parse_time
from .sockets import Socket

MESSAGE = {"id", "sender_id", "recipient_id", "type", "content", "media_url", "timestamp", "status"}
STATUSES = ("SENT", "PENDING", "DELIVERED")
PICTURE = "https://example.org/cheese.jpg"


class P2p(Api):
    """/v1 users, messages, chats and groups. Methods return the response; those in the second half assert
    that it worked and return what it says."""

    BASE = "/v1"

    # ------------------------------------------------------------------ the endpoints

    def register(self, **body):
        return self.ask("POST", "/users/register", json=body, token=None)

    def login(self, **body):
        return self.ask("POST", "/users/login", json=body, token=None)

    def users(self, **query):
        return self.ask("GET", "/users", params=query)

    def send(self, recipient, content=None, key=None, **more):
        """recipient: another account, or the id of a person or a group."""
        return self._post(f"/messages/p2p/{id_of(recipient)}", content, key, more)

    def send_to_group(self, group, content=None, key=None, **more):
        return self._post(f"/messages/group/{id_of(group)}", content, key, more)

    def _post(self, path, content, key, more):
        headers = {"Idempotency-Key": key} if key is not None else {}
        body = {**({} if content is None else {"content": content}), **more}
        return self.ask("POST", path, json=body, headers=headers)

    def history(self, other, **query):
        return self.ask("GET", f"/messages/history/{id_of(other)}", params=query)

    def group_history(self, group, **query):
        return self.ask("GET", f"/groups/{id_of(group)}/messages", params=query)

    def create(self, **body):
        return self.ask("POST", "/groups", json=body)

    def add(self, group, who):
        return self.ask("POST", f"/groups/{id_of(group)}/members", json={"user_id": id_of(who)})

    # ------------------------------------------------------------------ what has to work

    def sign_up(self, name=None):
        """Register, keep the token and remember who it is."""
        self.password = fresh_password()
        self.stack.secrets.add(self.password)
        self.user = self.ask("POST", "/users/register", 201, token=None, json={
            "username": name or fresh_name(), "email": f"{fresh_name('p')}@example.org", "password": self.password})
        self.token = self.user["token"]
        return self

    def say(self, recipient, content=None, **more):
        resp = self.send(recipient, content, **more)
        assert resp.status_code == 201, resp.text
        return resp.json()

    def group(self, *members, name="Climbing"):
        made = self.ask("POST", "/groups", 201, json={"name": name})
        for who in members:
            assert self.add(made, who).status_code == 200
        return made

    def members(self, group):
        """Their ids, in the order they joined."""
        return [m["id"] for m in self.ask("GET", f"/groups/{id_of(group)}/members", 200)]

    def page(self, other, **query):
        """The messages of a page of the history with other, a person or a group."""
        answer = self.ask("GET", f"/messages/history/{id_of(other)}", 200, params=query)
        assert set(answer) == {"messages", "count"} and answer["count"] == len(answer["messages"])
        return answer["messages"]

    def whole_history(self, other):
        """Every message with other, a person or a group, oldest first."""
        page = found = self.page(other, limit=100)
        while len(page) == 100:
            page = self.page(other, limit=100, before_id=page[0]["id"])
            found = page + found
        return found

    def texts(self, other, **query):
        return [m["content"] for m in self.page(other, **query)]

    def status(self, message):
        """What becomes of a message of ours, as the history has it now."""
        return next(m["status"] for m in self.page(message["recipient_id"]) if m["id"] == message["id"])

    def chats(self):
        return self.ask("GET", "/chats", 200)


def p2p_account(stack, name=None):
    """A new account on stack, registered through p2p."""
    return P2p(stack).sign_up(name)


def assert_message(value, group=False):
    """value is a message as that system shows it."""
    assert set(value) == MESSAGE | ({"group_id"} if group else set()), value
    assert all(type(value[k]) is int for k in ("id", "sender_id", "recipient_id"))
    assert value["status"] in STATUSES
    parse_time(value["timestamp"])
    return value


class P2pSocket(Socket):
    """`/ws` by a p2p token. The welcome is read on connecting, unless greeted is False."""

    PATH = "/ws"

    def __init__(self, *args, greeted=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.welcome = self.recv_json() if greeted else None

    def say(self, recipient, content=None, **more):
        text = {} if content is None else {"content": content}
        self.send({"recipient_id": id_of(recipient), **text, **more})

    def exchange(self, recipient, content=None, **more):
        """Send and return the next frame, which is the echo unless others write meanwhile."""
        self.say(recipient, content, **more)
        return self.recv_json()

    def refused(self):
        """The code of the next frame, which is an error."""
        frame = self.recv_json()
        assert frame["type"] == "error" and frame["error"] and frame["content"] == frame["error"], frame
        return frame["code"]


def p2p_socket(user, **options):
    return P2pSocket(user.stack, user.token, **options)


# ---------------------------------------------------------------------- fixtures: import them

@pytest.fixture
def tom(stack):
    return p2p_account(stack)


@pytest.fixture
def jerry(stack):
    return p2p_account(stack)


@pytest.fixture
def spike(stack):
    return p2p_account(stack)
