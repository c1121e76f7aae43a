"""Incoming webhooks: what programs say there is a message in the group, under the webhook's own name."""

import hashlib
import json
import re
import subprocess

import pytest

from parley.check import assert_id, assert_problem, number_of
from parley.conv import conv_account
from parley.everywhere import GROUPED, SOCKETS, Person, message_in, said
from parley.wait import eventually

ACCOUNT = conv_account
MEMBERS = {"id", "name", "username", "made_by", "created_at", "used_at"}


class Hook:
    """A webhook, and programs that know its address."""

    def __init__(self, owner, group, name="Grafana", **more):
        self.owner, self.path, self.stack = owner, f"/conversations/{group['id']}/webhooks", owner.stack
        resp = owner.ask("POST", self.path, json={"name": name}, **more)
        assert resp.status_code == 201, resp.text
        self._take(resp.json())

    def _take(self, answer):
        self.shown, self.url = answer["webhook"], answer["url"]
        self.secret = self.url.rpartition("/")[2]
        self.stack.secrets.add(self.secret)

    def rotate(self):
        self._take(self.owner.make("POST", f"{self.path}/{self.shown['id']}/rotate"))

    def delete(self, who=None):
        return (who or self.owner).ask("DELETE", f"{self.path}/{self.shown['id']}")

    def post(self, data=None, kind=None, secret=None, params=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()} | ({"Content-Type": kind} if kind else {})
        data = data.encode() if isinstance(data, str) else data
        return self.owner.call("POST", f"/hooks/{secret or self.secret}", token=None, data=data, params=params, headers=headers)

    def json(self, value, **headers):
        return self.post(json.dumps(value), "application/json", **headers)


@pytest.fixture
def hook(alice, group):
    return Hook(alice, group)


def heard(who, group, count=1):
    """What was said last in the group, oldest first."""
    return [m["body"] for m in who.page(group, limit=count)["messages"]][::-1]


def said_by(hook, resp, group):
    """The message an answer was for."""
    assert (resp.status_code, resp.text) == (200, "ok"), resp.text
    assert resp.headers["Content-Type"].startswith("text/plain")
    return heard(hook.owner, group)[0]


# ---------------------------------------------------------------------- the address

def test_the_address_is_shown_once_and_only_a_hash_is_kept(alice, group, hook, stack):
    assert set(hook.shown) == MEMBERS and re.search(r"/hooks/[\w-]{43}$", hook.url)
    assert_id(hook.shown["id"], hook.shown["created_at"])
    assert hook.shown["name"] == "Grafana" and hook.shown["used_at"] is None and hook.shown["made_by"] == alice.id
    listed = alice.ask("GET", hook.path)
    assert listed.json() == {"webhooks": [hook.shown]} and hook.secret not in listed.text
    row, = stack.query("SELECT encode(hash, 'hex') FROM webhooks WHERE user_id = %s", number_of(hook.shown["id"]))
    assert row == (hashlib.sha256(hook.secret.encode()).hexdigest(),)
    for table, in stack.query("SELECT name FROM kept_tables"):
        assert stack.query(f"SELECT count(*) FROM {table} x WHERE x::text LIKE %s", f"%{hook.secret}%") == [(0,)], table


def test_only_the_owner_makes_rotates_and_deletes(hook, group, bob, stack):
    stranger = conv_account(stack)
    for who, code in ((bob, "forbidden"), (stranger, "forbidden")):
        assert_problem(who.ask("POST", hook.path, json={"name": "x"}), 403, code)
        assert_problem(who.ask("POST", f"{hook.path}/{hook.shown['id']}/rotate"), 403, code)
        assert_problem(hook.delete(who), 403, code)
    assert bob.ask("GET", hook.path).json()["webhooks"][0]["id"] == hook.shown["id"], "members may know who speaks there"
    assert_problem(stranger.ask("GET", hook.path), 403, "forbidden")
    assert hook.json({"text": "still"}).status_code == 200


