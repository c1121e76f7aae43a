"""Mail: verification and forgotten passwords, as a client and a reader of mail see them. How the courier
delivers is in test_courier.py."""

import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import running
from parley.api import Dm, account, fresh_name, fresh_password
from parley.check import assert_problem
from parley.mail import MailServer
from parley.sockets import assert_closed_at_once, dm_socket
from parley.wait import eventually, seconds


@pytest.fixture(scope="module")
def server():
    with MailServer() as one:
        yield one


@pytest.fixture(scope="module")
def stack(request, server):
    """A stack that mails through the server."""
    settings = {"SMTP_URL": server.url, "SMTP_TLS": "none", "MAIL_RETRY": "1",
                "MAIL_FROM": 'Çafé "Parley" <parley@example.org>'}
    with running(request, settings=settings) as one:
        yield one


def state(stack, address):
    """What has become of the newest mail owed to an address."""
    return stack.query("SELECT state FROM mail_outbox WHERE recipient = %s ORDER BY id DESC LIMIT 1", address)[0][0]


def address_of(user):
    return user.user["email"]


def follow(stack, link, method="GET", **kwargs):
    """Open a link; it has to lead to this stack."""
    assert link.startswith(stack.url + "/")
    return Dm(stack).call(method, link[len(stack.url):], token=None, **kwargs)


def forgot(stack, address):
    return Dm(stack).call("POST", "/api/v1/auth/password/forgot", json={"email": address})


def reset(stack, token, password):
    return Dm(stack).call("POST", "/api/v1/auth/password/reset", json={"token": token, "password": password})


def ask_for_reset(stack, server, user):
    """The mail a user gets who has forgotten the password."""
    before = len(server.to(address_of(user)))
    assert forgot(stack, address_of(user)).status_code == 202
    mail = eventually(lambda: server.to(address_of(user))[before:], what="the reset mail")[0]
    eventually(lambda: state(stack, address_of(user)) == "sent")    # until then asking again is the same wish
    stack.secrets.add(mail.token)
    return mail


def verified(server, user):
    """A user whose first mail is out of the way."""
    server.expect(address_of(user))
    return user


# ---------------------------------------------------------------------- verification

def test_registration_owes_the_mail_from_the_same_transaction_on(stack):
    user = account(stack)
    assert state(stack, address_of(user)) in ("pending", "sent")
    assert stack.query("SELECT u.xmin = o.xmin FROM users u JOIN mail_outbox o ON o.recipient = u.email "
                       "WHERE u.username = %s", user.name) == [(True,)]


def test_refused_registration_owes_nothing(stack):
    user = account(stack)
    assert Dm(stack).register(username=user.name, email="other@example.org").status_code == 400
    assert stack.query("SELECT 1 FROM mail_outbox WHERE recipient = 'other@example.org'") == []


@pytest.mark.parametrize("body", [{"username": "U"}, {"display_name": "Ünïcode Ñame"}], ids=["dm", "conv"])
def test_registration_mail_arrives_with_a_link_that_verifies(stack, server, body):
    body = {k: v if v != "U" else fresh_name() for k, v in body.items()}
    address = f"{fresh_name('m')}@example.org"
    resp = Dm(stack).call("POST", "/api/v1/auth/register", json={"email": address, "password": fresh_password(), **body})
    assert resp.status_code == 201 and resp.json()["email_verified"] is False
    mail = server.expect(address)
    stack.secrets.add(mail.token)
    assert resp.json()["username"] in mail.text
    assert follow(stack, mail.link).status_code == 200
    me = Dm(stack, resp.json()["tokens"]["access_token"]).me()
    assert me.json()["email_verified"] is True
    eventually(lambda: state(stack, address) == "sent")


def test_link_verifies_once(stack, server):
    mail = server.expect(address_of(account(stack)))
    assert follow(stack, mail.link).status_code == 200
    for method in ("GET", "POST"):
        assert_problem(follow(stack, mail.link, method), 400, "invalid_token")


@pytest.mark.parametrize("how", ["query", "json", "form"])
def test_link_can_be_posted(stack, server, how):
    user = account(stack)
    mail = server.expect(address_of(user))
    path = stack.url + "/api/v1/auth/verify"
    resp = {"query": lambda: follow(stack, mail.link, "POST"),
            "json": lambda: follow(stack, path, "POST", json={"token": mail.token}),
            "form": lambda: follow(stack, path, "POST", data={"token": mail.token})}[how]()
    assert resp.status_code == 200, resp.text
    assert user.me().json()["email_verified"] is True


def test_looking_at_the_link_with_head_does_not_use_it_up(stack, server):
    mail = server.expect(address_of(account(stack)))
    assert follow(stack, mail.link, "HEAD").status_code == 200
    assert follow(stack, mail.link).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "A" * 43, "é", "x" * 4000])
