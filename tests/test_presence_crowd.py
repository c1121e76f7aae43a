"""Who is online, where thousands are and one group has them all: each socket is told of everybody, in portions, and what
that costs is not paid by others."""

import pytest

from parley.check import number_of
from parley.conv import EVENTS, conv_account, conv_socket
from parley.presence import presence
from parley.wait import seconds

ACCOUNT = conv_account
SOCKET = conv_socket
#: An outbox with room for some hundred frames.
STACK = {"settings": {"OUTBOX_MAX": "131072", "MESSAGE_MAX": "1000"}}
CROWD, GROUPS = 3000, 2000


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


@pytest.fixture(scope="module")
def crowd(stack):
    """A group's id: thousands are in it, all online on some other daemon; and many groups of one person's own."""
    stack.query("INSERT INTO users (username, email, display_name, password_hash) SELECT 'crowd' || n,"
                " 'crowd' || n || '@example.org', 'crowd', '!' FROM generate_series(1, %s) n", CROWD)
    members = [row[0] for row in stack.query("SELECT id FROM users WHERE username LIKE 'crowd%%'")]
    owner = members[0]
    made = stack.query("INSERT INTO conversations (kind, name, owner_id) SELECT 'group', 'g', %s"
                       " FROM generate_series(1, %s) RETURNING id", owner, GROUPS + 1)
    stack.query("INSERT INTO participants (conversation_id, user_id) SELECT %s, unnest(%s::bigint[])", made[0][0], members)
    stack.query("INSERT INTO participants (conversation_id, user_id) SELECT unnest(%s::bigint[]), %s",
                [row[0] for row in made[1:]], owner)
    daemon = stack.query("INSERT INTO daemons (seen_at) VALUES (now() + interval '1 hour') RETURNING id")[0][0]
    stack.query("SELECT presence_up(%s, %s::bigint[])", daemon, members)
    stack.query("ANALYZE")
    return made[0][0]


def test_a_socket_is_told_of_thousands(stack, crowd, alice, connect):
    stack.query("INSERT INTO participants (conversation_id, user_id) VALUES (%s, %s)", crowd, number_of(alice.id))
    first, second = connect(alice, aside=EVENTS), connect(alice, aside=EVENTS)
    for sock in (first, second):
        frames = sock.collect(CROWD)
        assert {f["data"]["status"] for f in frames} == {"online"}
        assert len({f["data"]["user_id"] for f in frames}) == CROWD
        sock.expect_nothing(0.5)


def test_others_do_not_wait_for_it(crowd, alice, bob, group, connect):
    """The planner knows of the crowd; who has few people is told of them at once all the same."""
    with conv_socket(bob):
        def greeted():
            assert connect(alice, aside=EVENTS).recv_json() == presence(bob, "online")
        assert min(seconds(greeted) for _ in range(5)) < 1