def test_a_direct_conversation_has_none(alice, bob):
    assert_problem(alice.ask("POST", f"/conversations/{alice.direct(bob)['id']}/webhooks", json={"name": "x"}), 403, "forbidden")


def test_a_rotated_address_is_void_at_once(hook, group):
    old = hook.secret
    hook.rotate()
    assert hook.secret != old
    assert_problem(hook.post("x", "text/plain", secret=old), 404, "not_found")
    assert said_by(hook, hook.post("new", "text/plain"), group) == "new"


def test_a_deleted_webhook_is_silent_and_its_messages_stay(hook, group, alice):
    hook.json({"text": "said"})
    sender = alice.page(group)["messages"][0]["sender_id"]
    assert hook.delete().status_code == 204
    assert_problem(hook.json({"text": "more"}), 404, "not_found")
    assert_problem(hook.delete(), 404, "not_found")
    last = alice.page(group)["messages"][0]
    assert (last["body"], last["sender_id"], last["sender_username"]) == ("said", sender, "Grafana")
    assert sender == hook.shown["id"]


def test_it_ends_when_its_maker_leaves_or_is_removed_or_disabled(stack, alice, bob, group):
    hook = Hook(alice, group)
    stack.query("UPDATE conversations SET owner_id = %s WHERE id = %s RETURNING 1", number_of(bob.id), number_of(group["id"]))
    assert bob.remove(group, alice).status_code in (200, 204)
    assert_problem(hook.json({"text": "x"}), 404, "not_found")
    other = Hook(bob, group)
    stack.disable(bob.name)
    assert_problem(other.json({"text": "x"}), 404, "not_found")


def test_it_ends_with_its_conversation(hook, alice, group, stack):
    hook.json({"text": "said"})
    assert alice.delete(group).status_code in (200, 204)
    assert_problem(hook.json({"text": "x"}), 404, "not_found")
    assert stack.query("SELECT 1 FROM users WHERE id = %s", number_of(hook.shown["id"])) == []


def test_there_are_twenty_at_most(alice, group):
    hooks = [Hook(alice, group) for _ in range(20)]
    assert len({h.shown["username"] for h in hooks}) == 20, "each has a user of its own"
    assert_problem(alice.ask("POST", hooks[0].path, json={"name": "x"}), 409, "too_many_webhooks")


def test_making_and_ending_are_in_the_audit_log(hook, alice, stack):
    hook.rotate()
    hook.delete()
    lines = stack.query("SELECT kind, detail, address FROM audit_log WHERE user_id = %s AND kind LIKE 'webhook%%' ORDER BY id",
                        number_of(alice.id))
    assert lines == [(f"webhook_{what}", "Grafana", "127.0.0.1") for what in ("created", "rotated", "deleted")]


def test_the_audit_log_names_who_ended_it_not_who_made_it(hook, alice, bob, group, stack):
    stack.query("UPDATE conversations SET owner_id = %s WHERE id = %s", number_of(bob.id), number_of(group["id"]))
    assert hook.delete(bob).status_code == 204
    assert stack.query("SELECT user_id FROM audit_log WHERE kind = 'webhook_deleted' ORDER BY id DESC LIMIT 1") \
        == [(number_of(bob.id),)]


# ---------------------------------------------------------------------- who speaks

@pytest.mark.parametrize("surface", GROUPED)
def test_every_surface_shows_it_under_its_own_name(stack, surface):
    owner, member = Person(stack), Person(stack)
    talk = owner.make_group("conv", member)
    hook = Hook(owner.conv, {"id": talk.uuid}, name="Disk Watch")
    with SOCKETS[surface](getattr(member, surface)) as sock:
        if surface == "rooms":
            sock.subscribe(talk.number)
        assert hook.json({"text": "disk full"}).status_code == 200
        message = None
        while not (message and said(surface, message).text == "disk full"):
            message = message_in(surface, sock.recv_json())
    assert said(surface, message).sender == number_of(hook.shown["id"])
    name = message["sender"]["username"] if surface == "rooms" else message.get("sender_username")
    user = member.p2p.call("GET", f"/v1/users/{number_of(hook.shown['id'])}").json()
    assert name in (None, "Disk Watch") and user["display_name"] == "Disk Watch"
    assert user["username"] == hook.shown["username"] and hook.shown["username"].startswith("disk.watch")


