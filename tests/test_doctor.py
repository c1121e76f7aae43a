"""`parleyctl doctor`: each verdict, by a server in which just that is broken."""

import http.server
import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from time import time

import pytest

from parley import ctl, procs
from parley.conv import conv_account
from parley.front import Front
from parley.held import LOCKS_LAST
from parley.metrics import value
from parley.stack import Stack
from parley.wait import eventually

#: Guests and their messages come through the real limits of nginx; two daemons, so that each is asked.
STACK = {"daemons": 2, "env": {"API_WORKERS": "2", "AUTH_WORKERS": "1"}, "settings": LOCKS_LAST}


def states(verdicts, check):
    return {v["state"] for v in verdicts if v["check"] == check}


def bad(verdicts):
    return {v["check"] for v in verdicts if v["state"] == "bad"}


def guests(stack):
    return stack.query("SELECT count(*) FROM users WHERE username LIKE 'doctor%%'")[0][0] + \
        stack.query("SELECT count(*) FROM messages WHERE content LIKE 'for %%'")[0][0]


def assert_verdict(stack, front, check, mend, *others, state="bad", args=()):
    """The check fails, names the directive that mends it, and no others fail but those that depend on it. A visit
    takes less time than a daemon lets pass between two pings: it never waits for one."""
    code, verdicts = ctl.doctor(stack, front.url, *args, timeout=24)
    found = [v for v in verdicts if v["check"] == check and v["state"] == state]
    assert found, verdicts
    assert any(mend in (v["mend"] or "") for v in found), found
    assert bad(verdicts) <= {check, *others}, verdicts
    assert code == (1 if bad(verdicts) else 0)
    assert guests(stack) == 0


# ---------------------------------------------------------------------- the good case

def test_healthy_server_is_well_and_nothing_stays_of_the_visit(module_stack):
    code, verdicts = ctl.doctor(module_stack, module_stack.url)
    assert code == 0 and not bad(verdicts), verdicts
    for check in ("keys", "database", "schema", "clock", "reach", "authorization", "auth-pool", "address", "body-limit", "errors",
                  "workers", "api-pool", "buffering", "events", "upgrade", "daemons", "notify", "delivery", "log", "files", "disk"):
        assert states(verdicts, check) == {"ok"}, (check, verdicts)
    assert len([v for v in verdicts if v["check"] == "notify"]) == 2
    assert ["2 of 2" in v["says"] or "1 of 1" in v["says"] for v in verdicts if v["check"] == "workers"] == [True, True]
    assert guests(module_stack) == 0


def test_without_a_url_the_public_one_is_visited(module_stack):
    code, verdicts = ctl.doctor(module_stack)
    assert code == 0 and states(verdicts, "reach") == {"ok"}, verdicts


def test_people_get_sentences_and_what_mends_it(module_stack):
    done = ctl.run(module_stack, "doctor", "--min-disk", 2 ** 40, module_stack.url)
    assert done.returncode == 1
    assert "bad      disk" in done.stdout and "mend: free some space" in done.stdout
    assert " 1 bad, " in done.stdout.splitlines()[-1]


# ---------------------------------------------------------------------- one broken directive each

UPGRADE = "proxy_set_header Upgrade $http_upgrade;"
CONNECTION = "proxy_set_header Connection $parley_connection;"
AUTHORIZATION = "proxy_set_header Authorization $http_authorization;"
ADDRESS = "fastcgi_param REMOTE_ADDR       $remote_addr;"
REST = "location ~ ^/(api|v1|hooks)/ {"
LIMITS = "client_max_body_size 1m;"
KEEP = "fastcgi_keep_conn off;"

