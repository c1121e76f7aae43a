"""/healthz, /readyz and /metrics: numbers that are exact, lights that tell the truth."""

import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from parley import procs
from parley.api import Dm, account, fresh_name
from parley.check import assert_problem, number_of
from parley.conv import ConvSocket
from parley.metrics import SERVICES, Watch, ask, promtool, samples, status, text, value
from parley.sockets import DmSocket
from parley.wait import eventually

TRIES, SOCKETS, BURST, BODY_MAX = 2, 3, 20, 4096
STACK = {"settings": {"LOGIN_TRIES": TRIES, "SOCKETS_PER_USER": SOCKETS, "SOCKET_RATE": 1, "SOCKET_BURST": BURST,
                      "BODY_MAX": BODY_MAX}}
REQUESTS, TIMES, ERRORS = "parley_http_requests_total", "parley_http_request_duration_seconds_count", "parley_errors_total"


@pytest.fixture
def stack(module_stack):
    eventually(lambda: module_stack.database_answers() and all(status(module_stack, name, "/readyz") == 200 for name in SERVICES),
               20, "every service is ready")
    return module_stack


def expect(watch, expected):
    """The watched numbers moved by exactly this. (A worker counts when the client has its answer already.)"""
    expected = {(name, labels): number for name, labels, number in expected}
    eventually(lambda: watch.moved() == expected, 5, f"{expected}, not {watch.moved()}")


def route(method, pattern, code=None):
    return f'method="{method}",route="{pattern}"' + (f',status="{code}"' if code else "")


# ---------------------------------------------------------------------- counters

def test_requests_are_counted_by_route_and_status(stack, alice, bob):
    watch = Watch(stack, REQUESTS, TIMES, ERRORS, "parley_messages_sent_total", services=["fcgi-app"])
    for i in range(3):
        alice.make_message(bob, f"n{i}", key=f"k{i}")
    assert alice.send(bob, "n0", key="k0").headers["Idempotency-Replayed"] == "true"
    assert alice.history(bob).status_code == 200
    assert_problem(alice.send(alice, "me"), 400, "self_message")
    assert_problem(Dm(stack).me(), 401, "unauthorized")
    send, history, me = "/api/v1/messages/dm", "/api/v1/messages/dm/{uuid}", "/api/v1/users/me"
    expect(watch, [(REQUESTS, route("POST", send, 201), 4), (REQUESTS, route("POST", send, 400), 1),
                   (REQUESTS, route("GET", history, 200), 1), (REQUESTS, route("GET", me, 401), 1),
                   (TIMES, route("POST", send), 5), (TIMES, route("GET", history), 1), (TIMES, route("GET", me), 1),
                   (ERRORS, 'code="self_message"', 1), (ERRORS, 'code="unauthorized"', 1),
                   ("parley_messages_sent_total", "", 3)])


def test_the_numbers_of_all_workers_are_one_sum(stack, alice):
    watch = Watch(stack, REQUESTS, services=["fcgi-app"])
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: Dm(stack, alice.token).me().status_code, range(200))) == {200}
    expect(watch, [(REQUESTS, route("GET", "/api/v1/users/me", 200), 200)])


def test_unknown_addresses_make_one_series(stack):
    watch = Watch(stack, REQUESTS, services=["fcgi-app"])
    for _ in range(20):
        assert requests.get(f"{stack.url}/api/{fresh_name()}", timeout=5).status_code == 404
    assert requests.request("BREW", f"{stack.url}/api/v1/users/me", timeout=5).status_code == 405
    expect(watch, [(REQUESTS, route("-", "-", 404), 20), (REQUESTS, route("-", "-", 405), 1)])


def test_logins_are_counted_by_how_they_ended(stack, alice):
    logins, limits = "parley_logins_total", "parley_limits_hit_total"
    watch = Watch(stack, logins, limits, services=["fcgi-auth"])
    assert alice.login(username=alice.name, password=alice.password).status_code == 200
    for _ in range(TRIES + 1):
        last = alice.login(username=alice.name, password="not the password")
    assert last.status_code == 429
    expect(watch, [(logins, 'result="ok"', 1), (logins, 'result="failed"', TRIES),
                   (logins, 'result="throttled"', 1), (limits, 'limit="login_tries"', 1)])