def test_every_webhook_of_a_name_is_shown_under_it(alice, group):
    hooks = [Hook(alice, group) for _ in range(2)]
    for hook in hooks:
        hook.json({"text": "up"})
    messages = alice.page(group)["messages"]
    assert [m["sender_username"] for m in messages] == ["Grafana", "Grafana"]
    assert [m["sender_id"] for m in messages] == [h.shown["id"] for h in hooks[::-1]]


def test_no_webhook_passes_for_a_person(alice, bob, group):
    hook = Hook(alice, group, name=bob.name.upper())
    hook.json({"text": "I am Bob"})
    message, = bob.page(group)["messages"]
    assert message["sender_username"] == hook.shown["username"] != bob.name


def test_nobody_can_log_in_as_it(hook, alice):
    for password in ("", "*", "password", "x" * 72):
        resp = alice.login(username=hook.shown["username"], password=password)
        assert resp.status_code in (400, 401, 429), resp.text


def test_its_messages_count_as_unread_and_it_is_no_participant(hook, group, bob):
    hook.json({"text": "one"})
    seen = bob.conversation(group)
    assert seen["unread_count"] == 1 and seen["last_message"]["body"] == "one"
    assert len(seen["participants"]) == 2


def test_order_is_one_with_the_others_messages(hook, group, alice, bob):
    for n in range(3):
        alice.say(group, f"a{n}")
        hook.json({"text": f"h{n}"})
    assert heard(bob, group, 6) == heard(alice, group, 6) == ["a0", "h0", "a1", "h1", "a2", "h2"]


# ---------------------------------------------------------------------- what programs send

ALERTMANAGER = {                        # its slack_configs with the default templates
    "channel": "#ops", "username": "Alertmanager", "attachments": [{
        "title": "[FIRING:1] DiskFull (db1 critical)", "title_link": "http://am:9093/#/alerts?receiver=slack",
        "text": "Alert: disk is 97% full", "fallback": "[FIRING:1] DiskFull (db1 critical) | http://am:9093",
        "callback_id": "", "footer": "", "color": "danger", "mrkdwn_in": ["fallback", "pretext", "text"],
        "fields": [{"title": "severity", "value": "critical", "short": True}]}]}
GRAFANA = {                             # its Slack contact point with a webhook address
    "text": "Firing: Load high", "username": "Grafana", "attachments": [{
        "color": "#D63232", "fallback": "[FIRING:1]  Load high", "title": "[FIRING:1]  Load high",
        "title_link": "http://grafana:3000/alerting/list", "text": "**Firing**\n\nValue: A=12\n",
        "footer": "Grafana v10.2", "ts": 1700000000}]}
GRAFANA_LEGACY = {"title": "[Alerting] Load", "message": "Load is high", "state": "alerting", "ruleId": 1, "evalMatches": []}
BLOCKS = {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
                     {"type": "section", "text": {"type": "mrkdwn", "text": "*v1.2* is out"},
                      "fields": [{"type": "mrkdwn", "text": "by: ci"}]}, {"type": "divider"}]}
PUSH = {"ref": "refs/heads/main", "compare": "https://git.example/o/r/compare/a...b", "repository": {"full_name": "o/r"},
        "sender": {"login": "octocat"}, "commits": [{"id": "0123456789abcdef", "message": "Fix it\n\nlong story"}]}
