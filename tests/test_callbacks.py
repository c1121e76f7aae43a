"""Callbacks: what happens in a group is posted to its owner's URL, signed, at least once, and to public addresses only."""

import itertools
import json
import os
import re
import subprocess
import time

import pytest

from parley import metrics, procs
from parley.api import id_of
from parley.check import assert_problem, number_of
from parley.conv import conv_account
from parley.receiver import Receiver
from parley.stack import ROOT, binary
from parley.wait import eventually

ACCOUNT = conv_account
STACK = {"settings": {"CALLBACK_ALLOW": "127.0.0.1", "CALLBACK_RETRY": "1", "CALLBACK_GIVE_UP": "4",
                      "CALLBACK_TIMEOUT": "5"}}
paths = (f"/hook/{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module")
def receiver():
    one = Receiver()
    yield one
    one.stop()


@pytest.fixture
def path():
    """A path of the receiver's that nobody else uses."""
    return next(paths)


def at(group, callback=None, rest=""):
    return f"/conversations/{id_of(group)}/callbacks" + (f"/{id_of(callback)}" if callback else "") + rest


def register(owner, group, url):
    return owner.make("POST", at(group), {"url": url})["callback"]


def shown(owner, group, callback):
    found, = [c for c in owner.make("GET", at(group))["callbacks"] if c["id"] == callback["id"]]
    return found


def deliveries(owner, group, callback, **query):
    resp = owner.ask("GET", at(group, callback, "/deliveries"), params=query)
    assert resp.status_code == 200, resp.text
    return resp.json()["deliveries"]


def dead(owner, group, callback, timeout=15):
    return eventually(lambda: deliveries(owner, group, callback, state="dead"), timeout, "a dead letter")


# ---------------------------------------------------------------------- what is posted

def test_messages_are_posted_signed_in_order_and_once(receiver, path, alice, group):
    alice.say(group, "before there was a callback")
    callback = register(alice, group, receiver.url(path))
    messages = [alice.say(group, f"message {n}") for n in range(10)]
    posts = receiver.expect(path, 10)
    for post in posts:
        post.assert_signed(callback["secret"])
    assert [p.json["data"] for p in posts] == messages
    assert {p.json["type"] for p in posts} == {"message"} and len({p.id for p in posts}) == 10
    eventually(lambda: len(deliveries(alice, group, callback, state="delivered")) == 10)
    assert len(receiver.to(path)) == 10


def test_edits_deletions_and_membership_are_posted(receiver, path, alice, group):
    register(alice, group, receiver.url(path))
    carol = conv_account(alice.stack)
    message = alice.say(group, "one")
    receiver.expect(path, 1)
    alice.edit(message, "won")
    receiver.expect(path, 2)
    alice.unsend(message)
    alice.add(group, carol)
    alice.rename(group, "Caving")
    carol.leave(group)
    types = [p.json["type"] for p in receiver.expect(path, 6)]
    assert types == ["message", "message_edited", "message_deleted", "member_added", "conversation_renamed",
                     "member_removed"]
    assert receiver.to(path)[4].json["data"]["name"] == "Caving"
    assert receiver.to(path)[1].text == "won" and receiver.to(path)[3].json["data"]["user_id"] == carol.id


def test_other_conversations_are_not_posted(receiver, path, alice, group):
    register(alice, group, receiver.url(path))
    other = alice.group(conv_account(alice.stack))
    alice.say(other, "elsewhere")
    alice.say(group, "here")
    assert [p.text for p in receiver.expect(path, 1)] == ["here"]


def test_a_message_deleted_before_it_could_be_posted_is_not_told(receiver, path, alice, group):
    receiver.answers[path] = [500, 204]
    receiver.held.add(path)
    callback = register(alice, group, receiver.url(path))
    message = alice.say(group, "regretted")
    receiver.expect(path, 1)
    alice.unsend(message)
    receiver.held.discard(path)         # only now it fails, so no second try came before
    eventually(lambda: deliveries(alice, group, callback, state="dropped"))
    eventually(lambda: len(receiver.to(path)) == 2)
    assert [p.json["type"] for p in receiver.to(path)] == ["message", "message_deleted"]


