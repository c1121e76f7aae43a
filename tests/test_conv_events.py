"""conv (001), `/api/v1/ws` over two daemons: typing, presence, and what happens to conversations and messages."""

import time

import pytest

from parley.conv import EVENTS, conv_account, conv_socket
from parley.presence import on_daemons, presence, watch

ACCOUNT = conv_account
SOCKET = conv_socket
STACK = {"daemons": 2}
NOBODY = "0193e000-0000-7000-bfff-ffffffffffff"


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


def assert_error(frame, code=None):
    assert frame["type"] == "error" and frame["error"] == frame["data"]["error"], frame
    assert code in (None, frame["data"]["code"]), frame


# ---------------------------------------------------------------------- typing

def typing(who, c):
    return {"user_id": who.id, "conversation_id": c["id"]}


def test_typing_is_shown_to_the_others_on_any_daemon(alice, bob, carol, group, connect):
    alice.add(group, carol)
    typist, own = connect(alice, daemon=1), connect(alice, daemon=2)
    others = [connect(bob, daemon=1), connect(bob, daemon=2), connect(carol)]
    for word in ("typing", "typing_stop"):
        typist.tell(word, conversation_id=group["id"])
        for sock in others:
            assert sock.expect(word) == typing(alice, group)
    own.expect_nothing(0.1)
    assert typist.sync() == []


def test_typing_stops_by_itself_after_three_seconds_without_a_fresh_one(alice, bob, connect):
    direct = alice.direct(bob)
    typist, watcher = connect(alice), connect(bob)
    typist.tell("typing", conversation_id=direct["id"])
    assert watcher.expect("typing") == typing(alice, direct)
    watcher.expect_nothing(1.5)
    fresh = time.monotonic()
    typist.tell("typing", conversation_id=direct["id"])
    assert watcher.expect("typing") == typing(alice, direct)
    assert watcher.expect("typing_stop") == typing(alice, direct)
    assert 2.7 < time.monotonic() - fresh < 12, "nor when the socket is found silent"
    watcher.expect_nothing(0.2)


def test_typing_with_every_key_is_told_once_a_second_and_puts_off_the_stop(alice, bob, group, connect):
    typist, watcher = connect(alice), connect(bob)
    frames, began = [], time.monotonic()
    while time.monotonic() < began + 2.5:
        last = time.monotonic()
        typist.tell("typing", conversation_id=group["id"])
        typist.sync()
    over = time.monotonic()
    while not frames or frames[-1]["type"] != "typing_stop":
        frames.append(watcher.recv_json())
    assert 2.7 < time.monotonic() - last < 12
    assert {f["type"] for f in frames[:-1]} == {"typing"}
    assert 2 <= len(frames[:-1]) <= 1 + int(over - began), "at once, and again while it goes on"
    assert all(f["data"] == typing(alice, group) for f in frames)


def test_typing_again_after_a_stop_is_news(alice, bob, group, connect):
    typist, watcher = connect(alice), connect(bob)
    words = ["typing", "typing_stop"] * 3
    for pause in (lambda: None, typist.sync) * 10:      # with and without a chance for the answers to come between
        for word in words:
            typist.tell(word, conversation_id=group["id"])
            pause()
        assert [watcher.recv_json()["type"] for _ in words] == words
    watcher.expect_nothing(0.2)


def test_typing_stops_on_disconnect(alice, bob, group, connect):
    typist, watcher = connect(alice), connect(bob)
    typist.tell("typing", conversation_id=group["id"])
    watcher.expect("typing")
    typist.abort()
    assert watcher.expect("typing_stop", timeout=2) == typing(alice, group)


def test_typing_where_one_is_no_participant_gets_an_error(bob, carol, group, connect):
    sock, watcher = connect(carol), connect(bob)
    for word in ("typing", "typing_stop"):
        for c, code in ((group["id"], "forbidden"), (NOBODY, "conversation_not_found")):
            sock.tell(word, conversation_id=c)
            frame = sock.recv_json()
            assert_error(frame)
            assert frame["data"]["code"] == code
    watcher.expect_nothing(0.2)