ISSUE = {"action": "opened", "issue": {"title": "It broke", "html_url": "https://git.example/o/r/issues/7"},
         "repository": {"full_name": "o/r"}, "sender": {"login": "octocat"}}


@pytest.mark.parametrize("payload, text", [
    ({"text": "hello"}, "hello"),
    ({"text": "two\nlines ☂", "username": "x", "icon_emoji": ":x:"}, "two\nlines ☂"),
    (ALERTMANAGER, "[FIRING:1] DiskFull (db1 critical) http://am:9093/#/alerts?receiver=slack\nAlert: disk is 97% full\nseverity: critical"),
    (GRAFANA, "Firing: Load high\n[FIRING:1]  Load high http://grafana:3000/alerting/list\n**Firing**\n\nValue: A=12"),
    (GRAFANA_LEGACY, "[Alerting] Load\nLoad is high"),
    (BLOCKS, "Deploy\n*v1.2* is out\nby: ci"),
    ({"attachments": [{"fallback": "only this"}]}, "only this")], ids=["text", "lines", "alertmanager", "grafana", "legacy", "blocks", "fallback"])
def test_json_and_payload_are_understood(hook, group, payload, text):
    assert said_by(hook, hook.json(payload), group) == text
    form = hook.owner.call("POST", f"/hooks/{hook.secret}", token=None, data={"payload": json.dumps(payload)})
    assert said_by(hook, form, group) == text
    assert said_by(hook, hook.post(json.dumps(payload), "application/x-www-form-urlencoded"), group) == text, "curl -d '{…}'"
    assert said_by(hook, hook.post(json.dumps(payload)), group) == text, "no Content-Type"


@pytest.mark.parametrize("event, payload, text", [
    ("push", PUSH, "[o/r] octocat: push refs/heads/main https://git.example/o/r/compare/a...b\n0123456 Fix it"),
    ("push", {**PUSH, "compare": "c", "commits": [{"id": "012345é", "message": "Fix"}]}, "[o/r] octocat: push refs/heads/main c\n012345 Fix"),
    ("issues", ISSUE, "[o/r] octocat: issues opened It broke https://git.example/o/r/issues/7"),
    ("ping", {"zen": "x", "repository": {"full_name": "o/r"}}, "[o/r]: ping")])
def test_github_events_are_told_in_a_line(hook, group, event, payload, text):
    assert said_by(hook, hook.json(payload, X_GitHub_Event=event), group) == text
    assert_problem(hook.json(payload), 400, "missing_field")


@pytest.mark.parametrize("data, kind, text", [
    ("disk full\n", "text/plain", "disk full"),
    ("  kept  ", "text/plain; charset=utf-8", "  kept  "),
    ("backup done", None, "backup done"),
    ("backup=done", "application/x-www-form-urlencoded", "backup=done"),
    ("100% of /var", "application/x-www-form-urlencoded", "100% of /var"),
    ("text=a+b%26c", "application/x-www-form-urlencoded", "a b&c"),
    ("channel=%23ops&text=hi", "application/x-www-form-urlencoded", "hi")])
def test_plain_text_is_taken_as_it_is(hook, group, data, kind, text):
    assert said_by(hook, hook.post(data, kind), group) == text


def test_text_in_the_query(hook, group):
    assert said_by(hook, hook.post(params={"text": "from ?text= ☂"}), group) == "from ?text= ☂"


@pytest.mark.parametrize("arguments, text", [
    (["-d", "disk full"], "disk full"), (["--json", '{"text": "json"}'], "json"), (["-d", '{"text": "bare json"}'], "bare json"),
    (["--data-urlencode", "text=50% & more"], "50% & more"), (["--data-urlencode", 'payload={"text": "a & b"}'], "a & b"),
    (["-H", "Content-Type: text/plain", "--data-binary", "one\ntwo\n"], "one\ntwo")], ids=str)
