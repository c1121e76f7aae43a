"""The courier: delivers once, tries again, gives up, survives; over SMTP, through a command, into the log."""

import re
import signal
import subprocess
import time
from contextlib import ExitStack

import pytest

from parley import procs
from parley.api import Dm, account, fresh_name
from parley.mail import LINK, Courier, MailServer, certificate
from parley.stack import binary
from parley.wait import eventually

STACK = {}
#: A courier of the tests' own: quick to give up on a server, and quick to try again.
QUICK = {"SMTP_TLS": "none", "MAIL_FROM": "Parley <parley@example.org>", "MAIL_TIMEOUT": 2, "MAIL_RETRY": 1}
EX_CONFIG = 78


@pytest.fixture(scope="module")
def mail_stack(module_stack):
    """A stack whose own courier is down: each test says what runs."""
    subprocess.run(["s6-svc", "-wD", "-T", "20000", "-d", str(module_stack.var / "service/courier")], check=True)
    return module_stack


@pytest.fixture
def stack(mail_stack):
    """Nothing is owed when a test begins."""
    mail_stack.query("UPDATE mail_outbox SET state = 'dropped', finished_at = now() WHERE state = 'pending'")
    return mail_stack


@pytest.fixture
def server():
    with MailServer() as one:
        yield one


@pytest.fixture
def run(stack):
    """A function that starts a courier which ends with the test."""
    with ExitStack() as couriers:
        yield lambda **settings: couriers.enter_context(Courier(stack, **{**QUICK, **settings}))


def row(stack, address):
    """(state, attempts, last_error) of the newest mail owed to an address."""
    return stack.query("SELECT state, attempts, last_error FROM mail_outbox WHERE recipient = %s ORDER BY id DESC LIMIT 1",
                       address)[0]


def await_state(stack, address, state):
    eventually(lambda: row(stack, address)[0] == state, what=f"the mail is {state}")


def new_address(stack):
    """The address of a fresh account, to which a mail is owed."""
    return account(stack).user["email"]


def ids(mails):
    return [mail.id for mail in mails]


# ---------------------------------------------------------------------- once

def test_two_couriers_send_each_mail_once(stack, server, run):
    addresses = [new_address(stack) for _ in range(40)]
    couriers = [run(SMTP_URL=server.url) for _ in range(2)]
    eventually(lambda: len(server.mails) >= 40, what="40 mails")
    for courier in couriers:
        assert courier.stop() == 0
    assert sorted(mail.recipients[0] for mail in server.mails) == sorted(addresses)
    assert len(set(ids(server.mails))) == 40
    assert {row(stack, address)[0] for address in addresses} == {"sent"}


def test_mail_of_a_killed_courier_is_sent_once_by_another(stack, server, run):
    server.held.add("RCPT")
    start = time.monotonic()
    address, first = new_address(stack), run(SMTP_URL=server.url)
    eventually(lambda: server.waiting, what="a session is under way")
    first.kill()
    server.held.clear()
    run(SMTP_URL=server.url)
    server.expect(address)
    assert time.monotonic() - start > 3.5, "not before the dead courier's lease is over"
    await_state(stack, address, "sent")
    assert len(server.to(address)) == 1 and row(stack, address)[1] == 2


def test_couriers_killed_over_and_over_lose_nothing(stack, server, run):
    """A kill between the server's 250 and the note of it is the one thing that sends twice: at most one
    mail a kill, under the Message-ID it had."""
    addresses, kills = [new_address(stack) for _ in range(60)], 0
    while len(server.mails) < 40:
        courier, seen = run(SMTP_URL=server.url), len(server.mails)
        eventually(lambda: len(server.mails) > seen + 5, what="some mails more")
        courier.kill()
        kills += 1
    run(SMTP_URL=server.url)
    for address in addresses:
        server.expect(address)
    assert len(server.mails) <= len(addresses) + kills
    assert len(set(ids(server.mails))) == len(addresses)


def test_service_is_restarted_when_it_is_killed(mail_stack):
    subprocess.run(["s6-svc", "-wu", "-T", "10000", "-u", str(mail_stack.var / "service/courier")], check=True)
    eventually(lambda: mail_stack.pid("courier") and procs.alive(mail_stack.pid("courier")))
    old = mail_stack.kill("courier")
    mail_stack.seconds_to_respawn("courier", old)
    subprocess.run(["s6-svc", "-wD", "-T", "20000", "-d", str(mail_stack.var / "service/courier")], check=True)


