"""Events without a socket: what is told, to whom, by polling, waiting and streaming, and never twice."""

import time

import pytest
import requests

from parley.check import assert_problem, parse_time
from parley.conv import conv_account, conv_socket
from parley.events import Stream, Waiting, ask, now, page, since, told
from parley.sockets import DmSocket
from parley.wait import eventually


@pytest.fixture
def people(stack):
    """Three accounts of the native surface."""
    return conv_account(stack), conv_account(stack), conv_account(stack)


# ---------------------------------------------------------------------- what is told

def test_without_a_cursor_it_starts_now(people):
    alice, bob, _ = people
    alice.make_message(bob, "before")
    first = page(bob)
    assert first["events"] == [] and first["has_more"] is False
    alice.make_message(bob, "after")
    assert told(since(bob, first["cursor"])[0]) == ["after"]


def test_message_is_told_as_the_socket_tells_it(people):
    alice, bob, _ = people
    cursor = now(bob)
    with conv_socket(bob) as sock:
        alice.make_message(bob, "hello")
        frame = sock.recv_json()
    event, = since(bob, cursor)[0][-1:]
    assert {"type": event["type"], "data": event["data"]} == frame
    assert event["created_at"] == event["data"]["created_at"] and parse_time(event["created_at"])


def test_edits_deletions_and_receipts_are_told(people):
    alice, bob, _ = people
    one, two = alice.make_message(bob, "one"), alice.make_message(bob, "two")
    cursor = now(alice)
    alice.edit(one, "won")
    alice.unsend(two)
    assert bob.ask("POST", f"/messages/{one['id']}/read").status_code == 204
    events, _ = since(alice, cursor)
    assert told(events) == ["message_edited", "message_deleted", "delivery_ack"]
    assert events[0]["data"]["body"] == "won" and events[1]["data"]["id"] == two["id"]
    assert events[2]["data"] == {**events[2]["data"], "status": "read", "message_id": one["id"], "user_id": bob.id}
    assert told(since(bob, cursor)[0]) == ["message_edited", "message_deleted"], "a receipt is the sender's alone"


def test_a_message_that_is_deleted_by_now_is_told_as_deleted_only(people):
    alice, bob, _ = people
    cursor = now(bob)
    alice.unsend(alice.make_message(bob, "gone"))
    assert [e for e in told(since(bob, cursor)[0]) if not e.startswith("conv")] == ["message_deleted"]


def test_membership_is_told(people):
    alice, bob, carol = people
    cursor = now(alice)
    group = alice.group(bob)
    alice.add(group, carol)
    alice.rename(group, "Caving")
    carol.leave(group)
    events, _ = since(alice, cursor)
    assert told(events) == ["conversation_created", "member_added", "conversation_renamed", "member_removed"]
    assert [e["data"]["user_id"] for e in events] == [alice.id, carol.id, alice.id, carol.id]
    assert [e["data"].get("name") for e in events] == [None, None, "Caving", None]
    alice.delete(group)
    assert told(since(bob, cursor)[0])[-1] == "conversation_deleted"


def test_contacts_are_told(people):
    alice, bob, _ = people
    cursor = now(bob)
    alice.befriend(bob)
    assert set(told(since(bob, cursor)[0])) == {"invitation_received", "contact_added", "conversation_created"}


# ---------------------------------------------------------------------- to whom

def test_outsider_is_told_nothing(people):
    alice, bob, carol = people
    cursor = now(carol)
    group = alice.group(bob)
    alice.edit(alice.say(group, "among us"), "between us")
    alice.make_message(bob, "for bob")
    assert since(carol, cursor)[0] == []


def test_newcomer_is_told_nothing_of_before(people):
    alice, bob, carol = people
    cursor = now(carol)
    group = alice.group(bob)
    early = alice.say(group, "early")
    alice.rename(group, "Caving")
    alice.add(group, carol)
    alice.edit(early, "early, edited late")
    alice.say(group, "late")
    assert told(since(carol, cursor)[0]) == ["member_added", "late"]


