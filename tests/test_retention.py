"""Old messages are deleted by a rule for all or a conversation's own, and nobody stumbles over the gap."""

from contextlib import closing

import psycopg2
import pytest

from parley import ctl
from parley.check import assert_problem, number_of
from parley.conv import conv_account, conv_socket
from parley.everywhere import Person, hear
from parley.events import ask, now, page, since, told
from parley.wait import eventually

DAYS = 30
STACK = {"settings": {"MESSAGES_KEEP": str(DAYS)}}
EX_USAGE, EX_DATAERR = 64, 65


@pytest.fixture
def stack(module_stack):
    return module_stack


@pytest.fixture
def people(stack):
    """Three people and a group of theirs."""
    alice, bob, carol = (conv_account(stack) for _ in range(3))
    return alice, bob, carol, alice.group(bob, carol)


def talk(author, room, count, text="line"):
    return [author.say(room, f"{text} {n}") for n in range(count)]


def age(stack, messages, days=DAYS + 10):
    """Makes messages older, while the couriers rest; their public ids change with it: see renamed()."""
    stack.query("UPDATE retention_walk SET next_at = now() + interval '1 hour'")
    stack.query("UPDATE messages SET created_at = created_at - %s * interval '1 day' WHERE id = ANY (%s)",
                days, [number_of(m["id"]) for m in messages])


def renamed(user, room, text):
    """A message's id as it is now."""
    return next(m["id"] for m in user.whole_history(room) if m["body"] == text)


def purge(stack, most=500, default=DAYS):
    """A walk through all conversations, as the couriers make it; the counts of its steps. They do not
    interfere, as it holds the walk until its end."""
    counts = []
    with closing(stack.db(autocommit=False)) as conn, conn.cursor() as cur:
        cur.execute("UPDATE retention_walk SET after_id = 0, next_at = now()")
        while True:
            cur.execute("SELECT room, purged, wait_ms FROM messages_purge(%s, %s)", (default, most))
            room, purged, wait = cur.fetchone()
            assert wait > 0
            if room is not None:
                counts.append(purged)
            else:
                cur.execute("SELECT after_id FROM retention_walk")
                if cur.fetchone() == (0,):
                    conn.commit()
                    return counts
            cur.execute("UPDATE retention_walk SET next_at = now()")


def faults(stack):
    return stack.query("SELECT * FROM backup_faults")


def bodies(user, room):
    return [m["body"] for m in user.whole_history(room)]


def test_old_messages_go_and_the_others_stay(people, stack):
    alice, bob, carol, room = people
    talked = talk(alice, room, 10)
    bob.read(room, message_id=talked[7]["id"])
    age(stack, talked[:6])
    purge(stack)
    assert bodies(bob, room) == [f"line {n}" for n in range(6, 10)]
    assert bob.conversation(room)["unread_count"] == 2
    assert carol.conversation(room)["unread_count"] == 4
    assert carol.conversation(room)["last_message"]["body"] == "line 9"
    assert not faults(stack)


def test_pages_end_where_the_messages_do(people, stack):
    alice, bob, _, room = people
    talked = talk(alice, room, 9)
    first = bob.page(room, limit=2)
    age(stack, talked[:4])
    purge(stack)
    rest = bob.page(room, limit=100, cursor=first["next_cursor"])
    assert [m["body"] for m in rest["messages"]] == ["line 6", "line 5", "line 4"]
    assert rest["next_cursor"] is None


def test_a_conversation_without_messages_goes_on(people, stack):
    alice, bob, carol, room = people
    age(stack, talk(alice, room, 3))
    purge(stack)
    shown = bob.conversation(room)
    assert shown["last_message"] is None and shown["unread_count"] == 0
    assert [c["last_message"] for c in bob.list() if c["id"] == room["id"]] == [None]
    assert bodies(bob, room) == []
    with conv_socket(bob) as sock:
        new = carol.say(room, "anybody?")
        assert sock.expect("message")["id"] == new["id"]
    assert stack.query("SELECT seq FROM messages WHERE id = %s", number_of(new["id"])) == [(4,)]
    assert alice.conversation(room)["unread_count"] == 1
    assert bob.read(room).status_code == 200 and bob.conversation(room)["unread_count"] == 0
    assert not faults(stack)