def test_accepted_mail_is_noted_though_the_database_connection_broke(stack, server, run):
    server.held.add("DATA")
    address = new_address(stack)
    run(SMTP_URL=server.url)
    eventually(lambda: server.waiting, what="a session is under way")
    stack.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%mail_claim%' "
                "AND pid <> pg_backend_pid()")
    server.held.clear()
    await_state(stack, address, "sent")
    assert len(server.to(address)) == 1 and row(stack, address)[1] == 1


# ---------------------------------------------------------------------- stopping

def test_stopped_courier_hears_the_answer_first(stack, server, run):
    server.held.add("DATA")
    address, courier = new_address(stack), run(SMTP_URL=server.url)
    eventually(lambda: server.waiting, what="the message is handed over")
    procs.kill(courier.process.pid, signal.SIGTERM)
    server.held.clear()
    assert courier.process.wait(10) == 0
    assert row(stack, address)[:2] == ("sent", 1) and len(server.to(address)) == 1


def test_stopped_courier_leaves_what_is_not_handed_over_to_the_next_at_once(stack, server, run):
    server.held.add("RCPT")
    address, courier = new_address(stack), run(SMTP_URL=server.url, MAIL_TIMEOUT=60)
    eventually(lambda: server.waiting, what="a session is under way")
    assert courier.stop() == 0
    assert row(stack, address)[0] == "pending"
    server.held.clear()
    run(SMTP_URL=server.url)
    server.expect(address)          # the lease would have been two minutes


# ---------------------------------------------------------------------- again, and never again

@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_temporary_refusal_is_tried_again_with_growing_delay(stack, server, run, stage):
    server.refusals[stage] = ["451 not now"] * 2
    address = new_address(stack)
    run(SMTP_URL=server.url)
    server.expect(address)
    await_state(stack, address, "sent")
    first, second, third = (when for when, to in server.attempts if to == address)
    assert 0.7 < second - first < 10 and 1.4 < third - second < 10, "a second, then two, each give or take a quarter"
    assert row(stack, address) == ("sent", 3, None) and len(server.mails) == 1


@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_permanent_refusal_is_final(stack, server, run, stage):
    server.refusals[stage] = ["550 never"]
    address, courier = new_address(stack), run(SMTP_URL=server.url)
    await_state(stack, address, "failed")
    other = new_address(stack)
    server.expect(other)            # the queue goes on
    assert row(stack, address)[1] == 1 and "550" in row(stack, address)[2]
    assert [to for _, to in server.attempts].count(address) == 1
    assert "event=mail_failed" in courier.text() and address not in courier.text()


def test_server_that_is_away_is_waited_for(stack, run):
    server = MailServer()
    address, courier = new_address(stack), run(SMTP_URL=server.url)
    eventually(lambda: "event=mail_deferred" in courier.text())
    with server:
        server.expect(address)


def test_silent_server_does_not_hold_a_mail_for_ever(stack, server, run):
    server.held.add("RCPT")
    address = new_address(stack)
    run(SMTP_URL=server.url, MAIL_TIMEOUT=1)
    eventually(lambda: row(stack, address)[1] >= 2, what="a second attempt")
    server.held.clear()
    server.expect(address)


def test_mail_is_given_up_after_its_time(stack, server, run):
    server.refusals["RCPT"] = ["451 not now"] * 100
    address = new_address(stack)
    stack.query("UPDATE mail_outbox SET created_at = now() - interval '3 days' + interval '20 s' WHERE recipient = %s", address)
    courier = run(SMTP_URL=server.url, MAIL_RETRY=60)       # the second attempt would come too late
    await_state(stack, address, "failed")
    assert "451" in row(stack, address)[2]
    eventually(lambda: "event=mail_failed" in courier.text())   # said after it is written


def test_mail_that_nobody_sent_in_time_is_given_up_with_a_line_in_the_log(stack, server, run):
    address = new_address(stack)
    stack.query("UPDATE mail_outbox SET created_at = now() - interval '3 days' WHERE recipient = %s", address)
    courier = run(SMTP_URL=server.url)
    await_state(stack, address, "failed")
    assert row(stack, address)[1:] == (0, "not sent in time")
    eventually(lambda: re.search("event=mail_failed .*not sent in time", courier.text()))
    assert not server.to(address)