def test_who_left_is_told_nothing_of_it_but_that(people):
    alice, bob, carol = people
    group = alice.group(bob, carol)
    cursor = now(carol)
    alice.say(group, "while she was there")
    alice.remove(group, carol)
    alice.say(group, "without her")
    events, cursor = since(carol, cursor)
    assert told(events) == ["member_removed"]
    alice.add(group, carol)
    alice.say(group, "welcome back")
    assert told(since(carol, cursor)[0]) == ["member_added", "welcome back"]


# ---------------------------------------------------------------------- filters

def test_types_are_chosen(people):
    alice, bob, _ = people
    cursor = now(bob)
    alice.edit(alice.make_message(bob, "one"), "won")
    assert told(since(bob, cursor, type="message_edited")[0]) == ["message_edited"]
    assert told(since(bob, cursor, type="message,message_edited")[0]) == ["won", "message_edited"]
    assert_problem(ask(bob, after=cursor, type="gossip"), 400, "invalid_parameter", names="gossip")
    assert_problem(ask(bob, after=cursor, type="x" * 39 + "é"), 400, "invalid_parameter", names="x" * 39 + '"')


def test_one_conversation_is_chosen(people):
    alice, bob, carol = people
    group, other = alice.group(bob), alice.group(bob, name="Other")
    cursor = now(bob)
    alice.say(group, "here")
    alice.say(other, "there")
    assert told(since(bob, cursor, conversation=group["id"])[0]) == ["here"]
    assert_problem(ask(carol, conversation=group["id"]), 403, "forbidden")
    assert_problem(ask(carol, conversation=group["id"], wait=5), 403, "forbidden")
    assert_problem(ask(bob, conversation=alice.id), 404, "conversation_not_found")
    assert_problem(ask(bob, conversation="7"), 400, "invalid_parameter")


# ---------------------------------------------------------------------- cursors and pages

def test_a_thousand_events_are_paged_exactly_once(people, stack):
    alice, bob, carol = people
    group = alice.group(bob, carol)
    cursor = now(bob)
    number, session = stack.query("SELECT u.id, max(s.id) FROM users u JOIN sessions s ON s.user_id = u.id "
                                  "WHERE u.username = %s GROUP BY u.id", alice.name)[0]
    room = stack.query("SELECT max(id) FROM conversations WHERE owner_id = %s", number)[0][0]
    stack.query("SELECT count(m.*) FROM generate_series(1, 1000) n, LATERAL message_send(%s, %s, %s, NULL, NULL, NULL, "
                "'text', 'n' || n, NULL, NULL) m", session, number, room)
    found, at, pages = [], cursor, 0
    while True:
        one = page(bob, after=at, limit=97)
        assert len(one["events"]) <= 97
        found += one["events"]
        at, pages = one["cursor"], pages + 1
        if pages % 4 == 0:              # those that come meanwhile stand at the end
            alice.say(group, f"later {pages}")
        if not one["has_more"] and not page(bob, after=at)["events"]:
            break
    texts = told(found)
    assert texts[:1000] == [f"n{n}" for n in range(1, 1001)]
    assert texts[1000:] == [f"later {n}" for n in range(4, pages + 1, 4)]


def test_every_events_own_cursor_leads_to_the_next_one(people):
    alice, bob, _ = people
    cursor = now(bob)
    for n in range(5):
        alice.make_message(bob, f"n{n}")
    events = page(bob, after=cursor, type="message")["events"]
    for n, event in enumerate(events):
        assert told(page(bob, after=event["cursor"], type="message")["events"]) == [f"n{i}" for i in range(n + 1, 5)]