def test_a_message_committed_late_is_posted_too(stack, receiver, path, alice, group):
    """Its id is older than others' that were posted already."""
    register(alice, group, receiver.url(path))
    other = alice.group(conv_account(stack))
    register(alice, other, receiver.url(path))
    room, sender = stack.query("SELECT conversation_id, user_id FROM participants p JOIN conversations c ON c.id ="
                               " p.conversation_id WHERE epoch_ms(c.created_at) = %s AND role = 'owner'",
                               int(group["id"].replace("-", "")[:12], 16))[0]
    late = stack.db(autocommit=False)
    with late.cursor() as cur:
        cur.execute("UPDATE conversations SET last_seq = last_seq + 1 WHERE id = %s RETURNING last_seq", [room])
        cur.execute("INSERT INTO messages (conversation_id, seq, sender_id, content, created_at) VALUES (%s, %s, %s, %s, now())",
                    [room, cur.fetchone()[0], sender, "late"])
    alice.say(other, "early")
    assert [p.text for p in receiver.expect(path, 1)] == ["early"]
    late.commit()
    late.close()
    assert [p.text for p in receiver.expect(path, 2)] == ["early", "late"]


# ---------------------------------------------------------------------- when it fails

def test_a_failed_post_is_tried_again_ever_later_under_the_same_id(receiver, path, alice, group):
    receiver.answers[path] = [503, 500, 200]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "insistent")
    posts = receiver.expect(path, 3)
    for post in posts:
        post.assert_signed(callback["secret"])
    assert len({p.id for p in posts}) == 1 and {p.text for p in posts} == {"insistent"}
    first, second = (b.at - a.at for a, b in zip(posts, posts[1:]))
    assert first > 0.7 and second > 1.4, "a second, then two, each give or take a quarter"
    row, = eventually(lambda: deliveries(alice, group, callback, state="delivered"))
    assert row["attempts"] == 3 and row["status"] == 200 and row["id"] == posts[0].id
    assert shown(alice, group, callback)["failing_since"] is None


def test_what_fails_for_too_long_is_a_dead_letter_that_can_be_sent_again(receiver, path, alice, group):
    receiver.answers[path] = [404]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "unwanted")
    row, = dead(alice, group, callback)
    assert row["status"] == 404 and row["error"] == "it answered 404" and row["finished_at"]
    assert shown(alice, group, callback)["dead"] == 1 and shown(alice, group, callback)["failing_since"]
    tried = len(receiver.to(path))
    assert tried > 1
    receiver.answers[path] = [204]
    assert alice.make("POST", at(group, callback, "/redeliver")) == {"redelivered": 1}
    again = receiver.expect(path, tried + 1)[-1]
    assert again.id == row["id"] and again.text == "unwanted"
    eventually(lambda: deliveries(alice, group, callback, state="delivered"))
    assert deliveries(alice, group, callback, state="dead") == []


def test_a_refused_post_does_not_hold_up_the_next(receiver, path, alice, group):
    receiver.answers[path] = [400, 204]
    register(alice, group, receiver.url(path))
    for text in ("bad", "good"):
        alice.say(group, text)
    assert [p.text for p in receiver.expect(path, 3)] == ["bad", "good", "bad"]


def test_posts_and_what_is_owed_are_counted(stack, receiver, path, alice, group):
    def value(series):
        said = metrics.text(stack, "courier")
        return int(re.search(rf"^{re.escape(series)} (\d+)$", said, re.M)[1])
    before = {result: value(f'parley_callback_posts_total{{result="{result}"}}') for result in ("delivered", "failed", "dead")}
    waiting = value("parley_callback_dead_letters")
    receiver.answers[path] = [404]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "unwanted")
    dead(alice, group, callback)
    eventually(lambda: value('parley_callback_posts_total{result="dead"}') == before["dead"] + 1)
    eventually(lambda: value("parley_callback_dead_letters") == waiting + 1)
    assert value('parley_callback_posts_total{result="failed"}') > before["failed"]
    receiver.answers[path] = [204]
    alice.make("POST", at(group, callback, "/redeliver"))
    eventually(lambda: value('parley_callback_posts_total{result="delivered"}') > before["delivered"])