def test_mail_to_an_account_that_is_gone_is_dropped(stack, server, run):
    address = new_address(stack)
    stack.query("DELETE FROM users WHERE email = %s", address)
    run(SMTP_URL=server.url)
    await_state(stack, address, "dropped")
    assert not server.mails


def test_old_rows_are_swept_up(stack, run):
    stack.query("INSERT INTO mail_outbox (kind, recipient, state, finished_at) VALUES "
                "('verify', 'old@example.org', 'sent', now() - interval '8 days')")
    run()
    eventually(lambda: not stack.query("SELECT 1 FROM mail_outbox WHERE recipient = 'old@example.org'"))


def test_forgot_writes_the_same_rows_for_anybodys_and_nobodys_address(stack):
    """Why the answer takes the same time whether the address exists."""
    user = account(stack)
    for address in (user.user["email"], f"{fresh_name()}@example.org"):
        before = stack.query("SELECT count(*) FROM mail_outbox")[0][0]
        for _ in range(3):
            Dm(stack).call("POST", "/api/v1/auth/password/forgot", json={"email": address})
        assert stack.query("SELECT count(*) FROM mail_outbox")[0][0] == before + 1


# ---------------------------------------------------------------------- TLS and passwords

LOGIN = ("parley", "correct horse battery")
ACCOUNT = {"SMTP_USER": LOGIN[0], "SMTP_PASSWORD": LOGIN[1]}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


def test_starttls_and_login(stack, run, keys):
    stack.secrets.update(LOGIN[1].split())
    with MailServer(certificate=keys, login=LOGIN) as server:
        address = new_address(stack)
        run(SMTP_URL=server.url, SMTP_TLS="starttls", SMTP_CA_FILE=keys[0], **ACCOUNT)
        mail = server.expect(address)
        assert mail.encrypted and mail.login == LOGIN[0]


@pytest.mark.parametrize("setting", ["smtps", "tls"])
def test_tls_from_the_first_byte(stack, run, keys, setting):
    with MailServer(certificate=keys, implicit_tls=True, login=LOGIN) as server:
        address = new_address(stack)
        url = server.url.replace("smtp:", "smtps:") if setting == "smtps" else server.url
        run(SMTP_URL=url, SMTP_TLS="tls" if setting == "tls" else "starttls", SMTP_CA_FILE=keys[0], **ACCOUNT)
        assert server.expect(address).login == LOGIN[0]


def test_server_nobody_vouches_for_gets_nothing(stack, run, keys):
    with MailServer(certificate=keys, login=LOGIN) as server:
        address, courier = new_address(stack), run(SMTP_URL=server.url, SMTP_TLS="starttls", **ACCOUNT)
        eventually(lambda: "event=mail_deferred" in courier.text())
        assert row(stack, address)[0] == "pending" and not server.attempts


def test_server_without_tls_gets_nothing_unless_told_so(stack, server, run):
    address, courier = new_address(stack), run(SMTP_URL=server.url, SMTP_TLS="starttls")
    eventually(lambda: "event=mail_deferred" in courier.text())
    assert row(stack, address)[0] == "pending" and not server.attempts


def test_wrong_password_costs_no_mail(stack, run, keys):
    """It is the operator's mistake: mail waits until it is mended."""
    with MailServer(certificate=keys, login=LOGIN) as server:
        settings = {"SMTP_URL": server.url, "SMTP_TLS": "starttls", "SMTP_CA_FILE": keys[0]}
        address, courier = new_address(stack), run(**settings, SMTP_USER="parley", SMTP_PASSWORD="a mistake here")
        eventually(lambda: "event=mail_deferred" in courier.text())
        assert row(stack, address)[0] == "pending" and "mistake" not in courier.text()
        courier.stop()
        run(**settings, **ACCOUNT)
        server.expect(address)


# ---------------------------------------------------------------------- a command, or the log

@pytest.fixture
def command(tmp_path):
    """A function that makes a sendmail of a shell script's body; each message is a file in tmp_path."""
    def make(body='cat >"$1/$$.mail"'):
        script = tmp_path / "sendmail"
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        return f"{script} {tmp_path}"
    return make


def messages(directory):
    return [path.read_text() for path in sorted(directory.glob("*.mail")) if path.read_text()]