def test_sockets_are_counted_by_dialect_and_by_why_they_closed(stack, alice):
    daemon = ["ws-daemon"]
    opened, closed = "parley_sockets_opened_total", "parley_sockets_closed_total"
    eventually(lambda: value(stack, "ws-daemon", "parley_sockets") == 0)
    watch = Watch(stack, opened, closed, "parley_sockets", services=daemon)
    with DmSocket(stack, alice.token), DmSocket(stack, alice.token), ConvSocket(stack, alice.token):
        with DmSocket(stack, "no token") as refused:
            refused.expect_close(4001)
        expect(watch, [(opened, 'dialect="dm"', 3), (opened, 'dialect="conv"', 1), (closed, 'reason="unauthorized"', 1),
                       ("parley_sockets", 'dialect="dm"', 2), ("parley_sockets", 'dialect="conv"', 1)])
    expect(watch, [(opened, 'dialect="dm"', 3), (opened, 'dialect="conv"', 1), (closed, 'reason="unauthorized"', 1),
                   (closed, 'reason="peer"', 3)])


def test_frames_and_messages_over_sockets_are_counted(stack, alice, bob):
    received, sent, messages, delivered = names = [
        "parley_frames_received_total", "parley_frames_sent_total", "parley_messages_sent_total",
        "parley_message_delivery_seconds_count"]
    with DmSocket(stack, alice.token) as here, DmSocket(stack, bob.token) as there:
        watch = Watch(stack, *names, services=["ws-daemon"])
        changes = Watch(stack, "parley_feed_changes_total", services=["ws-daemon"])
        for i in range(5):
            here.exchange(bob, f"n{i}", client_msg_id=f"s{i}")
        there.collect(5)
        here.exchange(bob, "n0", client_msg_id="s0")        # the first result again
        assert "error" in here.exchange(alice, "to myself")
        expect(watch, [(received, "", 7), (sent, "", 12), (messages, "", 5), (delivered, "", 5)])
        eventually(lambda: changes.moved().get(("parley_feed_changes_total", ""), 0) >= 5)      # receipts are among them


def test_every_limit_that_is_hit_is_counted(stack, alice, bob, connect):
    limits = "parley_limits_hit_total"
    watch = Watch(stack, limits, services=["fcgi-app", "ws-daemon"])
    assert_problem(alice.send(bob, "x" * BODY_MAX), 413, "body_too_large")
    expect(watch, [(limits, 'limit="body_size"', 1)])
    for _ in range(SOCKETS):
        connect(bob)
    connect(bob).expect_close(4010)
    flood = connect(alice)
    for i in range(3 * BURST):          # more than a slow machine's seconds give back
        flood.say(bob, f"n{i}")
    flood.expect_close(4009)
    expect(watch, [(limits, 'limit="body_size"', 1), (limits, 'limit="sockets_per_user"', 1), (limits, 'limit="frame_rate"', 1)])


def test_events_over_http_are_counted_where_they_are_answered(stack, alice):
    watch = Watch(stack, REQUESTS, ERRORS, services=["ws-daemon"])
    with requests.get(f"{stack.url}/api/v1/events", stream=True, timeout=5,
                      headers={"Authorization": f"Bearer {alice.token}", "Accept": "text/event-stream"}) as stream:
        assert stream.status_code == 200
        eventually(lambda: value(stack, "ws-daemon", "parley_event_watchers") == 1)
    assert_problem(Dm(stack).call("GET", "/api/v1/events?wait=1"), 401, "unauthorized")
    expect(watch, [(REQUESTS, route("GET", "/api/v1/events", 200), 1), (REQUESTS, route("GET", "/api/v1/events", 401), 1),
                   (ERRORS, 'code="unauthorized"', 1)])
    eventually(lambda: value(stack, "ws-daemon", "parley_event_watchers") == 0)