def test_unknown_link_is_refused(stack, token):
    assert_problem(Dm(stack).call("GET", "/api/v1/auth/verify", params={"token": token}), 400, "invalid_token")
    assert_problem(Dm(stack).call("POST", "/api/v1/auth/verify", json={"token": token}), 400, "invalid_token")


def test_verifying_without_a_token_names_it(stack):
    assert_problem(Dm(stack).call("GET", "/api/v1/auth/verify"), 400, "missing_field", names="token")
    assert_problem(Dm(stack).call("POST", "/api/v1/auth/verify", json={}), 400, "missing_field", names="token")


def test_expired_link_is_refused(stack, server):
    user = account(stack)
    mail = server.expect(address_of(user))
    stack.query("UPDATE mail_tokens SET expires_at = now() - interval '1 s' WHERE address = %s", address_of(user))
    assert_problem(follow(stack, mail.link), 400, "invalid_token")
    assert user.me().json()["email_verified"] is False


def test_only_a_hash_of_the_token_is_ever_stored(stack, server):
    mail = server.expect(address_of(account(stack)))
    stored = "\n".join(r[0] for r in stack.query("SELECT t::text FROM mail_tokens t UNION ALL SELECT o::text FROM mail_outbox o"))
    assert mail.token not in stored and mail.token.encode().hex() not in stored
    assert stack.query("SELECT count(*) FROM mail_tokens WHERE hash = sha256(%s::bytea)", mail.token) == [(1,)]


# ---------------------------------------------------------------------- the message

def test_message_is_as_rfc_5322_wants_it(stack, server):
    user = account(stack)
    mail = server.expect(address_of(user))
    message = mail.message
    assert (mail.sender, mail.recipients) == ("parley@example.org", [address_of(user)])
    assert message["From"].addresses[0].display_name == 'Çafé "Parley"'
    assert message["From"].addresses[0].addr_spec == "parley@example.org"
    assert message["To"] == address_of(user) and message["Subject"]
    assert abs(message["Date"].datetime.timestamp() - time.time()) < 60
    assert re.fullmatch(r"<[^@<>\s]+@example\.org>", message["Message-ID"])
    assert message["MIME-Version"] == "1.0" and message.get_content_charset() == "utf-8"
    assert message["Auto-Submitted"] == "auto-generated"
    assert not message.defects and not re.search(rb"[^\r]\n|\r[^\n]", mail.raw)
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 998


def test_display_name_stands_nowhere_in_the_mail(stack, server):
    """Or anybody could have their own words mailed to a stranger."""
    user = account(stack, display_name="Buy now at https://evil.example/ !")
    assert b"evil" not in server.expect(address_of(user)).raw


ESCAPES = ["a@example.org\r\nBcc: b@example.org", "a@example.org\nX: y", "a@example.org, b@example.org",
           "a@example.org>\r\nRCPT TO:<b@example.org", "<a@example.org>", "a b@example.org"]


def test_address_cannot_break_out_of_its_header(stack, server):
    for address in ESCAPES:
        assert_problem(Dm(stack).register(email=address), 400, "invalid_field")
        assert_problem(forgot(stack, address), 400, "invalid_field")
    users = [account(stack) for _ in ESCAPES]       # and if one were in the database all the same
    for user in users:
        verified(server, user)
    before = len(server.mails)
    for user, address in zip(users, ESCAPES):
        stack.query("UPDATE users SET email = %s WHERE username = %s", address, user.name)
        stack.query("INSERT INTO mail_outbox (kind, recipient) VALUES ('verify', %s)", address)
    for address in ESCAPES:
        eventually(lambda: state(stack, address) == "failed", what=f"the mail to {address!r} is refused")
    assert len(server.mails) == before


# ---------------------------------------------------------------------- forgotten passwords

def test_forgotten_password_can_be_set_anew(stack, server):
    user = verified(server, account(stack))
    mail = ask_for_reset(stack, server, user)
    assert user.name in mail.text
    new = fresh_password()
    assert reset(stack, mail.token, new).status_code == 200
    assert_problem(user.login(username=user.name, password=user.password), 401, "invalid_credentials")
    again = user.login(username=user.name, password=new)
    assert again.status_code == 200 and again.json()["user"]["email_verified"] is True


def test_reset_mails_own_example_works(stack, server, tmp_path):
    user = verified(server, account(stack))
    mail = ask_for_reset(stack, server, user)
    command = next(line for line in mail.text.splitlines() if line.startswith("curl "))
    new = fresh_password()
    command = command.replace("YOUR NEW PASSWORD", new).replace("curl ", "curl -sf ")
    assert subprocess.run(["bash", "-c", command], capture_output=True, timeout=20).returncode == 0
    assert user.login(username=user.name, password=new).status_code == 200


