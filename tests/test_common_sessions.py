"""Sessions: refresh with rotation that survives lost answers, theft, logout with immediate effect."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.check import assert_problem
from parley.sockets import assert_closed_at_once


def successor(user, token):
    """The refresh token that using token hands out."""
    resp = user.refresh(token)
    assert resp.status_code == 200, resp.text
    user.stack.secrets.add(resp.json()["refresh_token"])
    return resp.json()["refresh_token"]


# ---------------------------------------------------------------------- refresh

def test_refresh_returns_a_new_pair_that_works(alice):
    resp = alice.refresh()
    assert resp.status_code == 200
    body = resp.json()
    assert body["token_type"] == "bearer" and body["expires_in"] == 3600
    assert body["access_token"] != alice.token
    assert body["refresh_token"] != alice.refresh_token
    assert alice.me(token=body["access_token"]).json()["id"] == alice.id
    assert alice.refresh(body["refresh_token"]).status_code == 200


def test_a_lost_answer_can_be_asked_for_again_and_again(alice):
    first = alice.refresh_token
    offers = [successor(alice, first) for _ in range(4)]
    assert len(set(offers)) == 4
    assert alice.refresh(offers[-1]).status_code == 200


def test_each_repeat_voids_the_unused_successor_before_it(alice):
    first = alice.refresh_token
    void, _ = successor(alice, first), successor(alice, first)
    assert_problem(alice.refresh(void), 401, "unauthorized")


def test_old_token_after_its_successors_use_is_theft_and_ends_the_session(alice, connect):
    first = alice.refresh_token
    sock = connect(alice)
    second = successor(alice, first)
    third = successor(alice, second)
    assert_problem(alice.refresh(first), 401, "unauthorized")
    assert_problem(alice.refresh(third), 401, "unauthorized")
    assert_problem(alice.me(), 401, "unauthorized")
    sock.expect_close(4001)


def test_a_token_stolen_long_ago_is_still_recognised(alice):
    first = token = alice.refresh_token
    for _ in range(5):
        token = successor(alice, token)
    assert_problem(alice.refresh(first), 401, "unauthorized")
    assert_problem(alice.refresh(token), 401, "unauthorized")


def test_theft_ends_only_the_session_it_happened_in(alice):
    other = alice.another_device()
    first = alice.refresh_token
    successor(alice, successor(alice, first))
    alice.refresh(first)
    assert other.me().status_code == 200
    assert other.refresh().status_code == 200


def test_simultaneous_refreshes_leave_the_session_usable(alice):
    first = alice.refresh_token
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: alice.refresh(first), range(10)))
    assert [a.status_code for a in answers] == [200] * 10
    assert len({a.json()["refresh_token"] for a in answers}) == 10
    assert alice.refresh(successor(alice, first)).status_code == 200


def test_unknown_refresh_token_is_refused(alice):
    for wrong in ("", "nonsense", alice.token, alice.refresh_token[:-1], alice.refresh_token + "A", "é", "a\0b"):
        assert alice.refresh(wrong).status_code in (400, 401)
    assert_problem(alice.refresh("nonsense"), 401, "unauthorized")
    assert_problem(alice.refresh(alice.token), 401, "unauthorized")


@pytest.mark.parametrize("value", [7, True, [], {}], ids=repr)
def test_refresh_token_of_another_type_is_refused(alice, value):
    assert_problem(alice.refresh(value), 400, "invalid_field", names="refresh_token")


def test_refresh_without_a_token_is_refused(alice):
    resp = alice.call("POST", "/api/v1/auth/refresh", json={}, token=None)
    assert_problem(resp, 400, "missing_field", names="refresh_token")


def test_expired_refresh_token_is_refused(alice, stack):
    stack.query("UPDATE sessions SET expires_at = now() - interval '1 second' "
                "FROM users u WHERE u.id = user_id AND u.username = %s", alice.name)
    assert_problem(alice.refresh(), 401, "unauthorized")


def test_refresh_tokens_live_thirty_days(alice, stack):
    days = stack.query("SELECT extract(epoch FROM s.expires_at - now()) / 86400 FROM sessions s "
                       "JOIN users u ON u.id = s.user_id WHERE u.username = %s", alice.name)
    assert [round(float(d[0]), 2) for d in days] == [30]


def test_only_a_hash_of_a_refresh_token_is_stored(alice, stack):
    second = successor(alice, alice.refresh_token)
    rows = stack.query("SELECT s::text FROM sessions s UNION ALL SELECT t::text FROM spent_refresh_tokens t")
    stored = "\n".join(row[0] for row in rows)
    for secret in (alice.refresh_token, second):
        assert secret not in stored and secret.encode().hex() not in stored


# ---------------------------------------------------------------------- logout

def test_logout_answers_plainly(alice):
    assert alice.logout().status_code in (200, 204)


def test_logout_ends_the_refresh_token_at_once(alice):
    alice.logout()
    assert_problem(alice.refresh(), 401, "unauthorized")


def test_logout_ends_the_access_token_at_once(alice, bob):
    alice.logout()
    assert_problem(alice.me(), 401, "unauthorized")
    assert_problem(alice.send(bob, "too late"), 401, "unauthorized")
    assert_problem(alice.history(bob), 401, "unauthorized")
    assert_problem(alice.logout(), 401, "unauthorized")


def test_logout_ends_access_tokens_the_session_got_by_refreshing(alice):
    fresh = alice.refresh().json()["access_token"]
    alice.logout()
    assert_problem(alice.me(token=fresh), 401, "unauthorized")


def test_logout_closes_the_sessions_sockets_at_once(alice, bob, connect):
    sockets = [connect(alice) for _ in range(3)]
    alice.logout()
    assert_closed_at_once(sockets, alice, bob)


def test_socket_of_a_logged_out_session_is_refused(alice, connect):
    alice.logout()
    connect(alice).expect_close(4001)


def test_logout_leaves_other_sessions_alone(alice, bob, connect):
    other = alice.another_device()
    sock = connect(other)
    alice.logout()
    assert other.me().status_code == 200
    assert other.refresh().status_code == 200
    message = bob.make_message(alice, "still there?")
    assert sock.recv_json()["id"] == message["id"]


def test_logout_needs_a_token(alice):
    assert_problem(alice.call("POST", "/api/v1/auth/logout", token=None), 401, "unauthorized")


def test_login_after_logout_works(alice):
    alice.logout()
    assert alice.another_device().me().status_code == 200