def test_mails_are_counted_and_so_is_what_is_owed(stack):
    watch = Watch(stack, "parley_mails_total", services=["courier"])
    account(stack)
    eventually(lambda: watch.moved().get(("parley_mails_total", 'result="logged"'), 0) >= 1)
    eventually(lambda: value(stack, "courier", "parley_mail_queue") == 0)
    stack.query("INSERT INTO mail_outbox (kind, recipient, created_at, next_attempt_at) VALUES "
                "('verify', 'nobody@example.org', now() - interval '1 hour', now() + interval '1 hour')")
    assert value(stack, "courier", "parley_mail_queue") == 1
    assert 3600 <= value(stack, "courier", "parley_mail_queue_age_seconds") < 3660
    stack.query("DELETE FROM mail_outbox WHERE recipient = 'nobody@example.org'")


def test_messages_deleted_because_of_their_age_are_counted(stack, alice, bob):
    watch = Watch(stack, "parley_retention_deleted_total", services=["courier"])
    sent = [number_of(alice.make_message(bob, f"old {n}")["id"]) for n in range(3)]
    stack.query("UPDATE messages SET created_at = created_at - interval '10 days' WHERE id = ANY (%s)", sent)
    stack.query("SELECT retention_set(conversation_id, NULL, 5) FROM messages WHERE id = %s", sent[0])
    eventually(lambda: watch.moved() == {("parley_retention_deleted_total", ""): 3}, 20)
    eventually(lambda: 0 < value(stack, "courier", "parley_retention_run_duration_seconds") < 60)
    looked = value(stack, "courier", "parley_retention_run_timestamp_seconds")
    assert time.time() - 60 < looked <= time.time()
    eventually(lambda: value(stack, "courier", "parley_retention_run_timestamp_seconds") > looked, 15, "it goes on looking")


def test_a_change_that_commits_late_counts_as_a_gap_filled(stack, alice, bob, new_user):
    gaps = "parley_feed_gaps_filled_total"
    other = new_user()
    watch = Watch(stack, gaps, services=["ws-daemon"])
    late = stack.db(autocommit=False)
    with late.cursor() as cur:      # takes its id now, and commits it after a higher one
        cur.execute("INSERT INTO events (kind, user_id) SELECT 'contact_removed', id FROM users WHERE username = %s", (other.name,))
    with DmSocket(stack, bob.token) as sock:
        alice.make_message(bob, "has overtaken it")
        sock.recv_json()
        late.commit()
        late.close()
        stack.query("SELECT wake()")
        expect(watch, [(gaps, "", 1)])


# ---------------------------------------------------------------------- the text

@pytest.mark.parametrize("service", SERVICES)
def test_promtool_finds_nothing_to_say(stack, alice, bob, service):
    with DmSocket(stack, alice.token) as sock:
        sock.exchange(bob, "hello")
        alice.make_message(bob, "hello")
    assert promtool("check", "metrics", text=text(stack, service)) == ""


def test_nobody_is_named(stack, alice, bob):
    with DmSocket(stack, alice.token) as sock:
        sock.exchange(bob, "a secret")
    alice.login(username=alice.name, password="wrong")
    everything = "".join(text(stack, service) for service in SERVICES)
    for private in (alice.name, alice.id, alice.user["email"], alice.token, bob.name, bob.id, "secret", "127.0.0.1"):
        assert private not in everything


@pytest.mark.parametrize("method,path,code", [("GET", "/", 404), ("GET", "/metric", 404), ("GET", "/metrics/more", 404),
                                              ("POST", "/metrics", 405), ("DELETE", "/healthz", 405)])
def test_other_requests_are_refused_in_our_shape(stack, method, path, code):
    for service in SERVICES:
        got, headers, body = ask(stack, service, path, method)
        assert got == code and f'"status":{code}' in body and headers["Content-Type"] == "application/problem+json"
        assert code != 405 or headers["Allow"] == "GET, HEAD"


def test_head_has_the_headers_alone(stack):
    code, headers, body = ask(stack, "fcgi-app", "/metrics", "HEAD")
    assert code == 200 and int(headers["Content-Length"]) > 1000 and body == ""


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/api/metrics"])
def test_the_public_does_not_see_any_of_it(stack, path):
    resp = requests.get(stack.url + path, timeout=5)
    assert resp.status_code == 404 and "parley_" not in resp.text