def test_direct_lists_leave_out_what_is_empty(stack):
    one, other = Person(stack, "dm"), Person(stack, "p2p")
    try:
        room = one.conv.direct(other.conv)
        said = one.conv.say(room, "soon gone")
        age(stack, [said])
        purge(stack)
        assert one.conv.call("GET", "/api/v1/messages/conversations").json() == []
        assert other.conv.call("GET", "/v1/chats").json() == []
    finally:
        one.close()
        other.close()


def test_messages_that_are_gone_are_not_found(people, stack):
    alice, bob, _, room = people
    talk(alice, room, 2)
    old = alice.whole_history(room)
    age(stack, old[:1])
    gone = renamed(alice, room, "line 0")
    purge(stack)
    assert_problem(alice.edit(gone, "x"), 404, "message_not_found")
    assert_problem(alice.unsend(gone), 404, "message_not_found")
    assert_problem(alice.ask("GET", f"/messages/{gone}/deliveries"), 404, "message_not_found")
    assert_problem(bob.read(room, message_id=gone), 404, "message_not_found")


@pytest.mark.parametrize("surface", ["conv", "dm", "p2p", "groups", "rooms"])
def test_since_a_message_that_is_gone_brings_all_that_came_after(stack, surface):
    one, other = Person(stack, "rooms"), Person(stack, "dm")
    try:
        one.meet("rooms", other)
        talk_, back = one.talk_with(other), other.talk_with(one)
        old = [one.conv.say(talk_.uuid, f"old {n}") for n in range(3)]
        kept = one.say("conv", talk_, "kept")
        third = conv_account(stack)
        elsewhere = third.direct(other.conv)
        third.say(elsewhere, "elsewhere")
        last = one.say("conv", talk_, "last")
        age(stack, old)
        mark = renamed(one.conv, talk_.uuid, "old 1")
        purge(stack)
        sock = other.listen(surface, back, since=number_of(mark) if surface in ("p2p", "rooms") else mark)
        heard = [hear(sock) for _ in range(3)]
        assert [h.text for h in heard if h.text != "elsewhere"] == [kept.text, last.text]
        assert [h.text for h in heard].count("elsewhere") == 1
    finally:
        one.close()
        other.close()


def test_since_needs_to_have_been_a_message_of_ones_own_conversations(people, stack):
    alice, bob, _, room = people
    talked = talk(alice, room, 2)
    age(stack, talked)
    mark = renamed(alice, room, "line 0")
    purge(stack)
    with conv_socket(conv_account(stack), since=mark) as sock:
        assert sock.recv_json()["type"] == "error"


def test_positions_before_what_went_expire(people, stack):
    alice, bob, _, room = people
    talked = talk(alice, room, 1)
    cursor = now(bob)
    talked += talk(alice, room, 2)
    bob.ask("POST", "/consumers/daily/ack", json={"cursor": cursor})
    age(stack, talked)
    purge(stack)
    for query in ({}, {"wait": 5}):
        assert_problem(ask(bob, after=cursor, **query), 410, "cursor_expired")
    assert_problem(ask(bob, consumer="daily"), 410, "cursor_expired")
    fresh = now(bob)
    alice.say(room, "new")
    assert told(since(bob, fresh)[0]) == ["new"]


def test_a_rooms_own_rule_ends_nobodys_position(people, stack):
    alice, bob, carol, room = people
    other = alice.group(bob)
    ctl.ask(stack, "conversation", "retention", room["id"], 2)
    talked = talk(alice, room, 1)
    cursor = now(bob)
    talked += talk(alice, room, 2)
    alice.say(other, "elsewhere")
    age(stack, talked, 3)
    assert purge(stack) == [3]
    alice.say(room, "new")
    assert told(since(bob, cursor)[0]) == ["elsewhere", "new"]


def test_own_rules_are_shorter_or_longer_than_that_for_all(people, stack):
    alice, bob, carol, room = people
    short, forever = alice.group(bob, name="alerts"), alice.group(bob, name="archive")
    ctl.ask(stack, "conversation", "retention", short["id"], 5)
    ctl.ask(stack, "conversation", "retention", forever["id"], "forever")
    for where in (room, short, forever):
        age(stack, talk(alice, where, 2, "old"))
        age(stack, [alice.say(where, "a week")], 7)
        alice.say(where, "today")
    purge(stack)
    assert bodies(bob, room) == ["a week", "today"]
    assert bodies(bob, short) == ["today"]
    assert bodies(bob, forever) == ["old 0", "old 1", "a week", "today"]
    ctl.ask(stack, "conversation", "retention", forever["id"], "default")
    purge(stack)
    assert bodies(bob, forever) == ["a week", "today"]
    assert not faults(stack)


