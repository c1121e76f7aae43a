"""What grows for years is forgotten, in steps that end in time however much there is to forget."""

import pytest

from parley.check import assert_problem, number_of
from parley.conv import conv_account
from parley.wait import eventually

#: A step of the courier's.
STEP = 5000
STACK = {"settings": {"AUDIT_KEEP": "60"}}
REFRESH_DAYS = 30                       # REFRESH_TTL


@pytest.fixture(scope="module")
def stack(module_stack):
    return module_stack


def rotate(user):
    resp = user.refresh()
    assert resp.status_code == 200, resp.text
    user.refresh_token = resp.json()["refresh_token"]


def spent(stack, user):
    return stack.query("SELECT count(*) FROM spent_refresh_tokens t JOIN sessions s ON s.id = t.session_id "
                       "JOIN users u ON u.id = s.user_id WHERE u.username = %s", user.name)[0][0]


def test_a_session_that_is_refreshed_for_years_keeps_a_months_spent_tokens(stack, alice):
    for _ in range(6):
        rotate(alice)
    assert spent(stack, alice) == 5, "one is spent when its successor is used"
    stack.query("UPDATE spent_refresh_tokens SET spent_at = now() - %s * interval '1 day'", REFRESH_DAYS + 1)
    rotate(alice)
    assert spent(stack, alice) == 1
    rotate(alice)
    assert spent(stack, alice) == 2, "those that are younger stay"


def test_a_spent_token_that_is_not_forgotten_is_still_theft(stack, alice):
    first = alice.refresh_token
    for _ in range(3):
        rotate(alice)
    stack.query("UPDATE spent_refresh_tokens SET spent_at = now() - %s * interval '1 day'", REFRESH_DAYS - 1)
    rotate(alice)
    assert_problem(alice.refresh(token=first), 401, "unauthorized")
    assert_problem(alice.refresh(), 401, "unauthorized")


def count(stack, table, where):
    return stack.query(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]


def test_the_courier_forgets_old_mail_links_and_audit_lines_step_by_step(stack, alice):
    many = 2 * STEP + 10
    stack.query("INSERT INTO mail_outbox (kind, recipient, state, finished_at) SELECT 'verify', n || '@example.org', 'sent', "
                "now() - interval '8 days' FROM generate_series(1, %s) n", many)
    stack.query("INSERT INTO mail_outbox (kind, recipient, state, finished_at) VALUES ('verify', 'young@example.org', 'sent', "
                "now() - interval '6 days'), ('verify', 'nobody@example.org', 'pending', NULL)")
    stack.query("INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at) SELECT sha256(n::text::bytea), %s, 'verify', "
                "'x', now() - interval '1 hour' FROM generate_series(1, 100) n", number_of(alice.id))
    stack.query("INSERT INTO audit_log (at, kind) SELECT now() - interval '61 days', 'login' FROM generate_series(1, %s)", many)
    young = count(stack, "audit_log", "at > now() - interval '60 days'")
    old = stack.kill("courier")         # it looks when it starts, and every hour
    stack.seconds_to_respawn("courier", old)
    eventually(lambda: not count(stack, "mail_outbox", "finished_at < now() - interval '7 days'"), 40, "old mail is gone")
    eventually(lambda: not count(stack, "audit_log", "at < now() - interval '60 days'"), 40, "old lines are gone")
    assert not count(stack, "mail_tokens", "expires_at < now()")
    assert count(stack, "mail_outbox", "recipient = 'young@example.org'") == 1
    steps = stack.query("SELECT detail FROM audit_log WHERE kind = 'audit_purged' ORDER BY id")
    assert [d for d, in steps] == [f"{n} lines older than 60 days" for n in (STEP, STEP, many - 2 * STEP)]
    assert count(stack, "audit_log", "at > now() - interval '60 days'") >= young + 3


def test_a_callback_that_is_owed_very_much_can_be_disabled_and_sent_later(stack):
    """A receiver that was down for days: all at once would take longer than a statement may."""
    owner = conv_account(stack)
    group = owner.group(name="busy")
    at = f"/conversations/{group['id']}/callbacks"
    # (An address that may not be reached, so nothing is posted meanwhile.)
    callback = owner.make("POST", at, {"url": "https://192.0.2.1/"})["callback"]
    number = number_of(callback["id"])
    stack.query("UPDATE callbacks SET busy_until = now() + interval '1 hour' WHERE id = %s", number)
    stack.query("INSERT INTO callback_deliveries (callback_id, change_id, kind) SELECT %s, -n, 'message' "
                "FROM generate_series(1, 12000) n", number)
    off = owner.make("PATCH", f"{at}/{callback['id']}", {"enabled": False})["callback"]
    assert off["pending"] + off["dead"] == 12000 and 0 < off["dead"] < 12000
    while stack.query("SELECT callbacks_purge(%s)", STEP)[0][0] == STEP:
        pass
    shown, = owner.make("GET", at)["callbacks"]
    assert (shown["pending"], shown["dead"]) == (0, 12000)
    owner.make("PATCH", f"{at}/{callback['id']}", {"enabled": True})
    stack.query("UPDATE callbacks SET busy_until = now() + interval '1 hour' WHERE id = %s", number)
    assert [owner.make("POST", f"{at}/{callback['id']}/redeliver")["redelivered"] for _ in range(3)] == [10000, 2000, 0]


def test_old_posts_are_forgotten_in_steps(stack):
    owner = conv_account(stack)
    group = owner.group(name="old")
    at = f"/conversations/{group['id']}/callbacks"
    number = number_of(owner.make("POST", at, {"url": "https://192.0.2.1/"})["callback"]["id"])
    for state, days in (("delivered", 2), ("delivered", 0), ("dead", 2), ("dead", 31)):
        stack.query("INSERT INTO callback_deliveries (callback_id, change_id, kind, state, finished_at) "
                    "SELECT %s, -n - %s * 1000 - 100000 * (%s = 'dead')::int, 'message', %s, now() - %s * interval '1 day' "
                    "FROM generate_series(1, 60) n", number, days, state, state, days)
    assert [stack.query("SELECT callbacks_purge(50)")[0][0] for _ in range(4)] == [50, 50, 20, 0]
    assert stack.query("SELECT state, count(*) FROM callback_deliveries WHERE callback_id = %s GROUP BY 1 ORDER BY 1",
                       number) == [("dead", 60), ("delivered", 60)]