def test_redirects_are_not_followed(receiver, path, alice, group):
    receiver.answers[path] = [302]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "where to?")
    assert dead(alice, group, callback)[0]["status"] == 302
    assert receiver.to("/elsewhere") == []


def test_a_receiver_that_hangs_costs_only_itself(receiver, path, alice, group):
    slow = next(paths)
    receiver.held.add(slow)
    stuck = register(alice, group, receiver.url(slow))
    register(alice, group, receiver.url(path))
    began = time.monotonic()
    alice.say(group, "for both")
    receiver.expect(path, 1)
    assert time.monotonic() - began < 4, "the other is given up after five seconds"
    row, = dead(alice, group, stuck)
    assert row["status"] is None and "timed out" in row["error"]
    receiver.held.discard(slow)


def test_slow_receivers_take_turns_with_the_others(stack, receiver, path, alice, group):
    """One user's: more of them than are served at once, and each is owed more than the others would wait for."""
    mallory, tarpit = conv_account(alice.stack), next(paths)
    register(alice, group, receiver.url(path))
    groups = [mallory.group() for _ in range(8)]
    for each in groups:
        for _ in range(10):
            last = register(mallory, each, receiver.url(tarpit))
    receiver.slow[tarpit] = 2
    for n in range(8):
        for each in groups:
            mallory.say(each, f"message {n}")
    eventually(lambda: len(deliveries(mallory, groups[-1], last)) == 8)     # all of that is older
    alice.say(group, "hello")
    receiver.expect(path, 1)
    owed = 640 - len(receiver.to(tarpit))
    for each in groups:
        mallory.delete(each)
    eventually(lambda: stack.query("SELECT count(*) FROM callback_deliveries WHERE state = 'pending'") == [(0,)], 60,
               "the tests to come wait for nothing of it")
    assert owed > 200, "they went first"


def test_a_receiver_that_has_gone_is_posted_to_no_more(receiver, path, alice, group):
    receiver.answers[path] = [410]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "anybody?")
    off = eventually(lambda: (c := shown(alice, group, callback)) and not c["enabled"] and c)
    assert off["disabled_reason"] == "it answered 410" and off["dead"] == 1


def test_what_only_fails_for_days_is_disabled_and_can_be_enabled(stack, receiver, path, alice, group):
    receiver.answers[path] = [500]
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "first")
    receiver.expect(path, 1)
    eventually(lambda: shown(alice, group, callback)["failing_since"])
    stack.query("UPDATE callbacks SET failing_since = now() - interval '6 days' WHERE url = %s", receiver.url(path))
    off = eventually(lambda: (c := shown(alice, group, callback)) and not c["enabled"] and c)
    assert off["disabled_reason"] == "it answered 500"
    alice.say(group, "while it was off")
    row, = deliveries(alice, group, callback, state="dead")
    assert row["error"] == "the callback was disabled: it answered 500"
    receiver.answers[path] = [204]
    on = alice.make("PATCH", at(group, callback), {"enabled": True})["callback"]
    assert on["enabled"] and on["disabled_reason"] is None and on["failing_since"] is None
    alice.say(group, "back again")
    eventually(lambda: "back again" in [p.text for p in receiver.to(path)])
    assert "while it was off" not in [p.text for p in receiver.to(path)]


def disable(owner, group, callback):
    off = owner.make("PATCH", at(group, callback), {"enabled": False})["callback"]
    assert not off["enabled"] and off["disabled_reason"] is None
    return off


