"""Failed logins wait ever longer, and nobody can lock anybody else out.

Every test comes from addresses of its own: 127.x.y.z is all this machine.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import Dm, account, fresh_name, fresh_password
from parley.check import assert_problem
from parley.sockets import dm_socket
from parley.wait import eventually

TRIES, TRIES_ADDRESS, DELAY = 3, 8, 8
STACK = {"settings": {"LOGIN_TRIES": TRIES, "LOGIN_TRIES_ADDRESS": TRIES_ADDRESS, "LOGIN_DELAY": DELAY}}
LOGINS = ["/api/v1/auth/login", "/v1/users/login", "/v1/auth/login", "/api/auth/login"]
_addresses = itertools.count(1)


def somewhere():
    """An address nobody was seen at."""
    n = next(_addresses)
    return f"127.77.{n // 250}.{n % 250 + 1}"


@pytest.fixture
def stack(module_stack):
    return module_stack


@pytest.fixture
def alice(stack):
    """Made from 127.0.0.1, which is where she is known."""
    return account(stack)


def login(who, password=None, source=None, path=LOGINS[0], name=None):
    """One login as who, or under a name, from an address; without a password a wrong one is tried."""
    body = {"username": name or who.name, "email": name or who.name, "password": password or fresh_password()}
    return Dm(who.stack, source=source).call("POST", path, json=body)


def wait_of(resp):
    assert_problem(resp, 429, "rate_limited")
    return int(resp.headers["Retry-After"])


def attack(who, networks=1, **more):
    """Strangers try wrong passwords until they have to wait."""
    for _ in range(networks):
        source = somewhere()
        while login(who, source=source, **more).status_code != 429:
            pass
    return source


# ---------------------------------------------------------------------- waiting

def test_each_wrong_password_makes_the_next_try_wait_longer(alice):
    source, waits = somewhere(), []
    for _ in range(TRIES):
        assert_problem(login(alice, source=source), 401, "invalid_credentials")
    for _ in range(3):
        waits.append(wait_of(login(alice, source=source)))
        resp = eventually(lambda: [r for r in [login(alice, source=source)] if r.status_code != 429], waits[-1] + 10,
                          "the wait is over", every=0.1)[0]
        assert_problem(resp, 401, "invalid_credentials")
    assert waits == [1, 2, 4]


def test_asking_meanwhile_makes_it_no_longer(alice):
    source, waits = attack(alice), []
    while (resp := login(alice, source=source)).status_code == 429:
        waits.append(wait_of(resp))
    assert_problem(resp, 401, "invalid_credentials")
    assert set(waits) <= {1}, waits


def test_the_wait_is_bounded(stack):
    delays = stack.query("SELECT extract(epoch FROM throttle_delay(f, 5, 300))::integer FROM unnest(ARRAY[0, 4, 5, 6, 10, 13, 14, 1e6]) f")
    assert [d[0] for d in delays] == [0, 0, 1, 2, 32, 256, 300, 300]


@pytest.mark.parametrize("path", LOGINS)
def test_every_surface_throttles(alice, path):
    source = somewhere()
    answers = [login(alice, source=source, path=path) for _ in range(TRIES + 1)]
    assert [a.status_code for a in answers] == [401] * TRIES + [429]
    wait_of(answers[-1])


def test_surfaces_count_together(alice):
    source = somewhere()
    statuses = [login(alice, source=source, path=path).status_code for path in LOGINS]
    assert statuses == [401] * TRIES + [429]


def test_a_right_password_is_not_looked_at_while_waiting(alice):
    source = attack(alice)
    assert login(alice, alice.password, source).status_code == 429


def test_a_name_of_nobody_waits_the_same(alice):
    series = []
    for name in (alice.name, fresh_name()):
        source = somewhere()
        answers = [login(alice, source=source, name=name) for _ in range(TRIES + 2)]
        series.append([(a.status_code, a.headers.get("Retry-After")) for a in answers])
    assert series[0] == series[1]


def test_a_name_counts_in_either_case(alice):
    source = somewhere()
    names = [alice.name.upper(), alice.name.lower(), alice.name.title(), alice.name]
    assert [login(alice, source=source, name=n).status_code for n in names] == [401] * 3 + [429]


def test_many_at_once_gain_nothing(alice):
    source = somewhere()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: login(alice, source=source), range(24)))
    heard = [a for a in answers if a.status_code == 401]
    assert len(heard) in (TRIES, TRIES + 1) and len(heard) + sum(a.status_code == 429 for a in answers) == 24


def test_right_passwords_do_not_count(stack, alice):
    source = somewhere()
    for _ in range(TRIES_ADDRESS + 2):
        other = account(stack)
        assert login(other, other.password, source).status_code == 200
    assert login(alice, source=source).status_code == 401


def test_wrong_passwords_are_forgiven_in_time(stack, alice):
    source = attack(alice)
    back = f"- {TRIES + 3} * interval '{DELAY} seconds'"
    stack.query(f"UPDATE login_throttle SET counted_at = counted_at {back}, open_at = open_at {back}")
    assert [login(alice, source=source).status_code for _ in range(TRIES)] == [401] * TRIES


# ---------------------------------------------------------------------- nobody is locked out

def test_strangers_do_not_hold_up_a_login_from_a_known_place(alice):
    attack(alice, networks=3)
    for _ in range(TRIES + 1):
        assert login(alice, alice.password).status_code == 200


def test_strangers_do_not_touch_a_session(alice, stack):
    attack(alice, networks=2)
    assert alice.me().status_code == 200
    assert alice.refresh().status_code == 200
    with dm_socket(alice) as sock:
        sock.ping()


def test_from_a_new_place_the_owner_waits_once_whatever_others_do(alice):
    attack(alice, networks=2)
    here = somewhere()
    wait = wait_of(login(alice, alice.password, here))
    assert wait <= DELAY

    def ask():
        login(alice, source=somewhere())        # the attack goes on meanwhile
        resp = login(alice, alice.password, here)
        return resp if resp.status_code != 429 else None
    assert eventually(ask, wait + 10, "the ticket is good", every=0.2).status_code == 200
    assert login(alice, alice.password, here).status_code == 200, "known here from now on"


def test_wrong_passwords_from_a_known_place_delay_that_place_alone(alice):
    statuses = [login(alice).status_code for _ in range(TRIES + 1)]
    assert statuses == [401] * TRIES + [429]
    assert login(alice, alice.password, somewhere()).status_code == 200


def test_an_address_that_tries_many_names_has_to_wait(stack, alice):
    source, bob = somewhere(), account(stack)
    assert login(bob, bob.password, source).status_code == 200      # bob is known there
    for _ in range(TRIES_ADDRESS):
        assert login(alice, source=source, name=fresh_name()).status_code == 401
    wait_of(login(alice, source=source, name=fresh_name()))
    assert login(bob, bob.password, source).status_code == 200
    assert login(alice, source=somewhere(), name=fresh_name()).status_code == 401


def test_an_account_of_ones_own_does_not_clear_an_address(stack, alice):
    source, own = somewhere(), account(stack)
    stack.query("UPDATE sessions SET network = 'elsewhere' FROM users u WHERE u.id = user_id AND u.username = %s", own.name)
    while login(alice, source=source, name=fresh_name()).status_code != 429:
        pass
    resp = eventually(lambda: [r for r in [login(own, own.password, source)] if r.status_code != 429], DELAY, "it may try")[0]
    assert resp.status_code == 200
    assert wait_of(login(alice, source=source, name=fresh_name())) >= 1


def test_a_stolen_token_does_not_help_to_guess_the_password(alice):
    thief = Dm(alice.stack, alice.token, source=somewhere())
    body = lambda: {"current_password": fresh_password(), "password": fresh_password()}
    statuses = [thief.call("POST", "/api/v1/auth/password", json=body()).status_code for _ in range(TRIES + 1)]
    assert statuses == [403] * TRIES + [429]
    mine = alice.call("POST", "/api/v1/auth/password", json={"current_password": alice.password, "password": fresh_password()})
    assert mine.status_code == 200


# ---------------------------------------------------------------------- what is kept

def test_what_is_kept_tells_no_name(alice, stack):
    attack(alice)
    rows = stack.query("SELECT key, login_throttle::text FROM login_throttle")
    assert rows and all(len(key) == 32 for key, _ in rows)
    assert not [text for _, text in rows if alice.name in text or "127." in text]


def test_what_has_expired_is_swept_up(stack, alice):
    keys = "SELECT sha256(convert_to('old' || n, 'UTF8')) FROM generate_series(1, 25) n"
    stack.query(f"INSERT INTO login_throttle (key, forget_at) SELECT k, now() - interval '1 minute' FROM ({keys}) o(k)")
    old = f"SELECT count(*) FROM login_throttle WHERE key IN ({keys})"      # those of other tests may expire meanwhile
    assert stack.query(old)[0][0] == 25
    for _ in range(4):
        login(alice, alice.password)
    assert stack.query(old)[0][0] == 0


def test_the_throttle_is_bounded(stack, alice):
    old = stack.query("SELECT count(*) FROM login_throttle")[0][0]
    stack.query("SELECT setval('login_throttle_touched', (SELECT last_value FROM login_throttle_touched) + 100000)")
    for _ in range(old // 10 + 2):
        login(alice, alice.password)
    assert stack.query("SELECT count(*) FROM login_throttle WHERE touched <= "
                       "(SELECT last_value FROM login_throttle_touched) - 100000")[0][0] == 0


def test_sessions_nobody_can_use_any_more_are_swept_up(stack, alice):
    stack.query("INSERT INTO sessions (user_id, dialect, expires_at) SELECT id, 'conv', now() - interval '91 days' "
                "FROM users, generate_series(1, 5) WHERE username = %s", alice.name)
    assert login(alice, alice.password).status_code == 200
    assert stack.query("SELECT count(*) FROM sessions WHERE expires_at < now() - interval '90 days'") == [(0,)]