def test_what_curl_sends(hook, group, arguments, text):
    url = f"{hook.stack.url}/hooks/{hook.secret}"
    out = subprocess.run(["curl", "-sS", *arguments, url], capture_output=True, text=True, check=True)
    assert out.stdout == "ok" and heard(hook.owner, group) == [text]


def test_what_is_too_long_for_a_message_is_cut_between_characters(hook, group):
    text = said_by(hook, hook.post("☂" * 10000, "text/plain"), group)
    assert text.endswith("☂…") and 16380 < len(text.encode()) <= 16384


# ---------------------------------------------------------------------- what is refused

@pytest.mark.parametrize("data, kind, status, code", [
    ("", None, 400, "missing_field"), ("\n", "text/plain", 400, "missing_field"), ("{}", "application/json", 400, "missing_field"),
    ('{"text": ""}', "application/json", 400, "missing_field"), ('{"text": 7}', "application/json", 400, "missing_field"),
    ("{", "application/json", 400, "bad_json"), ("[]", "application/json", 400, "invalid_body"),
    ("payload={", "application/x-www-form-urlencoded", 400, "bad_json"),
    ("payload=%zz", "application/x-www-form-urlencoded", 400, "invalid_body"), (b"\xff\xfe", "text/plain", 400, "invalid_field"),
    ('{"text": "cut\\u0000short"}', "application/json", 400, "invalid_field"),
    ('{"attachments": [{"title": "cut\\u0000short"}]}', "application/json", 400, "invalid_field"),
    ("a\0b", "text/plain", 400, "invalid_field"), ("x", "image/png", 415, "unsupported_media_type"),
    ("x" * (1 << 20 | 1), "text/plain", 413, "body_too_large")], ids=lambda v: repr(v)[:20])
def test_what_is_no_message_is_refused(hook, group, data, kind, status, code):
    assert_problem(hook.post(data, kind), status, code)
    assert heard(hook.owner, group) == []


def test_an_unknown_address_is_not_found(hook):
    for secret in (hook.secret[:-1], hook.secret.swapcase(), "x", "A" * 43):
        assert_problem(hook.post("x", "text/plain", secret=secret), 404, "not_found")
    assert_problem(hook.owner.call("GET", f"/hooks/{hook.secret}", token=None), 405, "method_not_allowed")


def test_the_same_key_leaves_one_message(hook, group):
    first, again = (hook.json({"text": "once"}, Idempotency_Key="k1") for _ in range(2))
    assert (first.status_code, again.status_code, again.headers.get("Idempotency-Replayed")) == (200, 200, "true")
    assert_problem(hook.json({"text": "other"}, Idempotency_Key="k1"), 409, "idempotency_conflict")
    assert heard(hook.owner, group, 5) == ["once"]


def test_a_flood_is_refused_with_a_time_to_wait(hook, group, alice):
    other = Hook(alice, group, name="Calm")
    answers = []
    while not answers or answers[-1].status_code == 200:
        answers.append(hook.post(f"no {len(answers)}", "text/plain"))
    refused = answers.pop()
    assert 60 <= len(answers) < 600, "one more for each second that it took"
    assert_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert other.post("I may", "text/plain").status_code == 200
    eventually(lambda: hook.post("again", "text/plain").status_code == 200, what="a second later one is allowed again")


def test_no_address_is_in_a_log(hook, stack):
    hook.json({"text": "x"})
    hook.post("x", "text/plain", secret=hook.secret + "/more")
    hook.owner.call("GET", f"/hooks/{hook.secret}?a=%ff", token=None)
    hook.owner.call("POST", f"/%68oo%6Bs/{hook.secret}", token=None, data=b"x")
    last = hook.owner.call("POST", f"//hooks/{hook.secret}", token=None, data=b"x")
    stack.wait_for_log(last.headers["X-Request-Id"])        # nginx writes its line after the answer
    stack.assert_logs_are_clean()
    assert "/hooks/-" in stack.log_text()