def test_command_gets_the_message_on_standard_input(stack, run, command, tmp_path):
    address = new_address(stack)
    run(SENDMAIL=command())
    await_state(stack, address, "sent")
    message, = messages(tmp_path)
    assert f"\nTo: {address}\n" in message and "\r" not in message
    link = LINK.search(message)[0]
    assert Dm(stack).call("GET", link[len(stack.url):]).status_code == 200


def test_commands_exit_code_says_what_comes_next(stack, run, command, tmp_path):
    address = new_address(stack)
    courier = run(SENDMAIL=command('[ -e "$1/second" ] || { touch "$1/second"; exit 75; }; cat >"$1/a.mail"'))
    await_state(stack, address, "sent")
    assert row(stack, address)[1] == 2
    courier.stop()
    address = new_address(stack)
    run(SENDMAIL=command("exit 67"))
    await_state(stack, address, "failed")
    assert row(stack, address)[1] == 1


def test_command_that_hangs_is_ended_and_tried_again(stack, run, command, tmp_path):
    address = new_address(stack)
    run(SENDMAIL=command('[ -e "$1/second" ] || { touch "$1/second"; exec sleep 100; }; cat >"$1/a.mail"'), MAIL_TIMEOUT=1)
    await_state(stack, address, "sent")
    assert len(messages(tmp_path)) == 1


def test_command_is_no_shell_and_knows_no_secrets(stack, run, command, tmp_path):
    address = new_address(stack)
    run(SENDMAIL=command('env >"$1/env"; echo "$@" >"$1/words"; cat >"$1/a.mail"') + " $(touch /) ;",
        DATABASE_URL=stack.written_settings()["DATABASE_URL"])
    await_state(stack, address, "sent")
    assert (tmp_path / "words").read_text().split() == [str(tmp_path), "$(touch", "/)", ";"]
    assert "DATABASE_URL" not in (tmp_path / "env").read_text()


def test_without_mail_settings_the_logged_link_works(stack, run):
    user = account(stack)
    courier = run(MAIL_FROM="", LOG_LEVEL="notice")
    line = eventually(lambda: re.search(r".*event=mail_logged.*", courier.text()), what="the link is logged")[0]
    link = LINK.search(line)[0].strip('"')
    assert Dm(stack).call("GET", link[len(stack.url):]).status_code == 200
    assert user.me().json()["email_verified"] is True
    await_state(stack, user.user["email"], "logged")


# ---------------------------------------------------------------------- settings

@pytest.mark.parametrize("setting,value", [
    ("SMTP_URL", "mail.example.org"), ("SMTP_URL", "http://mail.example.org"), ("SMTP_URL", "smtp://"),
    ("SMTP_URL", "smtp://user:secret@mail.example.org"), ("SMTP_TLS", "maybe"), ("MAIL_FROM", "nobody"), ("MAIL_FROM", ""),
    ("MAIL_FROM", "A\r\nBcc: x <a@example.org>"), ("SENDMAIL", "/no/such/sendmail -t"), ("SENDMAIL", " "),
    ("PUBLIC_URL", "chat.example.org"), ("PUBLIC_URL", "http://a b"), ("RESET_URL", "javascript:x"), ("MAIL_TIMEOUT", "0")])
def test_invalid_setting_stops_the_start_with_a_sentence_naming_it(setting, value):
    settings = {"DATABASE_URL": "host=/nowhere", "SMTP_URL": "smtp://127.0.0.1", "MAIL_FROM": "a@example.org", setting: value}
    if setting == "SENDMAIL":
        del settings["SMTP_URL"]
    done = subprocess.run([binary("courier")], env={"PATH": "/usr/bin:/bin", **settings}, capture_output=True, text=True, timeout=15)
    assert done.returncode == EX_CONFIG and setting in done.stderr


def test_reset_link_leads_to_the_operators_page(stack, server, run):
    address = new_address(stack)
    run(SMTP_URL=server.url, RESET_URL="https://chat.example.org/reset?lang=en")
    server.expect(address)
    Dm(stack).call("POST", "/api/v1/auth/password/forgot", json={"email": address})
    mail = eventually(lambda: server.to(address)[1:], what="the reset mail")[0]
    assert mail.link == f"https://chat.example.org/reset?lang=en&token={mail.token}" and "curl" not in mail.text
