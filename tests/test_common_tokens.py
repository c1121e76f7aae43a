"""Access tokens: their claims, their keys, and everything that only looks like one."""

import os
import stat
import time
import uuid
from pathlib import Path

import pytest

from parley import keys, tokens
from parley.api import account, fresh_name, fresh_password
from parley.check import assert_problem
from parley.sockets import dm_socket

#: A stack whose keys are changed here; bcrypt slow enough to be seen.
STACK = {"settings": {"BCRYPT_COST": "9"}}


@pytest.fixture
def stack(module_stack):
    return module_stack


@pytest.fixture
def secret(alice, stack):
    """The key the server signs with."""
    return keys.read(stack)[tokens.parts(alice.token)[0]["kid"]]


def status(user, token):
    return user.me(token=token).status_code


def assert_refused(user, token):
    """By REST and by socket."""
    assert_problem(user.me(token=token), 401, "unauthorized")
    dm_socket(user_with(user, token)).expect_close(4001)


def user_with(user, token):
    other = type(user)(user.stack, token)
    other.user = user.user
    return other


# ---------------------------------------------------------------------- what a token says

def test_claims_are_the_documented_ones(alice, stack):
    header, claims = tokens.parts(alice.token)
    number = stack.query("SELECT id FROM users WHERE username = %s", alice.name)[0][0]
    assert {"iss", "sub", "user_id", "username", "sid", "dialect", "iat", "exp", "jti"} <= set(claims)
    assert header["alg"] == "HS256" and header["kid"]
    assert claims["sub"] == alice.id and claims["user_id"] == number
    assert claims["username"] == alice.name and claims["dialect"] == "conv"
    assert claims["exp"] - claims["iat"] == 3600 and abs(claims["iat"] - time.time()) < 30


def test_every_token_is_its_own(alice):
    all_claims = [tokens.parts(alice.another_device().token)[1] for _ in range(3)]
    assert len({c["jti"] for c in all_claims}) == 3
    assert len({c["sid"] for c in all_claims}) == 3


def test_refreshing_stays_in_the_session(alice):
    fresh = alice.refresh().json()["access_token"]
    assert tokens.parts(fresh)[1]["sid"] == tokens.parts(alice.token)[1]["sid"]


# ---------------------------------------------------------------------- forgeries

def test_a_token_signed_by_hand_with_the_right_key_passes(alice, secret):
    """The control: what the following tests change is all that is wrong with their tokens."""
    assert status(alice, tokens.resign(alice.token, secret)) == 200
    assert status(alice, tokens.resign(alice.token, secret, jti=str(uuid.uuid4()))) == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "HS384", "HS512", "RS256", "", None])
def test_algorithm_is_pinned(alice, secret, alg):
    assert_refused(alice, tokens.resign(alice.token, secret, {"alg": alg}))


def test_unsigned_token_is_refused_whatever_it_claims(alice):
    head, body, _ = alice.token.split(".")
    assert_refused(alice, f"{head}.{body}.")
    assert_refused(alice, f"{head}.{body}")


def test_wrong_key_is_refused(alice, secret):
    for wrong in (b"", b"secret", secret[:-1], secret + b"x", bytes(len(secret))):
        assert_refused(alice, tokens.resign(alice.token, wrong))


def test_unknown_kid_is_refused(alice, secret):
    for kid in ("unknown", "", "../../etc/passwd", "' OR 1=1 --", "é", "x" * 300):
        assert_refused(alice, tokens.resign(alice.token, secret, {"kid": kid}))


def test_expired_token_is_refused(alice, secret):
    now = int(time.time())
    assert_refused(alice, tokens.resign(alice.token, secret, iat=now - 3700, exp=now - 100))


@pytest.mark.parametrize("claim", ["exp", "sub", "user_id", "sid", "iss"])
def test_token_without_a_claim_is_refused(alice, secret, claim):
    assert_refused(alice, tokens.resign(alice.token, secret, **{claim: None}))


@pytest.mark.parametrize("change", [{"iss": "somebody-else"}, {"exp": "tomorrow"}, {"exp": -1}, {"exp": [9999999999]},
                                    {"user_id": "x"}, {"user_id": -1}, {"sid": {}}, {"sid": "nobody"}], ids=repr)
def test_token_with_an_odd_claim_is_refused(alice, secret, change):
    assert_refused(alice, tokens.resign(alice.token, secret, **change))


def test_session_of_somebody_else_is_refused(alice, bob, secret):
    forged = tokens.resign(alice.token, secret, sid=tokens.parts(bob.token)[1]["sid"])
    assert_problem(alice.me(token=forged), 401, "unauthorized")


def test_tampering_anywhere_is_noticed(alice):
    head, body, signature = alice.token.split(".")
    for part in range(3):
        for at in (0, 5, 10):
            parts = [head, body, signature]
            swapped = "A" if parts[part][at] != "A" else "B"
            parts[part] = parts[part][:at] + swapped + parts[part][at + 1:]
            assert status(alice, ".".join(parts)) == 401


@pytest.mark.parametrize("make", [lambda t: t[:-1], lambda t: t + "A", lambda t: t + ".x", lambda t: "." + t, lambda t: t + " x",
                                  lambda t: t.replace(".", ".."), lambda t: t.split(".")[0], lambda t: t.upper()],
                         ids=["cut", "longer", "four parts", "empty first", "two words", "empty parts", "header only", "upper"])
def test_mangled_token_is_refused(alice, make):
    assert_refused(alice, make(alice.token))


# ---------------------------------------------------------------------- keys

def test_key_file_is_made_at_first_start_and_closed_to_others(stack):
    info = os.stat(stack.key_file())
    assert stat.S_IMODE(info.st_mode) == 0o600
    assert all(len(key) >= 32 for key in keys.read(stack).values())


def test_key_is_never_printed(stack, alice):
    text = stack.log_text()
    for line in stack.key_file().read_text().split():
        assert len(line) < 16 or line not in text
    for key in keys.read(stack).values():
        assert key.hex() not in text and tokens.b64(key) not in text


def test_rotation_signs_with_the_new_key_and_accepts_the_old(stack, new_user, bob):
    before = new_user()
    old_kid = tokens.parts(before.token)[0]["kid"]
    kid = keys.rotate(stack)
    after = new_user()
    assert tokens.parts(after.token)[0]["kid"] == kid != old_kid
    for user in (before, after):
        assert user.me().status_code == 200
        with dm_socket(user) as sock:
            assert sock.exchange(bob, "either key")["content"] == "either key"
    assert tokens.parts(before.refresh().json()["access_token"])[0]["kid"] == kid


def test_retired_key_is_refused(stack, new_user):
    before = new_user()
    keys.rotate(stack)
    keys.retire(stack, tokens.parts(before.token)[0]["kid"])
    assert_refused(before, before.token)
    assert account(stack).me().status_code == 200


# ---------------------------------------------------------------------- time tells nothing

def test_unknown_user_and_wrong_password_take_the_same_time(stack, alice):
    def worked():
        """Nanoseconds the pool had a processor: unlike a clock's, a busy machine adds nothing to them."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in stack.workers("fcgi-auth"))

    def work(name):
        before = worked()
        for _ in range(5):
            assert alice.login(username=name, password=fresh_password()).status_code == 401
        return worked() - before
    wrong, unknown = work(alice.name), work(fresh_name())
    assert 0.7 < unknown / wrong < 1.4, f"wrong password {wrong} ns, unknown user {unknown} ns"
