"""Accounts, as every surface shares them: registration, login, the profile; each field at its edges."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from parley.api import Dm, fresh_name, fresh_password
from parley.check import assert_id, assert_problem, number_of, parse_time

USER_MEMBERS = {"id", "username", "email", "display_name", "is_active", "email_verified",
                "created_at", "updated_at"}


@pytest.fixture
def api(stack):
    return Dm(stack)


# ---------------------------------------------------------------------- registration

def test_registration_answers_with_the_account_and_its_tokens(api):
    resp = api.register(username="Zoe_" + fresh_name(), email=f"{fresh_name()}@Example.org")
    assert resp.status_code == 201
    body = resp.json()
    assert set(body) == USER_MEMBERS | {"user", "tokens"}
    assert set(body["user"]) == USER_MEMBERS
    assert {k: body[k] for k in USER_MEMBERS} == body["user"]
    assert body["is_active"] is True and body["email_verified"] is False
    assert {"access_token", "refresh_token"} <= set(body["tokens"])
    api.token = body["tokens"]["access_token"]
    assert api.me().json()["id"] == body["id"]


def test_ids_are_uuidv7_made_of_creation_time_and_integer_id(api, stack):
    body = api.register().json()
    number = stack.query("SELECT id FROM users WHERE username = %s", body["username"])[0][0]
    assert_id(body["id"], body["created_at"], number)
    assert number_of(body["id"]) == number


def test_times_are_rfc3339_in_utc_with_microseconds(api):
    body = api.register().json()
    assert parse_time(body["created_at"]) <= parse_time(body["updated_at"])


def test_username_and_email_keep_the_case_they_were_given(api):
    name, email = "MiXed" + fresh_name(), f"MiXed{fresh_name()}@Example.org"
    body = api.register(username=name, email=email).json()
    assert (body["username"], body["email"]) == (name, email)


def test_display_name_defaults_to_the_username(api):
    body = api.register().json()
    assert body["display_name"] == body["username"]


@pytest.mark.parametrize("name", ["x", "é" * 100, "Zoë van der 😀 Berg"])
def test_display_name_of_1_to_100_characters_is_kept(api, name):
    resp = api.register(display_name=name)
    assert resp.status_code == 201, resp.text
    assert resp.json()["display_name"] == name


@pytest.mark.parametrize("name", ["", "é" * 101, 7, True, [], "a\0b"])
def test_bad_display_name_is_refused(api, name):
    assert_problem(api.register(display_name=name), 400, "invalid_field", names="display_name")


@pytest.mark.parametrize("length", [3, 50])
def test_username_of_3_and_50_characters_is_accepted(api, length):
    name = (fresh_name() * 5)[-length:]
    assert len(name) == length
    assert api.register(username=name).status_code == 201


@pytest.mark.parametrize("make", [
    lambda n: "ab", lambda n: (n * 5)[:51], lambda n: n + " x", lambda n: n + "@x", lambda n: n + "é",
    lambda n: n + "/x", lambda n: n + "\n", lambda n: " " + n, lambda n: n + "\0", lambda n: n + "😀",
    lambda n: n + "'", lambda n: "",
], ids=["2 characters", "51 characters", "space", "at", "accent", "slash", "newline", "leading space",
        "NUL", "emoji", "quote", "empty"])
def test_username_outside_its_alphabet_or_length_is_refused(api, make):
    assert_problem(api.register(username=make(fresh_name())), 400, "invalid_field", names="username")


def test_username_takes_every_permitted_character(api):
    name = "aZ09_.-" + fresh_name()
    assert api.register(username=name).json()["username"] == name


@pytest.mark.parametrize("field", ["username", "email", "password"])
@pytest.mark.parametrize("value", [7, 1.5, True, [], {}, ["abcdefgh"]], ids=repr)
def test_field_of_another_type_is_refused_by_name(api, field, value):
    assert_problem(api.register(**{field: value}), 400, "invalid_field", names=field)


@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_missing_field_is_refused_by_name(api, field):
    assert_problem(api.register(**{field: None}), 400, "missing_field", names=field)


@pytest.mark.parametrize("field", ["username", "email", "password"])
def test_null_for_a_required_field_is_refused_by_name(api, field):
    body = {"username": fresh_name(), "email": f"{fresh_name()}@example.org", "password": fresh_password(),
            field: None}
    resp = api.call("POST", "/api/v1/auth/register", json=body)
    assert_problem(resp, 400, ("missing_field", "invalid_field"), names=field)


@pytest.mark.parametrize("suffix", ["@example.org", "+tag@sub.example.co.uk", ".dot-dash_under@x.example"])
def test_good_email_is_accepted(api, suffix):
    assert api.register(email=fresh_name() + suffix).status_code == 201


@pytest.mark.parametrize("email", [
    "", "plain", "@example.org", "name@", "a b@example.org", "a@b c.org", "a@@example.org", "a@b@example.org",
    "a@example.org\n", "a@example.org\0", "a@-", "a@.example.org", "a@example..org", "<a@example.org>",
    "a" * 250 + "@example.org",
], ids=repr)
def test_bad_email_is_refused(api, email):
    assert_problem(api.register(email=email), 400, "invalid_field", names="email")


@pytest.mark.parametrize("change", [str, str.upper, str.swapcase], ids=["same", "upper", "swapped"])
def test_taken_username_is_refused_in_any_case(api, alice, change):
    assert_problem(api.register(username=change(alice.name)), 400, "username_taken")


@pytest.mark.parametrize("change", [str, str.upper], ids=["same", "upper"])
def test_taken_email_is_refused_in_any_case(api, alice, change):
    assert_problem(api.register(email=change(alice.user["email"])), 400, "email_taken")


def test_one_of_many_simultaneous_registrations_wins_a_name(stack):
    name = fresh_name()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: Dm(stack).register(username=name), range(12)))
    winners = [a for a in answers if a.status_code == 201]
    assert len(winners) == 1
    for loser in (a for a in answers if a.status_code != 201):
        assert_problem(loser, 400, "username_taken")


# ---------------------------------------------------------------------- passwords

@pytest.mark.parametrize("password", ["12345678", "é" * 8, "x" * 72, "😀" * 18, " " * 8, "a\nb\tc\"d\\"],
                         ids=["8 characters", "8 accents", "72 bytes", "72 bytes of emoji", "spaces", "controls"])
def test_password_of_8_characters_to_72_bytes_logs_in(api, password):
    name = api.register(password=password).json()["username"]
    assert api.login(username=name, password=password).status_code == 200


@pytest.mark.parametrize("password", ["", "1234567", "é" * 7], ids=["empty", "7 characters", "7 accents"])
def test_short_password_is_weak(api, password):
    assert_problem(api.register(password=password), 400, "weak_password")


@pytest.mark.parametrize("password", ["x" * 73, "😀" * 18 + "x", "abcdefgh\0ijk", "\0abcdefgh"],
                         ids=["73 bytes", "73 bytes of emoji", "NUL inside", "NUL first"])
def test_password_bcrypt_would_truncate_is_refused(api, password):
    assert_problem(api.register(password=password), 400, ("weak_password", "invalid_field"), names="assword")


def test_only_the_whole_password_logs_in(api):
    password = "y" * 72
    name = api.register(password=password).json()["username"]
    for wrong in (password + "z", password[:-1], password + "\0", password.upper(), " " + password):
        assert api.login(username=name, password=wrong).status_code in (400, 401)


def test_password_is_stored_as_bcrypt_of_the_configured_cost(alice, stack):
    stored = stack.query("SELECT password_hash FROM users WHERE username = %s", alice.name)[0][0]
    assert stored.startswith("$2b$04$") and len(stored) == 60


# ---------------------------------------------------------------------- login

def test_login_answers_with_tokens_and_user(alice):
    resp = alice.login(username=alice.name, password=alice.password)
    assert resp.status_code == 200
    body = resp.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "user", "tokens"}
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 3600
    assert body["user"] == alice.me().json()
    assert body["tokens"]["access_token"] == body["access_token"]
    assert body["tokens"]["refresh_token"] == body["refresh_token"]
    assert alice.me(token=body["access_token"]).status_code == 200


@pytest.mark.parametrize("field", ["username", "email"])
@pytest.mark.parametrize("what", ["username", "email"])
@pytest.mark.parametrize("change", [str, str.upper], ids=["same", "upper"])
def test_login_takes_username_or_email_in_either_field(alice, field, what, change):
    resp = alice.login(**{field: change(alice.user[what]), "password": alice.password})
    assert resp.status_code == 200, resp.text
    assert resp.json()["user"]["id"] == alice.id


def test_unknown_user_and_wrong_password_get_the_same_answer(alice):
    wrong = alice.login(username=alice.name, password=fresh_password())
    unknown = alice.login(username=fresh_name(), password=fresh_password())
    for resp in (wrong, unknown):
        body = assert_problem(resp, 401, "invalid_credentials")
        assert body["error"] == "invalid credentials"
    assert wrong.json() == unknown.json()


@pytest.mark.parametrize("body", [{"username": "someone"}, {"password": "12345678"}, {}],
                         ids=["no password", "no name", "neither"])
def test_login_without_a_field_is_refused(api, body):
    assert_problem(api.login(**body), 400, "missing_field")


@pytest.mark.parametrize("body", [{"username": 5, "password": "12345678"}, {"username": "abc", "password": 5},
                                  {"username": [], "password": "12345678"}, {"email": {}, "password": "12345678"}],
                         ids=repr)
def test_login_with_another_type_is_refused(api, body):
    assert_problem(api.login(**body), 400, "invalid_field")


def test_form_encoded_registration_and_login_work(api):
    name, password = fresh_name(), "p+w &=%" + fresh_password()
    form = {"username": name, "email": f"{name}@example.org", "password": password}
    assert api.call("POST", "/api/v1/auth/register", data=form).status_code == 201
    resp = api.call("POST", "/api/v1/auth/login", data={"username": name, "password": password})
    assert resp.status_code == 200


def test_disabled_account_cannot_log_in_or_act(alice, bob, stack):
    stack.disable(alice.name)
    for resp in (alice.me(), alice.send(bob, "x"), alice.refresh(),
                 alice.login(username=alice.name, password=alice.password)):
        assert resp.status_code in (401, 403), resp.text
        assert_problem(resp, resp.status_code)
    assert alice.history(bob).status_code in (401, 403)


# ---------------------------------------------------------------------- the profile

def test_profile_shows_the_account(alice):
    resp = alice.me()
    assert resp.status_code == 200
    assert set(resp.json()) == USER_MEMBERS
    assert resp.json() == alice.user