def test_one_who_says_nothing_holds_nobody_up_for_long(stack):
    with socket.socket(socket.AF_UNIX) as mute:
        mute.connect(str(stack.var / "run/fcgi-app.stat"))
        assert ask(stack, "fcgi-app", "/healthz", timeout=3)[0] == 200


# ---------------------------------------------------------------------- the process that answers

@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_monitor_is_replaced_and_has_forgotten_nothing(stack, service):
    before = samples(stack, service)["parley_start_time_seconds", ""]
    connects = value(stack, service, "parley_database_connects_total")
    [monitor] = [pid for pid in procs.belonging_to(str(stack.var / "service" / service)) if procs.name(pid) == "parley-monitor"]
    procs.kill(monitor, signal.SIGKILL)
    eventually(lambda: status(stack, service, "/healthz") == 200 and not procs.alive(monitor), 5)
    assert samples(stack, service)["parley_start_time_seconds", ""] == before
    assert value(stack, service, "parley_database_connects_total") >= connects >= 1


def test_a_killed_worker_takes_no_numbers_along(stack, alice):
    deaths = "parley_pool_worker_deaths_total"
    watch = Watch(stack, REQUESTS, deaths, services=["fcgi-app"])
    for _ in range(10):
        assert alice.me().status_code == 200
    mine = (REQUESTS, route("GET", "/api/v1/users/me", 200), 10)
    expect(watch, [mine])
    procs.kill(stack.workers()[0], signal.SIGKILL)
    expect(watch, [mine, (deaths, "", 1)])
    eventually(lambda: value(stack, "fcgi-app", "parley_pool_workers") == 4)


def test_a_worker_is_busy_while_it_is_at_a_request(stack, alice, bob):
    def busy():
        return value(stack, "fcgi-app", "parley_pool_workers_busy")
    alice.make_message(bob, "first")
    lock = stack.db(autocommit=False)
    with lock.cursor() as cur, ThreadPoolExecutor(2) as pool:
        eventually(lambda: busy() == 0, 5, "all are free")
        cur.execute("SELECT FROM conversations FOR UPDATE")
        sends = [pool.submit(alice.send, bob, f"waits {i}") for i in range(2)]
        eventually(lambda: busy() == 2, 4, "two are busy")
        waiting = [row[0] for row in stack.query("SELECT pid FROM pg_locks WHERE NOT granted")]
        assert len(waiting) >= 1
        lock.rollback()
        assert {send.result().status_code for send in sends} == {201}
    lock.close()
    eventually(lambda: busy() == 0, 5, "all are free again")


def test_a_worker_killed_at_a_request_is_not_busy_for_ever(stack, alice, bob):
    alice.make_message(bob, "first")
    lock = stack.db(autocommit=False)
    with lock.cursor() as cur, ThreadPoolExecutor(1) as pool:
        cur.execute("SELECT FROM conversations FOR UPDATE")
        send = pool.submit(alice.send, bob, "lost")
        eventually(lambda: value(stack, "fcgi-app", "parley_pool_workers_busy") == 1, 4, "one is busy")
        for pid in stack.workers():
            procs.kill(pid, signal.SIGKILL)
        eventually(lambda: value(stack, "fcgi-app", "parley_pool_workers_busy") == 0, 4, "none is")
        lock.rollback()
        assert send.result().status_code == 502
    lock.close()


def test_the_monitor_holds_none_of_the_services_sockets(stack, alice):
    with DmSocket(stack, alice.token):
        for service in SERVICES:
            ask(stack, service, "/readyz")
            [monitor] = [pid for pid in procs.belonging_to(str(stack.var / "service" / service))
                         if procs.name(pid) == "parley-monitor"]
            links = [os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in os.listdir(f"/proc/{monitor}/fd")]
            assert len([link for link in links if link.startswith("socket:")]) <= 2, links  # listening; PostgreSQL


def test_a_killed_pool_answers_again_from_zero(stack, alice):
    alice.me()
    old = stack.kill("fcgi-app", signal.SIGKILL)
    eventually(lambda: stack.runs_again("fcgi-app", old) and status(stack, "fcgi-app", "/readyz") == 200, 10)
    watch = Watch(stack, REQUESTS, services=["fcgi-app"])
    assert alice.me().status_code == 200
    expect(watch, [(REQUESTS, route("GET", "/api/v1/users/me", 200), 1)])


