"""parleyctl's commands on a running server: users, sessions, keys, what it shows, how it fails."""

import base64
import json
import os
import pty
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
import requests

from parley import ctl, keys
from parley.api import Dm, account
from parley.conv import Conv, refusal
from parley.growth import of_each_worker
from parley.sockets import dm_socket
from parley.stack import binary
from parley.wait import eventually

STACK = {"daemons": 1}

EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_CONFIG = 64, 65, 67, 69, 78
PASSWORD = "correct horse"


@pytest.fixture
def alice(module_stack):
    return account(module_stack)


@pytest.fixture
def bob(module_stack):
    return account(module_stack)


def fails(stack, status, *args, **options):
    """The sentence a command fails with."""
    done = ctl.run(stack, *args, **options)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") >= 1, (done.stdout, done.stderr)
    return done.stderr


def login(stack, name, password):
    return requests.post(f"{stack.url}/api/v1/auth/login", json={"username": name, "password": password}, timeout=10)


def as_conv(user):
    """The same account through the conversations' client."""
    conv = Conv(user.stack)
    conv.user, conv.token = user.user, user.token
    return conv


def me(stack, token):
    return requests.get(f"{stack.url}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=10)


def on_a_terminal(stack, *args, typed):
    """(exit status, all that stood on the terminal) of parleyctl run by a person."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(binary("parleyctl"), ["parleyctl", "--config", str(stack.var / "conf/parley.env"), *args], {"TERM": "dumb"})
    shown = b""
    try:
        while True:
            for prompt, answer in list(typed):
                if prompt in shown.decode(errors="replace"):
                    os.write(fd, answer.encode() + b"\n")
                    typed.remove((prompt, answer))
            shown += os.read(fd, 4096)
    except OSError:         # the other end is closed
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(fd)
    return status, shown.decode(errors="replace")


# ---------------------------------------------------------------------- users

def test_added_user_can_log_in(module_stack):
    module_stack.secrets.add(PASSWORD)
    made = ctl.ask(module_stack, "user", "add", "Dora", "--email", "dora@example.org", "--display-name", "Dora D.", stdin=PASSWORD + "\n")
    answer = login(module_stack, "dora@example.org", PASSWORD)
    assert answer.status_code == 200
    assert answer.json()["user"]["username"] == "Dora" == made["username"]
    assert answer.json()["user"]["display_name"] == "Dora D."


def test_password_is_asked_for_on_a_terminal_without_showing_it(module_stack):
    status, shown = on_a_terminal(module_stack, "user", "add", "typist",
                                  typed=[("Password: ", "battery staple"), ("Once more: ", "battery staple")])
    assert status == 0 and "user typist added" in shown, shown
    assert "battery" not in shown
    assert login(module_stack, "typist", "battery staple").status_code == 200


def test_passwords_that_differ_are_not_taken(module_stack):
    status, shown = on_a_terminal(module_stack, "user", "add", "slip", typed=[("Password: ", "battery staple"), ("Once more: ", "battery stable")])
    assert status == EX_DATAERR and "differ" in shown
    assert ctl.ask(module_stack, "user", "list", "slip") == []


@pytest.mark.parametrize("args,stdin,word", [
    (["no spaces"], PASSWORD, "username"), (["fine", "--email", "nowhere"], PASSWORD, "email"),
    (["fine"], "short", "password"), (["fine"], "", "standard input"), (["fine", "--display-name", ""], PASSWORD, "display_name"),
])
def test_account_that_breaks_a_rule_is_refused(module_stack, args, stdin, word):
    assert word in fails(module_stack, EX_DATAERR, "user", "add", *args, stdin=stdin)


def test_taken_name_is_refused(module_stack, alice):
    assert "taken" in fails(module_stack, EX_DATAERR, "user", "add", alice.name.upper(), stdin=PASSWORD)


def test_no_command_takes_a_password_as_an_argument(module_stack):
    assert "password" not in ctl.run(module_stack, "user", "passwd", "--help").stdout.split("Options:")[1]
    assert "no option" in fails(module_stack, EX_USAGE, "user", "add", "eve", "--password", PASSWORD)


def test_users_are_found_by_name_address_id_and_uuid(module_stack, alice):
    number = str(module_stack.query("SELECT id FROM users WHERE username = %s", alice.name)[0][0])
    for name in (alice.name, alice.name.upper(), alice.user["email"], number, alice.id):
        assert ctl.ask(module_stack, "user", "promote", name)["id"] == int(number)
    assert "no user" in fails(module_stack, EX_NOUSER, "user", "promote", "nobody.at.all")


def test_list_shows_users_and_can_be_paged(module_stack, alice, bob):
    every = ctl.ask(module_stack, "user", "list")
    assert {alice.name, bob.name} <= {u["username"] for u in every}
    assert ctl.ask(module_stack, "user", "list", "--after", every[0]["id"], "--limit", 2) == every[1:3]
    assert [u["username"] for u in ctl.ask(module_stack, "user", "list", alice.name[2:].upper())] == [alice.name]
    text = ctl.run(module_stack, "user", "list", alice.name).stdout.splitlines()
    assert text[0].split()[:3] == ["id", "username", "email"] and alice.name in text[1]


def test_disabled_user_is_out_at_once_and_can_come_back(module_stack, alice):
    with dm_socket(alice) as sock:
        assert ctl.ask(module_stack, "user", "disable", alice.name)["changed"] is True
        sock.expect_close(4003)
    assert alice.me().status_code in (401, 403)
    assert ctl.ask(module_stack, "user", "disable", alice.name)["changed"] is False
    assert ctl.ask(module_stack, "user", "enable", alice.name)["changed"] is True
    assert login(module_stack, alice.name, alice.password).status_code == 200


def test_new_password_ends_every_session(module_stack, alice):
    other = alice.another_device()
    with dm_socket(alice) as sock:
        assert ctl.ask(module_stack, "user", "passwd", alice.name, stdin="another password\n")["sessions_ended"] == 2
        sock.expect_close(4001)
    assert other.me().status_code == 401
    assert login(module_stack, alice.name, alice.password).status_code == 401
    assert login(module_stack, alice.name, "another password").status_code == 200


def test_promotion_can_be_taken_back(module_stack, alice):
    def is_admin():
        return ctl.ask(module_stack, "user", "list", alice.name)[0]["admin"]
    assert ctl.ask(module_stack, "user", "promote", alice.name)["admin"] is True and is_admin() is True
    assert ctl.ask(module_stack, "user", "promote", alice.name, "--undo")["admin"] is False and is_admin() is False


def test_administration_stands_in_the_audit_log(module_stack, alice):
    ctl.ask(module_stack, "user", "promote", alice.name)
    ctl.ask(module_stack, "session", "revoke", "--user", alice.name)
    ctl.ask(module_stack, "user", "disable", alice.name)
    number = ctl.ask(module_stack, "user", "list", alice.name)[0]["id"]
    lines = module_stack.query("SELECT kind, detail FROM audit_log WHERE user_id = %s ORDER BY id", number)
    assert [kind for kind, _ in lines][-3:] == ["admin_granted", "session_revoked", "user_disabled"]
    assert lines[-2][1] == "administrator"


# ---------------------------------------------------------------------- erasing and handing out

def test_erased_user_leaves_others_conversations_whole(module_stack, alice, bob):
    carol = account(module_stack)
    name, address = alice.name, alice.user["email"]
    alice.make_message(bob, "said in private")
    owner = as_conv(alice)
    group = owner.group(bob, carol, name="theirs")
    owner.group(name="nobody else's")
    owner.say(group, "said in the group")
    with dm_socket(alice) as sock:
        assert ctl.ask(module_stack, "user", "delete", name, "--yes")["messages_erased"] is False
        sock.expect_close(4003)
    assert login(module_stack, name, alice.password).status_code == 401 and alice.me().status_code in (401, 403)
    # Bob's history is as it was, but for the name.
    message = bob.history(alice.id).json()[0]
    assert message["content"] == "said in private" and message["sender_id"] == alice.id
    assert name not in json.dumps(bob.conversations().json()) and address not in json.dumps(bob.history(alice.id).json())
    # The group has passed to who was in it first; the empty one is gone.
    seen = as_conv(bob).conversation(group)
    assert seen["owner_id"] == bob.id and alice.id not in [p["user_id"] for p in seen["participants"]]
    assert module_stack.query("SELECT count(*) FROM conversations WHERE name = 'nobody else''s'") == [(0,)]
    # Nothing of the person is left in any table, and the name is free again.
    assert not [t for t in everything(module_stack) if name in t or address in t]
    assert account(module_stack, name).name == name


def test_mail_on_its_way_does_not_keep_the_address_of_who_is_erased(module_stack, alice):
    address = alice.user["email"]
    module_stack.query("INSERT INTO mail_outbox (kind, recipient, next_attempt_at) VALUES ('reset', %s, now() + interval '1 hour')", address)
    conn = module_stack.db(autocommit=False)
    with conn.cursor() as courier, ThreadPoolExecutor(1) as pool:
        courier.execute("UPDATE mail_outbox SET next_attempt_at = '-infinity' WHERE kind = 'reset' AND recipient = %s", (address,))
        courier.execute("SELECT recipient FROM mail_claim('\\x00', interval '1 minute')")
        assert courier.fetchall() == [(address,)]
        erasure = pool.submit(ctl.ask, module_stack, "user", "delete", alice.name, "--yes")
        eventually(lambda: erasure.done() or module_stack.query("SELECT pid FROM pg_locks WHERE NOT granted"),
                   what="it waits for the courier")
        conn.commit()
        erasure.result()
    conn.close()
    assert not [t for t in everything(module_stack) if address in t]


def test_erasing_can_include_what_they_wrote(module_stack, alice, bob):
    sent = alice.make_message(bob, "regretted words")
    answer = bob.make_message(alice, "the answer stays")
    ctl.ask(module_stack, "user", "delete", alice.name, "--yes", "--messages")
    assert [m["id"] for m in bob.history(alice.id).json()] == [answer["id"]]
    assert not [t for t in everything(module_stack) if "regretted" in t]
    assert module_stack.query("SELECT count(*) FROM messages WHERE deleted_at IS NOT NULL AND content IS NULL AND seq = 1")[0][0] >= 1
    assert sent["id"] != answer["id"]


def everything(stack):
    """Every row of every table as text."""
    tables = [t for t, in stack.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")]
    return [row for t in tables for row, in stack.query(f"SELECT x::text FROM {t} x")]


def test_erasing_asks_first(module_stack, alice):
    assert "--yes" in fails(module_stack, EX_USAGE, "user", "delete", alice.name)
    assert on_a_terminal(module_stack, "user", "delete", alice.name, typed=[("[y/N] ", "n")])[0] == EX_USAGE
    assert alice.me().status_code == 200
    assert on_a_terminal(module_stack, "user", "delete", alice.name, typed=[("[y/N] ", "y")])[0] == 0
    assert alice.me().status_code in (401, 403)


def test_export_of_a_user_has_all_of_theirs_and_no_secret(module_stack, alice, bob, tmp_path):
    alice.make_message(bob, 'mine, with "quotes" and ü')
    script(module_stack, alice, "--scope", "send,read")
    bob.make_message(alice, "not mine")
    eventually(lambda: not module_stack.query("SELECT id FROM mail_outbox WHERE state = 'pending'"), what="the mail is sent")
    assert ctl.run(module_stack, "user", "export", alice.name, "--output", tmp_path / "out.json").returncode == 0
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == 0o600
    data = json.loads((tmp_path / "out.json").read_text())
    login_session, token = data["sessions"]
    assert data["account"][0]["email"] == alice.user["email"] and "label" not in login_session
    assert (token["label"], token["scopes"], token["expires_at"], token["used_at"]) == ("cron", ["read", "send"], None, None)
    assert [m["content"] for m in data["messages"]] == ['mine, with "quotes" and ü']
    assert data["conversations"][0]["with"] == bob.name
    assert "hash" not in json.dumps(data) and "not mine" not in json.dumps(data)
    assert json.loads(ctl.run(module_stack, "user", "export", alice.name).stdout) == data


# ---------------------------------------------------------------------- sessions

def test_access_token_is_good_until_its_session_is_revoked(module_stack, alice):
    made = ctl.ask(module_stack, "session", "create", alice.name, "--ttl", 600)
    assert made["expires_in"] == 600 and me(module_stack, made["access_token"]).status_code == 200
    assert ctl.run(module_stack, "session", "create", alice.name).stdout.count(".") == 2
    shown = [s for s in ctl.ask(module_stack, "session", "list", alice.name) if s["id"] == made["session"]]
    assert shown[0]["user_agent"] == "parleyctl session create"
    with dm_socket(alice, token_in_url=False) as sock:
        ctl.ask(module_stack, "session", "revoke", made["session"])
        assert me(module_stack, made["access_token"]).status_code == 401
        assert alice.me().status_code == 200        # another session of theirs
        assert ctl.ask(module_stack, "session", "revoke", "--user", alice.name)["sessions_ended"] == 2
        sock.expect_close(4001)
    assert ctl.ask(module_stack, "session", "list", alice.name) == []
    assert len(ctl.ask(module_stack, "session", "list", alice.name, "--all")) == 3
    assert "not open" in fails(module_stack, EX_DATAERR, "session", "revoke", made["session"])


def test_disabled_user_gets_no_token(module_stack, alice):
    ctl.ask(module_stack, "user", "disable", alice.name)
    assert "disabled" in fails(module_stack, EX_NOUSER, "session", "create", alice.name)
    assert "disabled" in fails(module_stack, EX_NOUSER, "token", "create", alice.name, "--label", "cron")
    assert "dialect" in fails(module_stack, EX_USAGE, "session", "create", alice.name, "--dialect", "klingon")


# ---------------------------------------------------------------------- tokens for scripts

def script(module_stack, user, *options):
    """(id, secret) of a new token."""
    made = ctl.ask(module_stack, "token", "create", user.name, "--label", "cron", *options)
    return made["id"], made["secret"]


def test_scripts_token_does_what_its_scopes_say(module_stack, alice, bob):
    _, reads = script(module_stack, alice)
    _, sends = script(module_stack, alice, "--scope", "read, send")
    assert me(module_stack, reads).json()["id"] == alice.id
    assert Dm(module_stack, reads).send(bob, "from cron").status_code == 403
    assert Dm(module_stack, sends).send(bob, "from cron").status_code == 201
    eventually(lambda: refusal(Conv(module_stack, sends)) is None, what="the daemon knows it, too")


def test_secret_of_a_token_is_printed_once_and_alone(module_stack, alice):
    done = ctl.run(module_stack, "token", "create", alice.name, "--label", "Sicherung ü")
    secret = done.stdout.rstrip("\n")
    assert done.returncode == 0 and done.stdout == secret + "\n" and not done.stderr
    assert me(module_stack, secret).status_code == 200
    listed = ctl.run(module_stack, "token", "list", alice.name).stdout
    assert "Sicherung ü" in listed and secret not in listed
    assert not [row for row in everything(module_stack) if secret in row]


def test_tokens_are_listed_of_one_user_or_all(module_stack, alice, bob):
    room = as_conv(alice).group(bob)
    number, secret = script(module_stack, alice, "--scope", "admin,read,send", "--conversation", room["id"], "--expires", 30)
    other, _ = script(module_stack, bob)
    me(module_stack, secret)
    row, = ctl.ask(module_stack, "token", "list", alice.name)
    assert (row["id"], row["username"], row["label"], row["scopes"]) == (number, alice.name, "cron", "read send admin")
    assert ctl.ask(module_stack, "conversation", "show", row["conversation"])["id"] == row["conversation"]
    assert days_between(row["created"], row["expires"]) == 30
    every = [t["id"] for t in ctl.ask(module_stack, "token", "list")]
    assert every.index(other) < every.index(number)
    assert [t["id"] for t in ctl.ask(module_stack, "token", "list", "--limit", 1)] == every[:1]
    row, = ctl.ask(module_stack, "token", "list", bob.name)
    assert row["expires"] is None and row["conversation"] is None and row["scopes"] == "read"


def days_between(earlier, later):
    return (datetime.fromisoformat(later.rstrip("Z")) - datetime.fromisoformat(earlier.rstrip("Z"))).days


def test_revoked_token_is_refused_at_once(module_stack, alice):
    number, secret = script(module_stack, alice)
    kept, good = script(module_stack, alice)
    eventually(lambda: refusal(Conv(module_stack, secret)) is None, what="the daemon knows it")
    with dm_socket(Dm(module_stack, secret)) as sock:
        assert ctl.ask(module_stack, "token", "revoke", number) == {"id": number}
        assert me(module_stack, secret).status_code == 401
        sock.expect_close(4001)
    assert me(module_stack, good).status_code == 200 and alice.me().status_code == 200
    assert "no token" in fails(module_stack, EX_DATAERR, "token", "revoke", number)
    # A login is no token, and a token is known by its UUID, too.
    login_session = [s["id"] for s in ctl.ask(module_stack, "session", "list", alice.name) if s["dialect"] != "token"][0]
    assert "no token" in fails(module_stack, EX_DATAERR, "token", "revoke", login_session)
    uuid, = [t["id"] for t in alice.call("GET", "/api/v1/tokens").json()["tokens"]]
    assert ctl.ask(module_stack, "token", "revoke", uuid) == {"id": kept}


@pytest.mark.parametrize("options,status,word", [
    ([], EX_USAGE, "--label"), (["--label", ""], EX_DATAERR, "label"), (["--label", "x" * 101], EX_DATAERR, "label"),
    (["--label", "x", "--scope", "write"], EX_USAGE, "write"), (["--label", "x", "--scope", ""], EX_USAGE, "--scope"),
    (["--label", "x", "--expires", "0"], EX_USAGE, "--expires"), (["--label", "x", "--expires", "soon"], EX_USAGE, "--expires"),
    (["--label", "x", "--conversation", "999999999"], EX_DATAERR, "conversation"),
    (["--label", "x", "--conversation", "tuesday"], EX_USAGE, "tuesday"),
])
def test_token_nobody_could_use_is_not_made(module_stack, alice, options, status, word):
    assert word in fails(module_stack, status, "token", "create", alice.name, *options)
    assert ctl.ask(module_stack, "token", "list", alice.name) == []


def test_token_for_a_conversation_of_others_is_not_made(module_stack, alice, bob):
    room = as_conv(bob).group()
    assert "not" in fails(module_stack, EX_DATAERR, "token", "create", alice.name, "--label", "x", "--conversation", room["id"])


def test_tokens_stand_in_the_audit_log_as_the_administrators(module_stack, alice):
    number, _ = script(module_stack, alice)
    ctl.ask(module_stack, "token", "revoke", number)
    assert module_stack.query("SELECT kind, detail, address FROM audit_log WHERE session_id = %s ORDER BY id", number) == \
        [("token_created", "administrator: cron", None), ("token_revoked", "administrator", None)]


# ---------------------------------------------------------------------- keys

def test_rotated_key_signs_and_old_tokens_stay_good(module_stack, alice):
    file = module_stack.key_file()
    owner, before = file.stat().st_uid, list(keys.read(module_stack))
    made = ctl.ask(module_stack, "key", "rotate")
    assert list(keys.read(module_stack)) == [made["kid"], *before] and len(made["reloaded"]) == 3
    assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (owner, 0o600)
    assert [p.name for p in file.parent.iterdir()] == [file.name]       # no half-written file beside it
    assert alice.me().status_code == 200
    of_each_worker(module_stack, lambda: eventually(
        lambda: signed_by(alice.another_device().token) == made["kid"], what="new logins are signed with the new key"),
        pool="fcgi-auth")
    fresh = alice.another_device()
    of_each_worker(module_stack, lambda: eventually(lambda: fresh.me().status_code == 200, what="which is known"))
    assert [k["use"] for k in ctl.ask(module_stack, "key", "list")] == ["signs"] + ["verifies"] * len(before)
    ctl.ask(module_stack, "key", "remove", signed_by(alice.token))

    def only_the_old_one_is_refused():
        assert fresh.me().status_code == 200
        return alice.me().status_code == 401
    of_each_worker(module_stack, lambda: eventually(only_the_old_one_is_refused))
    eventually(lambda: refusal(as_conv(alice)) == 401, what="by the daemon, too")
    with dm_socket(fresh) as sock:
        sock.ping()


def signed_by(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def test_rotation_in_two_halves_for_several_hosts(module_stack):
    first = list(keys.read(module_stack))[0]
    added = ctl.ask(module_stack, "key", "add")["kid"]
    assert list(keys.read(module_stack))[0] == first and list(keys.read(module_stack))[-1] == added
    ctl.ask(module_stack, "key", "use", added)
    assert list(keys.read(module_stack))[0] == added


def test_last_key_and_unknown_keys_stay(module_stack, tmp_path):
    alone = tmp_path / "keys"
    alone.write_text("# ours\nk1 " + "ab" * 32 + "\n")
    alone.chmod(0o600)
    env = {"KEY_FILE": str(alone)}
    before = alone.read_text()
    for args in (["remove", "k1"], ["remove", "k2"], ["use", "k2"]):
        fails(module_stack, EX_DATAERR, "key", *args, env=env)
    assert alone.read_text() == before


# ---------------------------------------------------------------------- looking

def test_stats_count(module_stack, alice, bob):
    before = ctl.ask(module_stack, "stats")
    alice.make_message(bob, "one more")
    account(module_stack)
    after = ctl.ask(module_stack, "stats")
    assert after["messages"] == before["messages"] + 1 and after["users"] == before["users"] + 1
    assert after["daemons"] == 1 and after["direct_conversations"] == before["direct_conversations"] + 1
    assert "users " in ctl.run(module_stack, "stats").stdout


def test_conversation_is_shown_with_members_and_messages_on_request(module_stack, alice, bob):
    conv = as_conv(alice)
    group = conv.group(bob, name="the readers")
    for n in range(3):
        conv.say(group, f"page {n}")
    listed = [c for c in ctl.ask(module_stack, "conversation", "list", "--user", bob.name) if c["name"] == "the readers"]
    assert listed[0]["messages"] == 3 and listed[0]["owner"] == alice.name
    for name in (listed[0]["id"], group["id"]):
        shown = ctl.ask(module_stack, "conversation", "show", name)
        assert [m["username"] for m in shown["members"]] == [alice.name, bob.name] and "last_messages" not in shown
    shown = ctl.ask(module_stack, "conversation", "show", listed[0]["id"], "--messages", 2)
    assert [m["content"] for m in shown["last_messages"]] == ["page 1", "page 2"]
    assert "no conversation" in fails(module_stack, EX_DATAERR, "conversation", "show", 999999999)
    assert "no id" in fails(module_stack, EX_USAGE, "conversation", "show", "tuesday")


def test_control_characters_do_not_reach_the_terminal(module_stack, alice, bob):
    alice.make_message(bob, "bell \a and \x1b[31mred")
    room = ctl.ask(module_stack, "conversation", "list", "--user", alice.name)[0]["id"]
    text = ctl.run(module_stack, "conversation", "show", room, "--messages", 5).stdout
    assert "bell ? and ?[31mred" in text and "\x1b" not in text


# ---------------------------------------------------------------------- failing

def test_usage_is_told(module_stack):
    for args in ([], ["user"], ["user", "frobnicate"], ["user", "add"], ["user", "list", "a", "b"], ["stats", "--frob"],
                 ["user", "list", "--limit", "many"], ["user", "list", "--limit"], ["session", "revoke"]):
        done = ctl.run(module_stack, *args)
        assert done.returncode == EX_USAGE and done.stderr and not done.stdout, (args, done)


def test_half_a_command_is_told_how_to_go_on(module_stack):
    assert "list, create, revoke" in fails(module_stack, EX_USAGE, "token", "somebody")
    assert "no command frobnicate" in fails(module_stack, EX_USAGE, "frobnicate")


def test_errors_are_json_where_json_was_asked_for(module_stack):
    done = ctl.run(module_stack, "--json", "user", "disable", "nobody.at.all")
    assert done.returncode == EX_NOUSER and done.stdout == ""
    assert json.loads(done.stderr) == {"error": "there is no user nobody.at.all", "exit": EX_NOUSER}


def test_exit_codes_tell_what_is_wrong(module_stack, tmp_path):
    assert "database" in fails(module_stack, EX_UNAVAILABLE, "stats", env={"DATABASE_URL": "host=/nowhere"})
    assert "BCRYPT_COST" in fails(module_stack, EX_CONFIG, "stats", env={"BCRYPT_COST": "99"})
    done = subprocess.run([binary("parleyctl"), "--config", str(tmp_path / "absent"), "stats"], capture_output=True, text=True)
    assert done.returncode == EX_CONFIG and "absent" in done.stderr
    assert ctl.run(module_stack, "key", "list", env={"KEY_FILE": str(tmp_path / "none")}).returncode == 66
    assert not (tmp_path / "none").exists()


def test_full_disk_is_an_error(module_stack):
    with open("/dev/full", "w") as full:
        done = subprocess.run([binary("parleyctl"), "--config", str(module_stack.var / "conf/parley.env"), "export"],
                              stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 74, done.stderr
