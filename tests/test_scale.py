"""What a message costs must not grow with what is stored."""

import pytest

from parley.wait import eventually

STACK = {}
STORED, SENT = 10_000, 40
IDLE_ROWS = 100                         # within the 1.5 s between two looks
MOST_ROWS = 150                         # read per message, by the send, the feed and the receiver's view


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


def fill(stack, sender, recipient):
    """STORED more messages in their conversation, and statistics that know of them."""
    conversation = stack.query("SELECT id FROM conversations WHERE kind = 'direct'")[0][0]
    stack.query("INSERT INTO messages (conversation_id, seq, sender_id, type, content, created_at) "
                "SELECT %s, c.last_seq + n, p.user_id, 'text', 'filler', now() "
                "FROM generate_series(1, %s) n, conversations c, (SELECT user_id FROM participants "
                "WHERE conversation_id = %s LIMIT 1) p WHERE c.id = %s", conversation, STORED, conversation, conversation)
    stack.query("UPDATE conversations SET last_seq = last_seq + %s WHERE id = %s", STORED, conversation)
    stack.query("VACUUM ANALYZE")


def statistics(stack):
    """Messages stored and rows read, as far as the backends have told: each tells within 10 s."""
    return stack.query("SELECT sum(n_tup_ins) FILTER (WHERE relname = 'messages'), "
                       "sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables "
                       "WHERE schemaname = 'public'")[0]


def settled(stack, messages):
    """Rows read once all of these messages are in the statistics and nothing but the idle daemon adds to them."""
    last = [0]

    def resting():
        stored, read = statistics(stack)
        grown, last[0] = read - last[0], read
        return stored >= messages and grown < IDLE_ROWS and read
    return eventually(resting, 30, "PostgreSQL's statistics come to rest", every=1.5)


def test_a_delivered_message_reads_few_rows_however_many_are_stored(stack, alice, bob, connect):
    alice.make_message(bob, "the first")
    fill(stack, alice, bob)
    before = settled(stack, STORED + 1) # the daemon has taken in the filler
    receiver = connect(bob)
    for n in range(SENT):
        alice.make_message(bob, f"message {n}")
        assert receiver.recv_json()["content"] == f"message {n}"
    after = settled(stack, STORED + 1 + SENT)
    assert after - before < MOST_ROWS * SENT