def test_what_is_owed_when_it_is_disabled_is_a_dead_letter_that_can_be_sent_later(receiver, path, alice, group):
    receiver.answers[path] = [503]
    callback = register(alice, group, receiver.url(path))
    sent = [alice.say(group, f"owed {n}")["body"] for n in range(3)]
    receiver.expect(path, 1)
    eventually(lambda: shown(alice, group, callback)["pending"] == 3)
    off = disable(alice, group, callback)
    assert (off["pending"], off["dead"]) == (0, 3), "none of them waits for a day that may never come"
    rows = deliveries(alice, group, callback, state="dead")
    assert {row["error"] for row in rows} == {"the callback was disabled"} and all(row["finished_at"] for row in rows)
    assert_problem(alice.ask("POST", at(group, callback, "/redeliver")), 409, "callback_disabled")
    assert shown(alice, group, callback)["dead"] == 3
    receiver.answers[path] = [204]
    alice.make("PATCH", at(group, callback), {"enabled": True})
    assert alice.make("POST", at(group, callback, "/redeliver")) == {"redelivered": 3}
    eventually(lambda: len(deliveries(alice, group, callback, state="delivered")) == 3)
    assert {p.text for p in receiver.to(path)} == set(sent)


def test_what_was_noted_in_the_moment_it_was_disabled_is_buried_with_the_rest(stack, path, receiver, alice, group):
    """The courier looks for changes with a snapshot that may be older than the owner's change."""
    callback = register(alice, group, receiver.url(path))
    disable(alice, group, callback)
    stack.query("INSERT INTO callback_deliveries (callback_id, change_id, kind) VALUES (%s, 1, 'message')", number_of(callback["id"]))
    stack.query("SELECT callbacks_purge()")
    row, = deliveries(alice, group, callback)
    assert (row["state"], row["error"]) == ("dead", "the callback was disabled")


# ---------------------------------------------------------------------- nothing is lost

def couriers(stack):
    """The courier and its process for callbacks; it has another one for its monitor."""
    pid = stack.pid("courier")
    return [pid, *(child for child in procs.children(pid) if procs.name(child) == "parley-posts")] if pid else []


@pytest.mark.parametrize("victim", [0, 1], ids=["the whole", "the callbacks' process"])
def test_a_courier_killed_in_the_middle_of_a_post_loses_nothing(stack, receiver, path, alice, group, victim):
    register(alice, group, receiver.url(path))
    receiver.held.add(path)
    sent = [alice.say(group, f"message {n}")["body"] for n in range(5)]
    receiver.expect(path, 1)
    eventually(lambda: len(couriers(stack)) == 2)
    old = couriers(stack)
    procs.kill(old[victim])
    eventually(lambda: not any(map(procs.alive, old)), what="neither outlives the other")
    sent += [alice.say(group, "while it was dead")["body"]]
    receiver.held.discard(path)
    eventually(lambda: {p.text for p in receiver.to(path)} == set(sent))
    eventually(lambda: stack.query("SELECT count(*) FROM callback_deliveries d JOIN callbacks k ON k.id = d.callback_id"
                                   " WHERE k.url = %s AND state <> 'delivered'", receiver.url(path)) == [(0,)])
    ids = {p.text: p.id for p in receiver.to(path)}
    assert all(ids[p.text] == p.id for p in receiver.to(path)), "what came twice has one id"


def test_postgresql_killed_loses_nothing(stack, receiver, path, alice, group):
    """Its crash recovery gives out transaction ids again that were seen under way."""
    register(alice, group, receiver.url(path))
    sent = [alice.say(group, f"before {n}")["body"] for n in range(20)]
    stack.kill("postmaster")
    for text in [f"after {n}" for n in range(20)]:
        eventually(lambda: alice.post(group, text, key=f"{path} {text}").status_code == 201)
        sent.append(text)
    eventually(lambda: {p.text for p in receiver.to(path)} == set(sent))
    ids = {p.text: p.id for p in receiver.to(path)}
    assert all(ids[p.text] == p.id for p in receiver.to(path))
    eventually(stack.ready, what="every part is back")