BROKEN = {
    # what stands in nginx.conf, what instead, the check, a word of its mending, checks that depend on it
    "upgrade not forwarded": (UPGRADE, "", "upgrade", UPGRADE),
    "connection not forwarded": (CONNECTION, "", "upgrade", CONNECTION),
    "authorization kept from the daemon": (AUTHORIZATION, "", "upgrade", AUTHORIZATION, "events"),
    "authorization kept from the workers": (ADDRESS, ADDRESS + ' fastcgi_param HTTP_AUTHORIZATION "";', "authorization",
                                            "HTTP_AUTHORIZATION", "upgrade", "body-limit", "delivery", "api-pool", "buffering"),
    "body limit too small": (LIMITS, "client_max_body_size 100k;", "body-limit", "client_max_body_size 1048576;"),
    "errors in HTML": ("error_page 400 404 405 408 411 413 414 429 500 501 502 503 504 505 /parley-error;", "", "errors", "error_page"),
    "address unknown": (ADDRESS, "", "address", ADDRESS.replace("       ", " ")),
    "everybody's word taken for it": (LIMITS, LIMITS + " set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;", "address",
                                      "set_real_ip_from"),
    "query in the access log": ("/access.log parley;", "/access.log combined;", "log", "log_format parley"),
    "requests in the error log": ("/nginx.log emerg;", "/nginx.log error;", "log", "error_log"),
    "slow uploads reach the workers": ("fastcgi_request_buffering on;", "fastcgi_request_buffering off;", "buffering",
                                       "fastcgi_request_buffering on;"),
    "few files for nginx": ("worker_rlimit_nofile", "worker_rlimit_nofile 300; #", "files", "worker_rlimit_nofile 20000;"),
    "sockets go to a worker": ("location ~ ^/(ws|ws/chat|api/v1/ws|v1/messages/ws)$ {", "location ~ ^/nowhere$ {", "upgrade",
                               "location ~ ^/(ws|"),
    "the pool is elsewhere": ("/api.sock", "/apis.sock", "reach", "upstream parley_api"),
    "the auth pool is elsewhere": ("/auth.sock", "/auths.sock", "auth-pool", "parley_auth"),
    "the daemon is elsewhere": ("/ws.sock", "/wss.sock", "upgrade", "upstream parley_ws", "events"),
    "streams are collected": ("proxy_buffering off;\n", "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;\n", "events",
                              "proxy_buffering off;"),
    "streams go to a worker": ("'~^GET .*text/event-stream' 1;", "", "events", "$parley_waits"),
    "the API is nowhere": (REST, "location ~ ^/nowhere$ {", "reach", "fastcgi_pass parley_api"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_directive_is_named(module_stack, name):
    old, new, check, mend, *others = BROKEN[name]
    edits = [(old, new)]
    if "daemon is elsewhere" in name:
        edits.append(("/ws-2.sock", "/wss-2.sock"))
    with Front(module_stack, *edits) as front:
        state = "warning" if "word taken" in name else "bad"
        assert_verdict(module_stack, front, check, mend, *others, state=state)


def test_unchanged_configuration_in_front_is_well(module_stack):
    """The control: what the cases above report comes from their change."""
    with Front(module_stack) as front:
        code, verdicts = ctl.doctor(module_stack, front.url)
        assert code == 0 and not bad(verdicts), verdicts


def test_daemon_nginx_does_not_know_is_missed(module_stack):
    run = f"{module_stack.var}/run"
    with Front(module_stack, (f"server unix:{run}/ws-2.sock max_fails=0;", "")) as front:
        assert_verdict(module_stack, front, "daemons", "upstream parley_ws", state="warning")


def test_socket_cut_before_its_time_is_noticed_when_asked(module_stack):
    # Long enough for the visit's other sockets on a busy machine, and shorter than the daemon's pings.
    with Front(module_stack, ("proxy_read_timeout 90s;", "proxy_read_timeout 8s;")) as front:
        assert_verdict(module_stack, front, "idle", "proxy_read_timeout 90s;", args=("--hold", 20))
        assert not states(ctl.doctor(module_stack, front.url)[1], "idle")


def test_held_socket_that_stays_is_well(module_stack):
    verdicts = ctl.doctor(module_stack, module_stack.url, "--hold", 2)[1]
    assert states(verdicts, "idle") == {"ok"}


# ---------------------------------------------------------------------- TLS

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """{days: (certificate, key)}, for 127.0.0.1."""
    made = {}
    for days in (5, 90):
        stem = tmp_path_factory.mktemp("tls") / "own"
        made[days] = (f"{stem}.pem", f"{stem}.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                        str(days), "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", made[days][0],
                        "-keyout", made[days][1]], check=True, capture_output=True)
    return made


def tls_front(stack, certificate):
    front = Front(stack, scheme="https")
    front.edits = ((f":{front.port};", f":{front.port} ssl; ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"),)
    return front


def test_certificate_nobody_vouches_for_is_refused(module_stack, certificates):
    with tls_front(module_stack, certificates[90]) as front:
        code, verdicts = ctl.doctor(module_stack, front.url)
        assert code == 1 and bad(verdicts) == {"tls"}, verdicts


def test_requests_and_sockets_go_over_tls(module_stack, certificates):
    with tls_front(module_stack, certificates[90]) as front:
        code, verdicts = ctl.doctor(module_stack, front.url, "--cacert", certificates[90][0])
        assert code == 0 and states(verdicts, "tls") == {"ok"} and states(verdicts, "delivery") == {"ok"}, verdicts


def test_certificate_about_to_expire_is_warned_of(module_stack, certificates):
    with tls_front(module_stack, certificates[5]) as front:
        code, verdicts = ctl.doctor(module_stack, front.url, "--cacert", certificates[5][0])
        assert code == 0 and states(verdicts, "tls") == {"warning"}, verdicts


# ---------------------------------------------------------------------- not nginx's fault

def test_nobody_there_is_said(module_stack):
    code, verdicts = ctl.doctor(module_stack, "http://127.0.0.1:9")
    assert code == 1 and bad(verdicts) == {"reach"}
    assert ctl.run(module_stack, "doctor", "parley.example.org").returncode == 64


def test_clock_that_goes_wrong_is_noticed(module_stack):
    class Late(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response_only(404)
            self.send_header("Date", formatdate(time() - 100, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Late) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        verdicts = ctl.doctor(module_stack, f"http://127.0.0.1:{server.server_port}")[1]
        server.shutdown()
    assert states(verdicts, "clock") == {"warning"} and bad(verdicts) == {"reach"}, verdicts


def test_keys_the_server_does_not_have_are_told_from_a_lost_header(module_stack, tmp_path):
    other = tmp_path / "keys"
    other.write_text("kother " + "ab" * 32 + "\n")
    other.chmod(0o600)
    code, verdicts = ctl.doctor(module_stack, module_stack.url, env={"KEY_FILE": str(other)})
    found = [v for v in verdicts if v["check"] == "keys" and v["state"] == "bad"]
    assert code == 1 and found and found[0]["mend"] == "KEY_FILE", verdicts
    assert "authorization" not in bad(verdicts)


def test_key_file_open_to_others_is_bad(module_stack, tmp_path):
    other = tmp_path / "keys"
    other.write_bytes(module_stack.key_file().read_bytes())
    other.chmod(0o644)
    verdicts = ctl.doctor(module_stack, module_stack.url, env={"KEY_FILE": str(other)})[1]
    assert bad(verdicts) == {"keys"} and "chmod 600" in [v["mend"] for v in verdicts if v["check"] == "keys"][0]


def test_schema_of_newer_programs_is_named(module_stack):
    module_stack.query("INSERT INTO schema_migrations (version, name) VALUES (9000, '9000_future.sql')")
    try:
        code, verdicts = ctl.doctor(module_stack, module_stack.url)
    finally:
        module_stack.query("DELETE FROM schema_migrations WHERE version = 9000")
    assert code == 1 and bad(verdicts) == {"schema"} and "9000" in str(verdicts)


def test_pool_whose_workers_hang_is_named(module_stack):
    workers = module_stack.workers("fcgi-auth")
    assert workers
    with procs.standing_still(workers):
        code, verdicts = ctl.doctor(module_stack, module_stack.url)
    assert code == 1 and "auth-pool" in bad(verdicts), verdicts
    assert guests(module_stack) == 0


def test_pool_without_a_free_worker_is_named_by_its_metrics(module_stack):
    """Two sends wait for a conversation that is locked; then their workers are stopped, so that they stay busy."""
    alice, bob = conv_account(module_stack), conv_account(module_stack)
    room = alice.group(bob)
    lock = module_stack.db(autocommit=False)
    with ThreadPoolExecutor(2) as pool, lock.cursor() as cur:
        cur.execute("SELECT FROM conversations ORDER BY id DESC LIMIT 1 FOR UPDATE")
        sends = [pool.submit(who.call, "POST", f"/api/v1/conversations/{room['id']}/messages", json={"body": "waits"}) for who in (alice, bob)]
        eventually(lambda: value(module_stack, "fcgi-app", "parley_pool_workers_busy") == 2, what="both workers are busy")
        with procs.standing_still(module_stack.workers("fcgi-app")):
            lock.rollback()
            code, verdicts = ctl.doctor(module_stack, module_stack.url)
        assert {send.result().status_code for send in sends} <= {201, 503, 504}
    lock.close()
    assert code == 1 and bad(verdicts) >= {"workers"}, verdicts
    found, = [v for v in verdicts if v["check"] == "workers" and v["state"] == "bad"]
    assert "none of 2 workers" in found["says"] and "FCGI_WORKERS" in found["mend"]
    assert states(verdicts, "workers") == {"ok", "bad"}         # the other pool


def test_without_metrics_the_doctor_says_it_went_by_latency(module_stack, tmp_path):
    """As from another machine: here by a file of settings that no running program was started with."""
    copy = tmp_path / "parley.env"
    copy.write_bytes((module_stack.var / "conf/parley.env").read_bytes())
    code, verdicts = ctl.doctor(module_stack, "--config", copy, module_stack.url)
    assert code == 0 and states(verdicts, "workers") == {"skipped"} and states(verdicts, "api-pool") == {"ok"}, verdicts
    assert "how long requests take" in [v["says"] for v in verdicts if v["check"] == "workers"][0]


def test_daemon_that_was_just_restarted_is_not_missed(module_stack):
    """What it was before is in the database for a while."""
    module_stack.seconds_to_respawn("ws-daemon", module_stack.kill("ws-daemon", signal.SIGTERM))
    code, verdicts = ctl.doctor(module_stack, module_stack.url)
    assert [v["state"] for v in verdicts if v["check"] == "daemons"] == ["ok"], verdicts


def test_daemon_that_listens_elsewhere_is_named():
    """As behind a pooler: LISTEN is accepted, and nothing is ever heard. Here it is another database."""
    with Stack() as stack:
        admin = stack.db("postgres")
        with admin.cursor() as cur:
            cur.execute("CREATE DATABASE elsewhere")
        admin.close()
        elsewhere = stack.conninfo("elsewhere")
        subprocess.run(["db/migrate.sh"], env={**os.environ, "DATABASE_URL": elsewhere}, check=True, capture_output=True,
                       cwd=os.path.dirname(os.path.dirname(__file__)))
        env = stack.var / "conf/parley.env"
        env.write_text(env.read_text() + f"LISTEN_DATABASE_URL={elsewhere}\n")
        listens = lambda: stack.log_text().count("event=listening")
        before = listens()
        stack.kill("ws-daemon", signal.SIGTERM)
        eventually(lambda: listens() > before, 15, "its successor listens")
        code, verdicts = ctl.doctor(stack, stack.url)
        found = [v for v in verdicts if v["check"] == "notify" and v["state"] == "bad"]
        assert code == 1 and found and "LISTEN_DATABASE_URL" in found[0]["mend"], verdicts