def test_large_messages_come_in_more_pages(people):
    alice, bob, _ = people
    cursor = now(bob)
    for n in range(50):
        alice.make_message(bob, f"{n:02}" + "x" * 16000)
    events, _ = since(bob, cursor, type="message", limit=100)
    assert [e["data"]["body"][:2] for e in events] == [f"{n:02}" for n in range(50)]
    assert page(bob, after=cursor, type="message", limit=100)["has_more"]


@pytest.mark.parametrize("cursor", ["", "x", "e", "e0", "e01", "e1_", "e5_5", "e5_6", "e9_1_2", "e5-", "e5-6", "e5-6-",
                                    "e5-6-0", "e5-6-7-8", "e5 ", "e1" + "0" * 19, "e" + "9" * 18, "e3-" + "9" * 18 + "-1",
                                    "0193e000-0000-7000-bfff-ffffffffffff", "e" + "1_1" * 3000])
def test_what_is_no_cursor_of_ours_is_refused(alice, cursor):
    for more in ({}, {"wait": 5}):
        assert_problem(ask(alice, after=cursor, **more), 400 if len(cursor) < 8000 else 414,
                       "invalid_cursor" if len(cursor) < 8000 else "uri_too_long")


def test_bad_parameters_are_named(alice):
    for query, name in (({"limit": "0"}, "limit"), ({"wait": "x"}, "wait"), ({"wait": "-1"}, "wait"),
                        ({"after": now(alice), "consumer": "x"}, "consumer"), ({"consumer": "a b"}, "consumer"),
                        ({"type": ""}, "type"), ({"conversation": [alice.id, alice.id]}, "conversation")):
        assert_problem(ask(alice, **query), 400, names=name)
        assert_problem(ask(alice, **{"wait": 3, **query}), 400, names=name)


def test_commit_order_may_be_the_reverse(people, stack):
    """Of two open transactions the one that began last commits first; a third begins and ends meanwhile."""
    alice, bob, carol = people
    for name in ("first", "second", "third"):
        alice.group(bob, name=name)
    number, session = stack.query("SELECT u.id, max(s.id) FROM users u JOIN sessions s ON s.user_id = u.id "
                                  "WHERE u.username = %s GROUP BY u.id", alice.name)[0]
    ids = [row[0] for row in stack.query("SELECT id FROM conversations WHERE owner_id = %s ORDER BY id", number)]
    conns = [stack.db(autocommit=False) for _ in ids]
    cursor = now(bob)
    try:
        for conn, room, text in zip(conns, ids, ("first", "second", "third")):
            with conn.cursor() as cur:
                cur.execute("SELECT outcome FROM message_send(%s, %s, %s, NULL, NULL, NULL, 'text', %s, NULL, NULL)",
                            [session, number, room, text])
                assert cur.fetchone() == ("sent",)
        for conn, text in ((conns[2], "third"), (conns[0], "first"), (conns[1], "second")):
            waiting = Waiting(bob, after=cursor, wait=10)
            conn.commit()
            answer = waiting.answer().json()
            assert told(answer["events"]) == [text]
            cursor = answer["cursor"]
            assert page(bob, after=cursor)["events"] == []
    finally:
        for conn in conns:
            conn.close()


def test_cursor_serves_the_sockets_too(people):
    alice, bob, _ = people
    with conv_socket(bob) as other:
        first = alice.make_message(bob, "one")
        cursor = now(bob)
        alice.make_message(bob, "two")
        alice.edit(first, "won")
        other.until("message_edited")       # the daemon is through with all that: nothing of it comes live
    with conv_socket(bob, since=cursor) as sock:
        assert sock.expect("message")["body"] == "two"
        assert sock.expect("message_edited")["body"] == "won"
        three = alice.make_message(bob, "three")
        assert sock.expect("message")["id"] == three["id"]
    with DmSocket(bob.stack, bob.token, since=cursor) as sock:
        assert [f["content"] for f in sock.collect(2)] == ["two", "three"]
    with DmSocket(bob.stack, bob.token, since="e99999999999999999") as sock:
        assert "cursor" in sock.recv_json()["error"]