# ---------------------------------------------------------------------- presence

def test_first_socket_up_and_last_one_down_are_told_across_daemons(stack, alice, bob, group, connect):
    watchers = [watch(connect, bob, daemon=n) for n in (1, 2)]
    first, second = connect(alice, daemon=1), connect(alice, daemon=2)
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "online")
    on_daemons(stack, alice, 2)
    first.close()
    for sock in watchers:
        sock.expect_nothing(2.5)        # the second one is still up
    second.abort()
    for sock in watchers:
        assert sock.recv_json() == presence(alice, "offline")
        sock.expect_nothing(0.2)


def test_reconnect_within_the_debounce_is_no_news(alice, bob, group, connect):
    watcher = watch(connect, bob)
    one = connect(alice)
    assert watcher.recv_json() == presence(alice, "online")
    one.close()
    connect(alice)
    watcher.expect_nothing(2.6)


def test_new_socket_is_told_who_of_its_people_is_online(alice, bob, carol, new_user, connect):
    dave, offline = new_user(), new_user()
    alice.direct(bob), alice.group(carol, offline), alice.befriend(dave)
    watch(connect, alice)
    for who in (bob, carol, dave):
        watch(connect, who, alice)
    watch(connect, new_user())          # shares nothing with her
    connect(alice, aside=EVENTS).exactly(*(presence(who, "online") for who in (bob, carol, dave)))


def test_presence_goes_to_people_who_share_something_only(alice, bob, carol, group, connect):
    stranger, friend = watch(connect, carol), watch(connect, bob)
    connect(alice)
    assert friend.recv_json() == presence(alice, "online")
    stranger.expect_nothing(0.5)


# ---------------------------------------------------------------------- what happens to conversations and messages

def about(c, who, actor):
    return {"conversation_id": c["id"], "user_id": who.id, "actor_id": actor.id}


def listen(connect, user, **options):
    """A socket that hears of everything but presence, and has heard of all that was before: what happens last is
    told last."""
    sock = connect(user, aside={"presence"}, **options)
    last = user.group(name="one's own")
    while sock.until("conversation_created")["conversation_id"] != last["id"]:
        pass
    return sock


def test_new_conversation_is_told_to_each_of_its_people(alice, bob, carol, connect):
    people = {who: listen(connect, who) for who in (alice, bob, carol)}
    c = alice.group(bob, carol)
    for who, sock in people.items():
        assert sock.expect("conversation_created") == about(c, who, alice)
    direct = bob.direct(carol)
    for who in (bob, carol):
        assert people[who].expect("conversation_created") == about(direct, who, bob)
    alice.say(c, "hello")
    for sock in people.values():
        assert sock.expect("message")["body"] == "hello"


def test_renaming_adding_and_removing_are_told_to_the_members(alice, bob, carol, group, connect):
    hers, his, new = listen(connect, alice, daemon=1), listen(connect, bob, daemon=2), listen(connect, carol)
    alice.rename(group, "Bouldering")
    for sock in (hers, his):
        assert sock.expect("conversation_renamed") == {**about(group, alice, alice), "name": "Bouldering"}
    alice.add(group, carol)
    for sock in (hers, his, new):
        assert sock.expect("member_added") == about(group, carol, alice)
    m = bob.say(group, "welcome")
    for sock in (hers, his, new):
        assert sock.expect("message") == m
    carol.leave(group)
    for sock in (hers, his, new):
        assert sock.expect("member_removed") == about(group, carol, carol)