def test_two_couriers_post_once(stack, receiver, path, alice, group):
    register(alice, group, receiver.url(path))
    second = subprocess.Popen([binary("courier"), "--config", stack.var / "conf/parley.env"], start_new_session=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sent = [alice.say(group, f"message {n}")["body"] for n in range(60)]
        receiver.expect(path, 60, 30)
        assert [p.text for p in receiver.to(path)] == sent
    finally:
        second.terminate()
        assert second.wait(15) == 0


# ---------------------------------------------------------------------- where it goes

@pytest.fixture(scope="module")
def inner():
    """Listens where nobody may post to."""
    one = Receiver("127.0.0.2")
    yield one
    one.stop()


@pytest.mark.parametrize("host", ["127.0.0.2", "[::ffff:127.0.0.2]", "2130706434", "0x7f.2", "[::1]", "169.254.169.254",
                                  "10.255.255.1", "[fe80::1]", "[fd00::1]", "0.0.0.0"])
def test_private_addresses_are_not_posted_to(inner, alice, group, host):
    callback = register(alice, group, f"http://{host}:{inner.port}/")
    alice.say(group, "secret")
    row, = eventually(lambda: [d for d in deliveries(alice, group, callback) if d["error"]])
    assert row["error"] == "its address is not a public one" and row["status"] is None
    assert inner.got == []
    assert alice.ask("DELETE", at(group, callback)).status_code == 204


# ---------------------------------------------------------------------- who may

def test_the_secret_is_shown_once(receiver, path, alice, group):
    callback = register(alice, group, receiver.url(path))
    assert callback["secret"].startswith("whsec_")
    assert "secret" not in shown(alice, group, callback)
    assert callback["secret"][6:] not in alice.ask("GET", at(group)).text


def test_only_the_owner_manages_callbacks(receiver, path, alice, group):
    callback = register(alice, group, receiver.url(path))
    bob, stranger = conv_account(alice.stack), conv_account(alice.stack)
    alice.add(group, bob)
    direct = alice.direct(bob)
    asked = [("POST", at(group), {"url": receiver.url()}), ("GET", at(group), None),
             ("PATCH", at(group, callback), {"enabled": False}), ("DELETE", at(group, callback), None),
             ("GET", at(group, callback, "/deliveries"), None), ("POST", at(group, callback, "/redeliver"), None)]
    for who, sentence in ((bob, "only the owner may do this"), (stranger, "you are not a participant of this conversation")):
        for method, url, body in asked:
            resp = who.ask(method, url, json=body) if body else who.ask(method, url)
            assert_problem(resp, 403, "forbidden")
            assert resp.json()["detail"] == sentence
    assert_problem(alice.ask("POST", at(direct), json={"url": receiver.url()}), 403, "forbidden")
    other = alice.group(bob)
    assert_problem(alice.ask("DELETE", at(other, callback)), 404, "callback_not_found")
    assert shown(alice, group, callback)["enabled"]


def test_bad_urls_are_refused(alice, group):
    for url in ("ftp://example.org/", "http://", "http://user@example.org/", "http://example.org/#a", "http://ex ample.org/",
                "http://example.org/" + "a" * 2048, "http://exämple.org/", "gopher://127.0.0.1/", "file:///etc/passwd"):
        assert_problem(alice.ask("POST", at(group), json={"url": url}), 400, "invalid_field")


def test_a_conversation_has_at_most_ten(alice, group):
    for n in range(10):
        register(alice, group, f"https://example.org/{n}")
    assert_problem(alice.ask("POST", at(group), json={"url": "https://example.org/"}), 409, "too_many_callbacks")


def test_an_owner_has_at_most_a_hundred(alice, bob, group):
    for there in [alice.group(bob) for _ in range(10)]:
        callbacks = [register(alice, there, f"https://example.org/{n}") for n in range(10)]
    assert_problem(alice.ask("POST", at(group), json={"url": "https://example.org/"}), 409, "too_many_callbacks")
    register(bob, bob.group(alice), "https://example.org/")
    assert alice.ask("DELETE", at(there, callbacks[0])).status_code == 204
    register(alice, group, "https://example.org/")


def test_a_deleted_callback_and_a_deleted_group_are_posted_nothing(stack, receiver, path, alice, group):
    callback = register(alice, group, receiver.url(path))
    alice.say(group, "heard")
    receiver.expect(path, 1)
    assert alice.ask("DELETE", at(group, callback)).status_code == 204
    second = register(alice, group, receiver.url(path))
    assert alice.delete(group).status_code == 204
    assert stack.query("SELECT count(*) FROM callbacks WHERE url = %s", receiver.url(path)) == [(0,)]
    assert second["id"] != callback["id"] and len(receiver.to(path)) == 1


# ---------------------------------------------------------------------- the audit log

def noted(stack, callback):
    """What the audit log has about a callback: (kind, the rest of the detail, who, address, from a request)."""
    about = f"callback {number_of(callback['id'])} of conversation {number_of(callback['conversation_id'])}, "
    return stack.query("SELECT kind, substr(detail, %s), user_id, address, request_id IS NOT NULL FROM audit_log"
                       " WHERE starts_with(detail, %s) ORDER BY id", len(about) + 1, about)


def test_what_its_owner_does_is_in_the_audit_log(stack, receiver, alice, group):
    url = receiver.url("/services/T0/secret?key=secret")
    callback = register(alice, group, url) | {"conversation_id": group["id"]}
    disable(alice, group, callback)
    disable(alice, group, callback)     # changes nothing
    alice.make("PATCH", at(group, callback), {"enabled": True})
    alice.make("POST", at(group, callback, "/redeliver"))
    assert alice.ask("DELETE", at(group, callback)).status_code == 204
    host = url.partition("/services")[0]
    expected = [("created", host), ("disabled", host), ("enabled", host), ("redelivered", host + ": 0"), ("deleted", host)]
    assert noted(stack, callback) == [(f"callback_{what}", detail, number_of(alice.id), "127.0.0.1", True)
                                      for what, detail in expected]


def test_refused_changes_are_not_in_the_audit_log(stack, receiver, path, alice, group):
    callback = register(alice, group, receiver.url(path)) | {"conversation_id": group["id"]}
    bob = conv_account(stack)
    alice.add(group, bob)
    assert_problem(bob.ask("DELETE", at(group, callback)), 403, "forbidden")
    assert_problem(bob.ask("POST", at(group, callback, "/redeliver")), 403, "forbidden")
    assert [line[0] for line in noted(stack, callback)] == ["callback_created"]


def test_what_the_courier_disables_and_what_ends_with_its_group_is_in_the_audit_log(stack, receiver, path, alice, group):
    receiver.answers[path] = [410]
    callback = register(alice, group, receiver.url(path)) | {"conversation_id": group["id"]}
    alice.say(group, "anybody?")
    eventually(lambda: not shown(alice, group, callback)["enabled"])
    assert alice.delete(group).status_code == 204
    _, disabled, deleted = noted(stack, callback)
    host, who = receiver.url(path).removesuffix(path), number_of(alice.id)
    assert disabled == ("callback_disabled", host + ": it answered 410", who, None, False)
    assert deleted[:3] == ("callback_deleted", host, who)


# ---------------------------------------------------------------------- the document

DOCUMENT = (ROOT / "docs/callbacks.md").read_text()


def snippet(language):
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.S)[1]


def test_the_documents_snippets_work(receiver, path, alice, group):
    env = {"PATH": os.environ["PATH"], "TOKEN": alice.token, "URL": alice.stack.url, "GROUP": group["id"],
           "HOOK": receiver.url(path)}
    made = subprocess.run(["bash", "-euc", snippet("bash")], env=env, capture_output=True, text=True, check=True)
    secret = json.loads(made.stdout)["callback"]["secret"]
    alice.say(group, "Who brings the ropes?")
    post, = receiver.expect(path, 1)
    there = {}
    exec(snippet("python"), there)
    assert there["verify"](secret, post.headers, post.body)
    assert not there["verify"](secret, post.headers, post.body + b" ")
    assert not there["verify"](secret, {**post.headers, "webhook-timestamp": str(int(time.time()) - 301)}, post.body)
    shown_body = json.loads(snippet("json"))
    assert set(shown_body) == set(post.json) and shown_body["data"]["body"] == post.text