def test_nothing_goes_where_all_is_kept_for_ever(people, stack):
    alice, bob, _, room = people
    talked = talk(alice, room, 2)
    age(stack, talked, 4000)
    stack.query("UPDATE retention SET days = NULL")
    with closing(stack.db(autocommit=False)) as conn, conn.cursor() as cur:     # nothing of which the courier sees
        cur.execute("UPDATE retention_walk SET next_at = now()")
        cur.execute("SELECT room, purged FROM messages_purge(0, 500)")
        assert cur.fetchall() == [(None, 0)]
    assert len(bodies(bob, room)) == 2


def test_it_goes_in_small_steps_and_one_at_a_time(people, stack):
    alice, bob, _, room = people
    purge(stack)                        # of what other tests left
    age(stack, talk(alice, room, 25)[:23])
    with closing(stack.db(autocommit=False)) as conn, conn.cursor() as cur:
        cur.execute("UPDATE retention_walk SET after_id = 0, next_at = now()")
        cur.execute("SELECT purged FROM messages_purge(30, 10)")
        assert cur.fetchall() == [(10,)]
        # Another courier meanwhile: there is nothing for it to do, and it does not wait.
        assert stack.query("SELECT room, purged FROM messages_purge(30, 10)") == [(None, 0)]
    assert purge(stack, most=10) == [10, 10, 3]
    assert bodies(bob, room) == ["line 23", "line 24"]


def test_a_step_waits_for_who_changes_the_conversation(people, stack):
    alice, _, _, room = people
    purge(stack)
    age(stack, talk(alice, room, 2))
    with closing(stack.db(autocommit=False)) as conn, closing(stack.db(autocommit=False)) as step:
        with conn.cursor() as cur, step.cursor() as purger:
            cur.execute("SELECT FROM conversations WHERE id = %s FOR NO KEY UPDATE", (number_of(room["id"]),))
            purger.execute("UPDATE retention_walk SET after_id = 0, next_at = now()")
            purger.execute("SET lock_timeout = 200")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                purger.execute("SELECT purged FROM messages_purge(30, 10)")
    assert purge(stack) == [2]


def test_the_courier_does_it(people, stack):
    alice, bob, _, room = people
    talked = talk(alice, room, 3)
    age(stack, talked[:2], 4)
    done = ctl.ask(stack, "conversation", "retention", room["id"], 3)
    assert (done["days"], done["default_days"], done["deleted"]) == (3, DAYS, 0)
    eventually(lambda: bodies(bob, room) == ["line 2"], what="the courier has deleted what is old")
    stack.wait_for_log("event=messages_purged")
    done = ctl.ask(stack, "conversation", "retention", number_of(room["id"]))
    assert (done["days"], done["deleted"]) == (3, 2)
    assert done["oldest_message"] == bob.page(room)["messages"][0]["created_at"]


def test_counts_leave_out_what_went(people, stack):
    alice, _, _, room = people
    before = ctl.ask(stack, "stats")["messages"]
    age(stack, talk(alice, room, 5)[:3])
    purge(stack)
    assert ctl.ask(stack, "stats")["messages"] == before + 2
    assert ctl.ask(stack, "conversation", "show", room["id"])["messages"] == 2


@pytest.mark.parametrize("days", ["0", "-1", "36501", "x", "1.5", "", "99999999999999999999"])
def test_odd_rules_are_refused(people, stack, days):
    done = ctl.run(stack, "conversation", "retention", people[3]["id"], days)
    assert (done.returncode, done.stdout) == (EX_USAGE, "") and "days" in done.stderr


def test_unknown_conversations_have_no_rule(people, stack):
    for who in ("123456789", people[0].id):
        assert ctl.run(stack, "conversation", "retention", who, 5).returncode == EX_DATAERR


def test_a_position_is_good_after_a_walk(people, stack):
    """What was said after it, nobody has deleted."""
    alice, bob, _, room = people
    age(stack, talk(alice, room, 2))
    purge(stack)
    cursor = now(bob)
    alice.say(room, "one")
    purge(stack)
    assert told(page(bob, after=cursor)["events"]) == ["one"]