def test_cursor_in_the_middle_of_a_page_serves_the_sockets(people):
    alice, bob, _ = people
    alice.make_message(bob, "zero")
    cursor = now(bob)
    with DmSocket(bob.stack, bob.token) as other:
        for n in range(4):
            alice.make_message(bob, f"n{n}")
        middle = page(bob, after=cursor, limit=2)["cursor"]
        alice.make_message(bob, "n4")
        while other.recv_json()["content"] != "n4":
            pass                        # then the daemon is through with all that: nothing of it comes live
    with DmSocket(bob.stack, bob.token, since=middle) as sock:
        assert [f["content"] for f in sock.collect(3)] == ["n2", "n3", "n4"]
        sock.expect_nothing(0.2)


# ---------------------------------------------------------------------- waiting

def test_long_poll_is_answered_when_something_happens(people):
    alice, bob, _ = people
    waiting = Waiting(bob, after=now(bob), wait=60, type="message")
    time.sleep(0.3)                     # it waits by now, most likely: either way it is answered
    alice.make_message(bob, "wake up")
    assert told(waiting.answer(20).json()["events"]) == ["wake up"], "not when its minute is up"


def test_long_poll_without_news_is_answered_when_its_time_is_up(alice):
    start, cursor = time.monotonic(), now(alice)
    answer = ask(alice, after=cursor, wait=1)
    assert 1 <= time.monotonic() - start < 20, "not when the longest wait is up"
    assert answer.json() == {"events": [], "cursor": cursor, "has_more": False}
    assert answer.headers["X-Next-Cursor"] == cursor


def test_long_poll_hears_nothing_of_strangers(people):
    alice, bob, carol = people
    waiting = Waiting(carol, after=now(carol), wait=1)
    alice.make_message(bob, "not hers")
    assert waiting.answer().json()["events"] == []


def test_logout_ends_a_long_poll_and_a_stream(people):
    alice, _, _ = people
    opened = lambda: alice.stack.log_text().count("event=watcher_opened")
    before = opened()
    waiting, stream = Waiting(alice, wait=30), Stream(alice).opened()
    eventually(lambda: opened() >= before + 2)
    alice.logout()
    assert_problem(waiting.answer(), 401, "unauthorized")
    end = stream.next()
    assert end["event"] == "error" and end["code"] == "unauthorized"
    assert stream.next() is None


def test_disabled_account_is_out(people):
    alice, _, _ = people
    with Stream(alice).opened() as stream:
        alice.stack.disable(alice.name)
        assert stream.next()["code"] in ("account_disabled", "unauthorized")
        assert stream.next() is None
    eventually(lambda: ask(alice, wait=1).status_code == 403)


def test_what_a_long_poll_does_not_read_does_no_harm(alice, stack):
    def get(query="wait=1", **extra):
        headers = {"Authorization": f"Bearer {alice.token}", **extra.pop("headers", {})}
        return requests.get(f"{stack.url}/api/v1/events?{query}", headers=headers, timeout=10, **extra)

    assert get(data="a body").status_code == 200
    assert get(headers={"X-Long": "x" * 7000}).status_code == 200
    assert_problem(get("wait=1&" + "&".join(f"p{n}=1" for n in range(900))), 400)


def test_token_comes_in_the_header_alone(alice):
    for query in ({"wait": 1}, {}):
        assert_problem(alice.call("GET", "/api/v1/events", token=None, params={**query, "token": alice.token}), 401)


# ---------------------------------------------------------------------- streams

def test_stream_tells_what_happens_with_its_cursor(people):
    alice, bob, _ = people
    alice.make_message(bob, "zero")
    with Stream(bob).opened() as stream:
        assert stream.headers["Content-Type"] == "text/event-stream" and int(stream.retry) > 0
        assert stream.headers["Cache-Control"] == "no-store" and stream.headers["X-Request-Id"]
        for n in range(3):
            alice.make_message(bob, f"n{n}")
        events = stream.collect(3)
        assert told(events) == ["n0", "n1", "n2"]
        assert stream.last == events[-1]["cursor"] and since(bob, stream.last)[0] == []


