"""What a message costs must not grow with what is stored, and who has much is not to cost the others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from parley import procs
from parley.conv import conv_account, conv_socket, id_of
from parley.metrics import value
from parley.p2p import p2p_account, p2p_socket
from parley.wait import eventually

STACK = {}
STORED, SENT = 10_000, 40
IDLE_ROWS = 100                         # within the 1.5 s between two looks
PAGES_MOST = 4                          # of replays, under way at a time
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


# ---------------------------------------------------------------------- one user who asks for much

@pytest.fixture(scope="module")
def glutton(stack):
    """One in thousands of groups, and their first message; a page of a replay costs the database much."""
    user = p2p_account(stack)
    stack.query("""DO $$ DECLARE room bigint; BEGIN FOR n IN 1..2500 LOOP
        INSERT INTO conversations (kind, name, owner_id) VALUES ('group', 'g', %(me)s) RETURNING id INTO room;
        INSERT INTO participants (conversation_id, user_id, role) VALUES (room, %(me)s, 'owner');
        PERFORM message_send((SELECT min(id) FROM sessions WHERE user_id = %(me)s), %(me)s, room, NULL, NULL, NULL,
                             'text', 'm' || n, NULL, NULL); END LOOP; END $$""" % {"me": user.id})
    return user, stack.query("SELECT min(id) FROM messages WHERE sender_id = %s", user.id)[0][0]


@pytest.fixture(scope="module")
def journal(stack):
    """What PostgreSQL logs: each statement when it comes to it."""
    stack.query("ALTER SYSTEM SET log_statement = 'all'")
    stack.query("SELECT pg_reload_conf()")
    return (stack.var / "log/postgres.log").read_text


def pages_before_others(stack, journal):
    """How many pages PostgreSQL has yet to begin when somebody else asks something on the same connection, ten times."""
    alice, bob = conv_account(stack), conv_account(stack)
    group, found, frames = alice.group(bob), [], "parley_frames_received_total"
    backends = [pid for pid, in stack.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'parley-ws'")]
    with conv_socket(alice) as typist, conv_socket(bob) as watcher, closing(stack.db()) as db, db.cursor() as marker:
        for n in range(10):
            with procs.standing_still(backends):
                marker.execute(f"SELECT 'mark {n}'")
                heard = value(stack, "ws-daemon", frames)
                typist.tell("typing", conversation_id=id_of(group))
                eventually(lambda: value(stack, "ws-daemon", frames) > heard)
            typist.tell("typing_stop", conversation_id=id_of(group))
            watcher.until("typing_stop", timeout=30)

            def since_then():
                begun = journal().partition(f"SELECT 'mark {n}'")[2]
                return begun if "execute typing: " in begun else None
            found.append(eventually(since_then).partition("execute typing: ")[0].count("execute replay: "))
    return found


def test_many_replays_of_one_user_hold_nobody_up(stack, glutton, journal):
    """Their sockets take turns, and the turn is passed to the last of them, also by those that close."""
    user, first = glutton
    with ExitStack() as opened:
        replays = [opened.enter_context(p2p_socket(user, since=first)) for _ in range(20)]
        eventually(lambda: value(stack, "ws-daemon", "parley_sockets", dialect="p2p") == 20, 30)
        pages = pages_before_others(stack, journal)
        assert max(pages) <= 1, pages
        for sock in replays:
            if sock in replays[5:-1]:
                sock.abort()
            else:
                assert [f["content"] for f in sock.collect(2499, timeout=60)] == [f"m{n}" for n in range(2, 2501)]


def test_who_asks_and_leaves_holds_nobody_up(stack, glutton, journal):
    """The page is on its way when the socket is gone: there are never many of those."""
    user, first = glutton
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            p2p_socket(user, since=first).abort()
    with ThreadPoolExecutor(8) as pool:
        comers = [pool.submit(come_and_go) for _ in range(8)]
        try:                            # when nobody counts them, they come twenty times as fast as they are answered
            pages = pages_before_others(stack, journal)
        finally:
            over.set()
        for comer in comers:
            comer.result()
    assert max(pages) <= PAGES_MOST, pages
    with p2p_socket(user, since=first) as sock:
        assert sock.recv_json()["content"] == "m2"
