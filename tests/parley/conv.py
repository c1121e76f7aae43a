"""The `conv` (001) client, which is the native surface's too, and its socket."""

import json

from websocket import WebSocketBadStatusException

from .api import Dm, fresh_name, fresh_password, id_of
from .sockets import Socket
from .wait import PATIENCE


class Conv(Dm):
    """/api/v1 as the Workflow Diagrams tell it: accounts without usernames, conversations of two kinds.

    Paths are those below /api/v1; what is named by an id may be the thing itself.
    """

    def make(self, method, path, json=None, status=(200, 201)):
        """A request that has to succeed; its answer."""
        resp = self.ask(method, path, **({} if json is None else {"json": json}))
        assert resp.status_code in status, f"{method} {path}: {resp.status_code} {resp.text}"
        return resp.json()

    # ------------------------------------------------------------------ accounts

    def sign_up(self, **body):
        """A registration in the document's words; missing members get fresh values, None leaves one out."""
        fresh = {"email": f"{fresh_name('c')}@example.org", "password": fresh_password(), "display_name": fresh_name("Conv")}
        body = {k: v for k, v in {**fresh, **body}.items() if v is not None}
        return self.ask("POST", "/auth/register", json=body, token=None)

    def make_account(self, name=None, **more):
        self.password = more.pop("password", None) or fresh_password()
        resp = self.sign_up(password=self.password, **({"display_name": name} if name else {}), **more)
        assert resp.status_code == 201, resp.text
        self._remember(resp.json())
        return self

    def another_device(self):
        other = Conv(self.stack)
        other.password = self.password
        resp = other.login(email=self.user["email"], password=self.password)
        assert resp.status_code == 200, resp.text
        other._remember(resp.json())
        return other

    # ------------------------------------------------------------------ conversations

    def create(self, kind, people, **more):
        body = {"type": kind, "participant_ids": [id_of(p) for p in people], **more}
        return self.ask("POST", "/conversations", json=body)

    def direct(self, other):
        """The direct conversation with other."""
        resp = self.create("direct", [other])
        assert resp.status_code in (200, 201), resp.text
        return resp.json()["conversation"]

    def group(self, *people, name="Climbing"):
        resp = self.create("group", people, name=name)
        assert resp.status_code == 201, resp.text
        return resp.json()["conversation"]

    def conversation(self, c):
        return self.make("GET", f"/conversations/{id_of(c)}")["conversation"]

    def list(self):
        return self.make("GET", "/conversations")["conversations"]

    def add(self, c, *people):
        return self.ask("POST", f"/conversations/{id_of(c)}/participants", json={"participant_ids": [id_of(p) for p in people]})

    def remove(self, c, who):
        return self.ask("DELETE", f"/conversations/{id_of(c)}/participants/{id_of(who)}")

    def leave(self, c):
        return self.ask("POST", f"/conversations/{id_of(c)}/leave")

    def rename(self, c, name):
        return self.ask("PATCH", f"/conversations/{id_of(c)}", json={"name": name})

    def delete(self, c):
        return self.ask("DELETE", f"/conversations/{id_of(c)}")

    # ------------------------------------------------------------------ messages

    def post(self, c, body, key=None, **more):
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.ask("POST", f"/conversations/{id_of(c)}/messages", json={"body": body, **more}, headers=headers)

    def say(self, c, body, **more):
        """A message that has to be stored; the message."""
        resp = self.post(c, body, **more)
        assert resp.status_code == 201, resp.text
        return resp.json()["message"]

    def messages(self, c, **query):
        """A page of messages, as the response."""
        return self.ask("GET", f"/conversations/{id_of(c)}/messages", params=query)

    def page(self, c, **query):
        resp = self.messages(c, **query)
        assert resp.status_code == 200, resp.text
        return resp.json()

    def whole_history(self, c):
        """Every message, oldest first."""
        page = self.page(c, limit=100)
        found = page["messages"]
        while page["next_cursor"]:
            page = self.page(c, limit=100, cursor=page["next_cursor"])
            found += page["messages"]
        return found[::-1]

    def texts(self, c, **query):
        return [m["body"] for m in self.page(c, **query)["messages"]]

    def deliveries(self, m):
        """{user id: delivery} of a message."""
        rows = self.make("GET", f"/messages/{id_of(m)}/deliveries")["deliveries"]
        return {row["user_id"]: row for row in rows}

    def edit(self, m, body):
        return self.ask("PATCH", f"/messages/{id_of(m)}", json={"body": body})

    def unsend(self, m):
        return self.ask("DELETE", f"/messages/{id_of(m)}")

    def read(self, c, **body):
        return self.ask("POST", f"/conversations/{id_of(c)}/read", json=body)

    # ------------------------------------------------------------------ contacts

    def invite(self, who):
        return self.ask("POST", "/contacts/invite", json={"username": getattr(who, "name", who)})

    def answer(self, invitation, word):
        return self.ask("POST", f"/contacts/{id_of(invitation)}/{word}")

    def befriend(self, other):
        """A contact of the two; as seen by other, who accepted."""
        invitation = self.make("POST", "/contacts/invite", {"username": other.name})["invitation"]
        return other.make("POST", f"/contacts/{invitation['id']}/accept")["contact"]

    def contacts(self):
        return self.make("GET", "/contacts")


def conv_account(stack, name=None, **more):
    """A new account on stack, signed up and in through conv."""
    return Conv(stack).make_account(name, **more)


#: What a test's preparations may still cause when its socket is up.
EVENTS = frozenset({"conversation_created", "member_added", "invitation_received", "contact_added"})
NOISE = EVENTS | {"presence"}


class ConvSocket(Socket):
    """`/api/v1/ws`: {type, data}. Frames of the types in aside are passed over."""

    PATH = "/api/v1/ws"

    def __init__(self, *args, aside=NOISE, **kwargs):
        self.aside = aside
        super().__init__(*args, **kwargs)

    def recv_text(self, timeout=PATIENCE):
        while True:
            text = super().recv_text(timeout)
            if json.loads(text)["type"] not in self.aside:
                return text

    def tell(self, type, **members):
        self.send({"type": type, **members})

    def say(self, c, body, **more):
        self.tell("message", conversation_id=id_of(c), body=body, **more)

    def expect(self, type, timeout=PATIENCE):
        """The next frame, which has to be of this type; its data."""
        frame = self.recv_json(timeout)
        assert frame["type"] == type, frame
        return frame.get("data")

    def until(self, type, timeout=PATIENCE):
        """The data of the next frame of this type; others are let through."""
        while True:
            frame = self.recv_json(timeout)
            if frame["type"] == type:
                return frame.get("data")

    def exactly(self, *due, quiet=0.4):
        """These frames come, in any order, and no others."""
        sort = lambda frames: sorted(frames, key=lambda frame: json.dumps(frame, sort_keys=True))
        assert sort(self.collect(len(due))) == sort(due)
        self.expect_nothing(quiet)

    def sync(self):
        """Everything the server had to say before is here now; returns those frames."""
        self.tell("ping")
        frames = []
        while True:
            frame = self.recv_json()
            if frame["type"] == "pong":
                return frames
            frames.append(frame)


def conv_socket(user, **options):
    """A `/api/v1/ws` connection of an account."""
    return ConvSocket(user.stack, user.token, **options)


def refusal(user, opens=conv_socket, **options):
    """The HTTP status a handshake is refused with; None: it is not."""
    try:
        opens(user, **options).close()
    except WebSocketBadStatusException as e:
        return e.status_code
    return None