# ---------------------------------------------------------------------- the lights

def lights(stack, path):
    return [status(stack, service, path) for service in SERVICES]


def control(stack, service, *args):
    subprocess.run(["s6-svc", *args, str(stack.var / "service" / service)], check=True)


def test_ready_is_red_while_postgresql_is_stopped(stack):
    assert lights(stack, "/readyz") == lights(stack, "/healthz") == [200] * 4
    control(stack, "postgres", "-wD", "-T", "20000", "-d")
    try:
        eventually(lambda: lights(stack, "/readyz") == [503] * 4, 10, "all are red")
        assert lights(stack, "/healthz") == [200] * 4
        assert [value(stack, service, "parley_ready") for service in SERVICES] == [0] * 4
        body = ask(stack, "fcgi-app", "/readyz")[2]
        assert '"code":"unavailable"' in body and "the database does not answer" in body
        eventually(lambda: value(stack, "ws-daemon", "parley_database_up") == 0 == value(stack, "ws-daemon", "parley_listen_up"))
    finally:
        control(stack, "postgres", "-wu", "-T", "20000", "-u")
    eventually(lambda: lights(stack, "/readyz") == [200] * 4, 15, "all are green again")
    eventually(lambda: [value(stack, service, "parley_ready") for service in SERVICES] == [1] * 4)
    eventually(lambda: value(stack, "ws-daemon", "parley_database_losses_total") >= 4)


def test_a_daemon_that_stands_still_is_not_healthy(stack):
    with procs.standing_still([stack.pid("ws-daemon")]):
        eventually(lambda: status(stack, "ws-daemon", "/healthz") == 503, 20, "it is seen")
        assert "stands still" in ask(stack, "ws-daemon", "/readyz")[2]
    eventually(lambda: status(stack, "ws-daemon", "/healthz") == status(stack, "ws-daemon", "/readyz") == 200, 10)


@pytest.fixture
def separate_listener(stack):
    """LISTEN comes with a role of its own, which can be kept out while all else goes on."""
    stack.listen_as("listener")
    eventually(lambda: status(stack, "ws-daemon", "/readyz") == 200, 10)
    yield "listener"


def test_ready_is_red_while_listen_is_down_alone(stack, separate_listener, alice, bob):
    assert value(stack, "ws-daemon", "parley_listen_up") == 1
    with DmSocket(stack, bob.token) as sock:
        stack.query("ALTER ROLE listener NOLOGIN")
        stack.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'listener'")
        eventually(lambda: status(stack, "ws-daemon", "/readyz") == 503, 10, "it is red")
        assert "LISTEN is down" in ask(stack, "ws-daemon", "/readyz")[2]
        assert lights(stack, "/healthz") == [200] * 4 and status(stack, "fcgi-app", "/readyz") == 200
        assert value(stack, "ws-daemon", "parley_listen_up") == 0
        alice.make_message(bob, "meanwhile")
        stack.query("ALTER ROLE listener LOGIN")
        eventually(lambda: status(stack, "ws-daemon", "/readyz") == 200, 10, "it is green again")
        assert sock.recv_json()["content"] == "meanwhile"


def test_the_heartbeats_way_is_measured(stack):
    eventually(lambda: 0 < value(stack, "ws-daemon", "parley_notify_lag_seconds") < 2, 20)


def test_a_daemon_that_stops_is_not_ready_while_its_clients_leave(stack, alice):
    with DmSocket(stack, alice.token):      # reads nothing, so it does not leave
        old = stack.kill("ws-daemon", signal.SIGTERM)
        eventually(lambda: status(stack, "ws-daemon", "/readyz") == 503, 2, "it is red", every=0.01)
        assert procs.alive(old) and "no sockets are let in" in ask(stack, "ws-daemon", "/readyz")[2]
    eventually(lambda: stack.runs_again("ws-daemon", old) and status(stack, "ws-daemon", "/readyz") == 200, 10)