def test_reconnecting_stream_goes_on_behind_the_last_event(people):
    alice, bob, _ = people
    alice.make_message(bob, "zero")
    with Stream(bob, type="message").opened() as stream:
        alice.make_message(bob, "one")
        assert told([stream.next()]) == ["one"]
        last = stream.last
    alice.make_message(bob, "two")
    alice.make_message(bob, "three")
    with Stream(bob, last=last, type="message", after="e3") as stream:    # the header is newer
        assert told(stream.collect(2)) == ["two", "three"]


def test_stream_that_saw_nothing_yet_misses_nothing(people):
    alice, bob, _ = people
    with Stream(bob).opened() as stream:
        last = stream.last
    alice.make_message(bob, "meanwhile")
    with Stream(bob, last=last, type="message") as stream:
        assert told([stream.next()]) == ["meanwhile"]


def test_stream_of_a_conversation_ends_when_one_is_removed(people):
    alice, bob, carol = people
    group = alice.group(bob, carol)
    with Stream(carol, conversation=group["id"]).opened() as stream:
        alice.say(group, "hello")
        assert told([stream.next()]) == ["hello"]
        alice.remove(group, carol)
        assert told([stream.next()]) == ["member_removed"]
        end = stream.next()
        assert (end["event"], end["code"]) == ("error", "forbidden")
        assert stream.next() is None
    assert_problem(ask(carol, conversation=group["id"]), 403)


def test_bad_stream_is_refused_before_it_begins(alice):
    for query, status in (({"token": "nonsense"}, 401), ({"after": "x"}, 400), ({"conversation": alice.id}, 404)):
        with Stream(alice, **query) as stream:
            assert stream.status == status
            assert stream.headers["Content-Type"] == "application/problem+json"


def test_many_events_arrive_by_stream_in_order(people):
    alice, bob, _ = people
    alice.make_message(bob, "zero")
    with Stream(bob, type="message").opened() as stream:
        for n in range(150):
            alice.make_message(bob, f"{n:03}" + "x" * 5000)
        assert [e["data"]["body"][:3] for e in stream.collect(150)] == [f"{n:03}" for n in range(150)]


# ---------------------------------------------------------------------- consumers

def ack(user, name, cursor):
    return user.call("POST", f"/api/v1/consumers/{name}/ack", json={"cursor": cursor})


def test_consumer_continues_where_it_acknowledged(people):
    alice, bob, _ = people
    assert page(bob, consumer="backup-bot")["events"] == []
    alice.make_message(bob, "one")
    alice.make_message(bob, "two")
    for _ in range(2):                  # until it is acknowledged it comes again
        first = page(bob, consumer="backup-bot", type="message", limit=1)
        assert told(first["events"]) == ["one"]
    answer = ack(bob, "backup-bot", first["cursor"])
    assert answer.status_code == 200 and answer.json()["consumer"]["cursor"] == first["cursor"]
    second = ask(bob, consumer="backup-bot", type="message", wait=5).json()
    assert told(second["events"]) == ["two"]
    ack(bob, "backup-bot", second["cursor"])
    assert page(bob, consumer="backup-bot", type="message")["events"] == []
    assert told(page(alice, consumer="backup-bot", type="message")["events"]) == [], "everybody's names are their own"


def test_consumer_begins_when_it_is_first_heard_of_on_any_way(people):
    alice, bob, _ = people
    assert page(bob, consumer="one")["events"] == []
    assert ask(bob, consumer="two", wait=1).json()["events"] == []
    with Stream(bob, consumer="three").opened():
        pass
    alice.make_message(bob, "hello")
    for name in ("one", "two", "three"):
        assert told(page(bob, consumer=name, type="message")["events"]) == ["hello"]