@pytest.mark.parametrize("how", ["removed", "left"])
def test_removal_takes_effect_on_live_sockets_at_once(alice, bob, group, connect, how):
    sockets = [connect(bob, daemon=1), connect(bob, daemon=2)]
    mine = connect(alice)
    alice.say(group, "before")
    for sock in (mine, *sockets):
        sock.expect("message")
    alice.remove(group, bob) if how == "removed" else bob.leave(group)
    alice.say(group, "after")
    for sock in sockets:
        sock.say(group, "still here?")
        refused, told = sorted(sock.collect(2), key=lambda frame: frame["type"])    # in either order
        assert_error(refused, "forbidden")
        assert told == {"type": "member_removed", "data": about(group, bob, alice if how == "removed" else bob)}
        sock.expect_nothing(0.2)
    mine.expect("member_removed")
    assert mine.expect("message")["body"] == "after"
    assert alice.texts(group) == ["after", "before"]
    alice.add(group, bob)
    m = alice.say(group, "back again")
    for sock in sockets:
        assert sock.expect("message") == m


def test_owner_who_leaves_the_group_hands_it_over_and_all_are_told(alice, bob, carol, connect):
    group = alice.group(bob, carol)
    watchers = [listen(connect, who, daemon=n) for n, who in enumerate((bob, carol), 1)]
    resp = alice.call("DELETE", f"/api/groups/{group['id']}/members/{alice.id}")     # the surface that has this way
    assert resp.status_code == 200, resp.text
    for sock in watchers:
        assert sock.expect("owner_changed") == about(group, bob, alice)
        assert sock.expect("member_removed") == about(group, alice, alice)
    assert carol.conversation(group)["owner_id"] == bob.id
    assert bob.rename(group, "ours").status_code == 200


def test_deleting_a_group_is_told_to_its_members(alice, bob, group, connect):
    people = {who: listen(connect, who) for who in (alice, bob)}
    alice.delete(group)
    for who, sock in people.items():
        assert sock.expect("conversation_deleted") == about(group, who, alice)
        sock.say(group, "anyone?")
        assert_error(sock.recv_json(), "conversation_not_found")


def test_edits_and_deletions_of_messages_are_told(alice, bob, group, connect):
    m = alice.say(group, "tpyo")
    sockets = [listen(connect, alice), listen(connect, bob)]
    edited = alice.edit(m, "typo").json()["message"]
    for sock in sockets:
        assert sock.expect("message_edited") == edited
    alice.unsend(m)
    for sock in sockets:
        assert sock.expect("message_deleted") == {"id": m["id"], "conversation_id": group["id"]}


def test_invitations_and_contacts_are_told(alice, bob, connect):
    hers, his = listen(connect, alice), listen(connect, bob)
    invitation = alice.invite(bob).json()["invitation"]
    assert his.expect("invitation_received") == {"user_id": bob.id, "actor_id": alice.id}
    contact = bob.answer(invitation, "accept").json()["contact"]
    for sock, who, other in ((hers, alice, bob), (his, bob, alice)):
        told = {f["type"]: f["data"] for f in sock.collect(2)}
        assert set(told) == {"conversation_created", "contact_added"}
        assert told["contact_added"] == {"user_id": who.id, "actor_id": other.id}
        assert told["conversation_created"]["conversation_id"] == contact["conversation_id"]
    alice.ask("DELETE", f"/contacts/{contact['id']}")
    assert hers.expect("contact_removed")["user_id"] == alice.id
    assert his.expect("contact_removed")["user_id"] == bob.id


# ---------------------------------------------------------------------- last, as it takes a daemon away

def test_killed_daemons_users_are_offline_within_30_seconds(stack, alice, bob, group, connect):
    watcher = watch(connect, bob, daemon=2)
    connect(alice, daemon=1)
    assert watcher.recv_json() == presence(alice, "online")
    died = time.monotonic()
    old = stack.kill("ws-daemon")
    assert watcher.recv_json(timeout=31) == presence(alice, "offline")
    assert time.monotonic() - died < 30
    assert stack.runs_again("ws-daemon", old)