def test_answer_does_not_tell_whether_the_address_exists(stack, server):
    user = verified(server, account(stack))
    nobody = f"{fresh_name()}@example.org"
    known, unknown = forgot(stack, address_of(user)), forgot(stack, nobody)
    assert known.status_code == unknown.status_code == 202 and known.reason == "Accepted"
    assert known.content == unknown.content
    assert {k: v for k, v in known.headers.items() if k not in ("Date", "X-Request-Id")} \
        == {k: v for k, v in unknown.headers.items() if k not in ("Date", "X-Request-Id")}
    eventually(lambda: state(stack, nobody) == "dropped")
    eventually(lambda: len(server.to(address_of(user))) == 2)
    assert not server.to(nobody)


def test_answer_takes_the_same_time_whether_the_address_exists(stack):
    users, times = [account(stack) for _ in range(25)], {True: [], False: []}
    for user in users:
        for known, address in ((True, address_of(user)), (False, f"{fresh_name()}@example.org")):
            times[known].append(seconds(lambda: forgot(stack, address).raise_for_status()))
    known, unknown = min(times[True]), min(times[False])    # what a busy machine adds is in the others
    assert 0.6 < known / unknown < 1.6, f"known {known:.4f} s, unknown {unknown:.4f} s"


def test_forgot_without_a_usable_address_is_refused(stack):
    assert_problem(Dm(stack).call("POST", "/api/v1/auth/password/forgot", json={}), 400, "missing_field", names="email")
    assert_problem(forgot(stack, "no address"), 400, "invalid_field")
    assert_problem(forgot(stack, 7), 400, "invalid_field", names="email")


def test_reset_ends_every_session_and_closes_its_sockets(stack, server):
    user = verified(server, account(stack))
    other = user.another_device()
    with dm_socket(user) as one, dm_socket(other) as two:
        mail = ask_for_reset(stack, server, user)
        assert reset(stack, mail.token, fresh_password()).status_code == 200
        assert_closed_at_once((one, two), user, account(stack))
    for device in (user, other):
        assert_problem(device.me(), 401, "unauthorized")
        assert_problem(device.refresh(), 401, "unauthorized")


def test_login_with_the_old_password_cannot_slip_past_a_reset(stack):
    """A login whose password was right when it looked waits for the change under way, and sees it."""
    user, waiting = account(stack), "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%session_open%'"
    change = stack.db(autocommit=False)
    with ThreadPoolExecutor(1) as pool, change, change.cursor() as cursor:
        cursor.execute("UPDATE users SET password_hash = 'changed' WHERE username = %s", (user.name,))
        login = pool.submit(user.login, username=user.name, password=user.password)
        eventually(lambda: stack.query(waiting), what="the login waits")
        change.commit()
        assert_problem(login.result(), 401, "invalid_credentials")
    change.close()


def test_reset_works_once(stack, server):
    user = verified(server, account(stack))
    mail = ask_for_reset(stack, server, user)
    assert reset(stack, mail.token, fresh_password()).status_code == 200
    assert_problem(reset(stack, mail.token, fresh_password()), 400, "invalid_token")


def test_reset_voids_the_other_links_to_reset(stack, server):
    user = verified(server, account(stack))
    first, second = ask_for_reset(stack, server, user), ask_for_reset(stack, server, user)
    assert reset(stack, second.token, fresh_password()).status_code == 200
    assert_problem(reset(stack, first.token, fresh_password()), 400, "invalid_token")


def test_weak_password_does_not_use_up_the_link(stack, server):
    user = verified(server, account(stack))
    mail = ask_for_reset(stack, server, user)
    for weak in ("short", "x" * 73):
        assert_problem(reset(stack, mail.token, weak), 400, "weak_password")
    assert reset(stack, mail.token, fresh_password()).status_code == 200


def test_reset_link_is_good_for_an_hour(stack, server):
    user = verified(server, account(stack))
    mail = ask_for_reset(stack, server, user)
    left = stack.query("SELECT extract(epoch FROM expires_at - now()) FROM mail_tokens WHERE purpose = 'reset' "
                       "AND address = %s", address_of(user))[0][0]
    assert 3500 < left <= 3600
    stack.query("UPDATE mail_tokens SET expires_at = now() WHERE address = %s", address_of(user))
    assert_problem(reset(stack, mail.token, fresh_password()), 400, "invalid_token")


def test_links_of_one_kind_are_no_good_for_the_other(stack, server):
    user = account(stack)
    verify = server.expect(address_of(user))
    assert_problem(reset(stack, verify.token, fresh_password()), 400, "invalid_token")
    mail = ask_for_reset(stack, server, user)
    assert_problem(Dm(stack).call("POST", "/api/v1/auth/verify", json={"token": mail.token}), 400, "invalid_token")


def test_a_strangers_mailbox_cannot_be_flooded(stack, server):
    user = verified(server, account(stack))
    for _ in range(5):
        ask_for_reset(stack, server, user)
    assert forgot(stack, address_of(user)).status_code == 202
    eventually(lambda: state(stack, address_of(user)) == "dropped")
    assert len(server.to(address_of(user))) == 6