def test_consumers_are_listed_and_deleted(alice):
    for name in ("b", "a"):
        page(alice, consumer=name)
    shown = alice.call("GET", "/api/v1/consumers").json()["consumers"]
    assert [c["name"] for c in shown] == ["a", "b"] and shown[0]["acknowledged_at"] is None
    assert alice.call("DELETE", "/api/v1/consumers/a").status_code == 204
    assert_problem(alice.call("DELETE", "/api/v1/consumers/a"), 404, "consumer_not_found")
    assert [c["name"] for c in alice.call("GET", "/api/v1/consumers").json()["consumers"]] == ["b"]


def test_bad_acknowledgements_are_refused(alice):
    assert_problem(ack(alice, "x", "nonsense"), 400, "invalid_cursor")
    assert_problem(ack(alice, "x", "e999999999999999"), 400, "invalid_cursor")
    assert_problem(ack(alice, "x" * 65, now(alice)), 400, "invalid_field")
    assert_problem(alice.call("POST", "/api/v1/consumers/x/ack", json={}), 400, "missing_field")


def test_a_user_has_a_hundred_consumers_at_most(alice):
    cursor = now(alice)
    for n in range(100):
        assert ack(alice, f"c{n}", cursor).status_code == 200
    assert_problem(ack(alice, "one-more", cursor), 409, "too_many_consumers")
    assert_problem(ask(alice, consumer="one-more", wait=1), 409, "too_many_consumers")
    assert ack(alice, "c7", cursor).status_code == 200, "those there are go on"


# ---------------------------------------------------------------------- lines of text

def test_events_as_lines(people):
    alice, bob, _ = people
    alice.make_message(bob, "zero")
    cursor = now(bob)
    text = "tab\there\nand \\ and \x1b[31m and \u0085 and ümläut"
    message = alice.make_message(bob, text)
    alice.unsend(alice.make_message(bob, "gone"))
    answer = ask(bob, accept="text/plain", after=cursor)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    answer.encoding = "utf-8"
    lines = [line.split("\t") for line in answer.text.rstrip("\n").split("\n")]
    assert [len(line) for line in lines] == [8, 8]
    room = bob.list()[0]["id"]
    assert lines[0][1:] == ["message", message["created_at"], room, message["id"], alice.name,
                            r"tab\there\nand \\ and \x1b[31m and \xc2\x85 and ümläut", "-"]
    assert lines[1][1] == "message_deleted" and lines[1][6:] == ["-", "-"]
    assert lines[1][0] == answer.headers["X-Next-Cursor"]
    assert told(page(bob, after=lines[0][0])["events"]) == ["message_deleted"]
    assert ask(bob, accept="text/plain", after=lines[1][0], wait=1).text == ""


def test_histories_as_lines(people):
    alice, bob, _ = people
    sent = [alice.make_message(bob, text) for text in ("one", "two\nlines")]
    room = alice.list()[0]
    plain = {"Accept": "text/plain"}
    for path in (f"/api/v1/conversations/{room['id']}/messages", f"/api/v1/messages/dm/{alice.id}"):
        answer = bob.call("GET", path, headers=plain)
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text == "".join(f"{m['created_at']}\t{room['id']}\t{m['id']}\t{alice.name}\t{text}\t-\n"
                                      for m, text in zip(sent[::-1], (r"two\nlines", "one")))
    page_one = bob.call("GET", f"/api/v1/conversations/{room['id']}/messages", headers=plain, params={"limit": 1})
    rest = bob.call("GET", f"/api/v1/conversations/{room['id']}/messages", headers=plain,
                    params={"cursor": page_one.headers["X-Next-Cursor"]})
    assert rest.text.split("\t")[4] == "one" and "X-Next-Cursor" not in rest.headers
    assert_problem(bob.call("GET", "/api/v1/conversations/7/messages", headers=plain), 404)
