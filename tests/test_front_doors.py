"""Other front doors than the nginx of `make run`, each for real: a server block that has a site already, Apache,
and plain CGI for hosts where nothing may run."""

import json
import os
import re
import shutil
import ssl
import subprocess
from http.client import HTTPConnection

import psycopg2
import pytest
import requests
import websocket

from parley import documents, events, procs
from parley.api import Dm, account
from parley.check import assert_problem
from parley.cluster import ROLE
from parley.conv import ConvSocket
from parley.doors import AS_ROOT, SHARED_HOST, Apache, Site
from parley.front import Front
from parley.sockets import DmSocket, dm_socket
from parley.stack import ROOT, Stack
from parley.wait import eventually

APACHE_MODULES = ("headers", "proxy", "proxy_fcgi", "proxy_http", "proxy_wstunnel", "rewrite", "unique_id")
SECRET = re.compile(r"/hooks/([\w-]{43})")
LARGE = b'{"content":"' + b"x" * (1 << 20) + b'"}'
NOT_ASCII = "zwölf Boxkämpfer ☃ 😀 \\ \" \n %00 &amp;"


def use_rest(one, other):
    """What every front door has to let through: bodies, answers, errors, methods, odd addresses."""
    sent = one.make_message(other, NOT_ASCII)
    assert sent["content"] == NOT_ASCII
    assert other.history(one).json() == [sent]
    again = [one.send(other, "once", key="a key of this test") for _ in range(2)]
    assert [r.status_code for r in again] == [201, 201] and again[0].json()["id"] == again[1].json()["id"]
    assert again[1].headers["Idempotency-Replayed"] == "true"
    form = one.call("POST", "/api/v1/messages/dm", data={"recipient_id": other.id, "content": "as a form"})
    assert form.status_code == 201 and form.json()["content"] == "as a form"
    assert one.login(username=one.name, password=one.password).status_code == 200
    fits = json.dumps({"recipient_id": other.id, "content": "fits", "extra": "x" * 900_000}).encode()
    assert one.raw("POST", "/api/v1/messages/dm", fits).status_code == 201
    chunks = (part for part in (fits[:1000], fits[1000:]))
    assert one.raw("POST", "/api/v1/messages/dm", chunks).status_code == 201
    assert one.call("HEAD", "/api/v1/users/me").status_code == 200
    conversation = one.call("POST", "/api/v1/conversations", json={"type": "group", "participant_ids": [other.id], "name": "a"}).json()
    path = "/api/v1/conversations/" + conversation["conversation"]["id"]
    hook = one.call("POST", path + "/webhooks", json={"name": "a machine"})
    assert hook.status_code == 201, hook.text
    secret = SECRET.search(hook.text)[1]
    one.stack.secrets.add(secret)
    assert one.call("POST", f"/hooks/{secret}", token=None, json={"text": NOT_ASCII}).text == "ok"
    assert other.call("GET", path + "/messages").json()["messages"][0]["body"] == NOT_ASCII
    assert one.call("PATCH", path, json={"name": "b"}).json()["conversation"]["name"] == "b"
    assert one.call("DELETE", path).status_code == 204
    assert other.call("GET", "/api/v1/conversations").status_code == 200
    assert_problem(one.me(token=None), 401, "unauthorized")
    assert_problem(one.call("GET", "/api/v1/nowhere"), 404, "not_found")
    assert one.call("PUT", "/api/v1/users/me").status_code == 405
    assert_problem(one.raw("POST", "/api/v1/messages/dm", b"{"), 400, "bad_json")
    preflight = one.call("OPTIONS", "/api/v1/users/me", headers={"Origin": "http://localhost:3000", "Access-Control-Request-Method": "GET"})
    assert preflight.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def assert_too_large(door, user):
    """The limit on a body, in the contract's shape."""
    resp = requests.post(door.url + "/api/v1/messages/dm", data=LARGE, headers={"Authorization": f"Bearer {user.token}"},
                         timeout=20, verify=user.http.verify)
    assert resp.status_code == 413 and resp.json()["code"] == "body_too_large"
    assert resp.headers["Content-Type"].startswith("application/problem+json")


def assert_no_token_is_logged(door, *users):
    for name, text in door.logs().items():
        assert not any(user.token in text or user.password in text for user in users), name
        assert not any(secret in text for secret in door.secrets), name


# ---------------------------------------------------------------------- a server block that has a site

def person(door):
    one = Dm(door)
    one.http.verify = door.certificate
    return one.make_account()


def secure_socket(user, path="/ws/chat"):
    return websocket.create_connection(f"{user.stack.ws_url}{path}?token={user.token}", timeout=10,
                                       sslopt={"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": user.stack.certificate})


@pytest.fixture(scope="module")
def site(stack):
    with Site(stack) as one:
        yield one


def test_existing_site_serves_the_api_beside_php(site):
    one, other = person(site), person(site)
    use_rest(one, other)
    assert_too_large(site, one)
    assert "the site's page" in requests.get(site.url + "/index.php", verify=site.certificate, timeout=10).text


def test_existing_site_has_sockets_events_and_no_token_in_its_logs(site):
    one, other = person(site), person(site)
    sock = secure_socket(other)
    sent = one.make_message(other, "through TLS")
    assert json.loads(sock.recv())["id"] == sent["id"]
    sock.close()
    cursor = events.now(other)
    one.make_message(other, "for the poll")
    resp = requests.get(site.url + "/api/v1/events", params={"after": cursor, "wait": 20}, timeout=30, verify=site.certificate,
                        headers={"Authorization": f"Bearer {other.token}"})
    assert events.told(resp.json()["events"]) == ["for the poll"]
    secure_socket(other).close()
    eventually(lambda: "/ws/chat" in site.logs()["parley-access.log"], what="the socket is logged")
    assert "/ws/chat" not in site.logs()["site-access.log"]
    assert_no_token_is_logged(site, one, other)


def site_answers(site):
    """What the site itself says: status, headers but the date, and body, for everything that could be touched."""
    with requests.Session() as http:
        http.verify, http.trust_env = site.certificate, False
        asks = [("GET", "/"), ("GET", "/index.php"), ("GET", "/index.php?status=404"), ("GET", "/index.php?status=502"), ("GET", "/missing"),
                ("GET", "/missing.php"), ("GET", "/text.txt"), ("POST", "/index.php", b"x" * 60_000), ("POST", "/index.php", b"x" * 70_000),
                ("GET", "/api"), ("GET", "/apiary"), ("GET", "/v1"), ("GET", "/wsx"), ("GET", "/ws/other"), ("PUT", "/text.txt", b"x"),
                ("GET", "/index.php", None, {"X-Large": "x" * 9000}), ("GET", "/missing?a=" + "x" * 9000)]
        for method, path, body, headers in ((*ask, None, None)[:4] for ask in asks):
            resp = http.request(method, site.url + path, data=body, headers=headers, timeout=10)
            said = {name: value for name, value in resp.headers.items() if name not in ("Date", "Last-Modified", "ETag")}
            yield f"{method} {path[:30]}", (resp.status_code, said, resp.text)


def test_existing_site_stays_as_it_was(site, stack):
    """Its pages, its errors, its limit on bodies, its headers: the same with Parley's files as without."""
    with Site(stack, parley=False) as before:
        alone, beside = dict(site_answers(before)), dict(site_answers(site))
    assert alone["GET /"][2].startswith("the site's page 0") and "REQUEST_ID" not in alone["GET /"][2], "the control"
    assert alone["GET /missing"][0] == 404 and "own 404" in alone["GET /missing"][2]
    assert [alone["POST /index.php"][0], alone["GET /apiary"][0]] == [413, 404]
    for what, said in alone.items():
        assert beside[what] == said, what


# ---------------------------------------------------------------------- Apache

@pytest.fixture(scope="module")
def apache(stack):
    with Apache(stack, "apache.conf", *APACHE_MODULES) as door:
        yield door


@pytest.fixture
def guests(apache):
    return account(apache), account(apache)


def test_apache_serves_the_api(apache, guests):
    use_rest(*guests)
    assert_too_large(apache, guests[0])
    assert requests.get(apache.url + "/", timeout=10).text == "the site's page\n"
    assert requests.get(apache.url + "/missing", timeout=10).text == "the site's own 404"


def test_apache_carries_sockets_both_ways(apache, guests):
    one, other = guests
    with dm_socket(one) as sock, dm_socket(other, token_in_url=False) as far:
        sock.ping()
        echo = sock.exchange(other, NOT_ASCII)
        assert echo["content"] == NOT_ASCII and far.recv_json() == echo
        sock.say(other, "x" * 16_000)
        assert len(far.recv_json()["content"]) == 16_000
    with dm_socket(other, since=echo["id"]) as later:
        assert len(later.recv_json()["content"]) == 16_000


def test_apache_passes_on_refusals_and_close_codes(apache, guests):
    with DmSocket(apache, "nonsense") as sock:
        sock.expect_close(4001)
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        ConvSocket(apache, "nonsense")
    assert refused.value.status_code == 401
    for query in ("%", "%zz", "%00"):
        http = HTTPConnection("127.0.0.1", apache.port, timeout=10)     # which leaves the query as it is
        http.request("GET", f"/ws/chat?{query}")
        resp = http.getresponse()
        assert resp.status == 400 and json.load(resp)["code"] == "bad_request"
        http.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as foreign:
        dm_socket(guests[0], origin="https://evil.example")
    assert foreign.value.status_code == 403
    with dm_socket(guests[0], origin=apache.url) as sock:
        sock.ping()


@pytest.mark.parametrize("offered,chosen", [("chat.dm", "chat.dm"), ("mqtt, chat.dm", "chat.dm"), ("mqtt", None)])
def test_apache_offers_the_daemon_only_subprotocols_it_knows(guests, offered, chosen):
    with dm_socket(guests[0], header=[f"Sec-WebSocket-Protocol: {offered}"]) as sock:
        assert sock.headers.get("sec-websocket-protocol") == chosen
        sock.ping()


def test_apache_holds_polls_and_streams(guests):
    one, other = guests
    cursor = events.now(other)
    waiting = events.Waiting(other, after=cursor, wait=20)
    with events.Stream(other).opened() as stream:
        one.make_message(other, "told at once")
        assert stream.next()["data"]["body"] == "told at once"
    assert events.told(waiting.answer().json()["events"]) == ["told at once"]
    assert events.told(events.page(other, after=cursor, wait=0)["events"]) == ["told at once"]


def test_apache_tells_the_clients_address_and_logs_no_token(apache, guests):
    far = Dm(apache, source="127.0.0.9")
    far.token = far.login(username=guests[0].name, password=guests[0].password).json()["access_token"]
    far.password = guests[0].password
    listed = far.call("GET", "/api/v1/sessions", headers={"X-Forwarded-For": "192.0.2.1"}).json()
    assert "127.0.0.9" in json.dumps(listed) and "192.0.2.1" not in json.dumps(listed)
    with dm_socket(guests[1]) as sock:
        sock.ping()
    eventually(lambda: '/ws/chat"' in apache.logs()["access.log"], what="the socket is logged")
    assert "/ws" not in apache.logs()["site-access.log"]
    assert_no_token_is_logged(apache, *guests, far)


def test_apache_reaches_a_daemon_and_a_pool_that_came_back():
    """Nothing is ruled out for a while after it has failed."""
    with Stack() as stack, Apache(stack, "apache.conf", *APACHE_MODULES) as apache:
        one, other = account(apache), account(apache)
        for name, door in (("ws-daemon", "ws.sock"), ("fcgi-app", "api.sock")):
            path, aside = stack.var / "run" / door, stack.var / "run/aside"
            path.rename(aside)
            try:
                resp = requests.get(apache.url + ("/ws" if name == "ws-daemon" else "/api/v1/users/me"), timeout=10)
                assert resp.status_code == 503 and resp.json()["code"] == "unavailable", name
                assert resp.headers["Content-Type"].startswith("application/problem+json")
            finally:
                aside.rename(path)
        with dm_socket(other) as sock:
            assert one.make_message(other, "back")["id"] == sock.recv_json()["id"]


def test_apache_virtual_host_of_the_document_has_tls_and_a_log_without_secrets(stack):
    text = documents.box("admin.md", "apache", "vhost")
    for old, new in (("/etc/ssl/chat.example.org.pem", "{dir}/cert.pem"), ("/etc/ssl/private/chat.example.org.key", "{dir}/key.pem"),
                     ("/usr/share/parley/apache.conf", "{dir}/parley.conf"), ("/access.log", "/site-access.log")):
        assert old in text
        text = text.replace(old, new)
    with Apache(stack, "apache.conf", *APACHE_MODULES, "ssl", host=text, scheme="https") as door:
        one, other = person(door), person(door)
        use_rest(one, other)
        sock = secure_socket(other)
        assert json.loads(sock.recv() if one.make_message(other, "through TLS") else "")["content"] == "through TLS"
        sock.close()
        requests.get(door.url + "/else?where", verify=door.certificate, timeout=10)
        eventually(lambda: "/else?where" in door.logs()["site-access.log"], what="the site has its log")
        eventually(lambda: "/ws/chat" in door.logs()["access.log"], what="the socket is logged")
        assert "/api" not in door.logs()["site-access.log"] and "/ws" not in door.logs()["site-access.log"]
        assert_no_token_is_logged(door, one, other)


@pytest.mark.parametrize("conf,modules", [("apache.conf", APACHE_MODULES), ("apache-cgi.conf", ("headers", "cgid"))])
def test_apache_keeps_tokens_from_programs_unless_told_otherwise(stack, guests, conf, modules):
    """As docs/admin.md has it, where a good token is refused."""
    assert guests[0].me().status_code == 200
    with Apache(stack, conf, *modules, edits=[("CGIPassAuth On", "CGIPassAuth Off")]) as door:
        resp = requests.get(door.url + "/api/v1/users/me", headers={"Authorization": f"Bearer {guests[0].token}"}, timeout=10)
        assert resp.status_code == 401


@pytest.mark.parametrize("line", ['fastcgi_param HTTP_AUTHORIZATION "";', "fastcgi_pass_request_headers off;"])
def test_nginx_passes_tokens_on_unless_told_otherwise(stack, guests, line):
    place = "fastcgi_keep_conn off;"
    assert "fastcgi_pass_header" not in (ROOT / "nginx.conf").read_text()
    assert line.split()[0] in documents.text("admin.md")
    for edit, status in ((place, 200), (f"{place} {line}", 401)):
        with Front(stack, (place, edit)) as door:
            resp = requests.get(door.url + "/api/v1/users/me", headers={"Authorization": f"Bearer {guests[0].token}"}, timeout=10)
            assert resp.status_code == status, resp.text


# ---------------------------------------------------------------------- plain CGI

@pytest.fixture(scope="module")
def cgi(stack):
    with Apache(stack, "apache-cgi.conf", "headers", "cgid") as door:
        yield door


def test_cgi_serves_the_api_and_events_by_polling(cgi):
    one, other = account(cgi), account(cgi)
    cursor = events.now(other)
    use_rest(one, other)
    assert_too_large(cgi, one)
    found, cursor = events.since(other, cursor, type="message")
    assert events.told(found)[:2] == [NOT_ASCII, "once"]
    assert events.page(other, after=cursor, wait=20)["events"] == [], "nobody waits where nothing may run"
    assert_no_token_is_logged(cgi, one, other)


def test_cgi_program_ends_with_its_request(cgi, stack):
    one = account(cgi)
    assert [one.me().status_code for _ in range(3)] == [200] * 3
    pools = {stack.pid("fcgi-app"), stack.pid("fcgi-auth")}

    def left():
        return {pid: command for pid, command in procs.belonging_to(str(stack.var)).items()
                if "bin/fcgi-app" in command and pid not in pools and not any(pid in procs.children(pool) for pool in pools)}
    try:
        eventually(lambda: not left(), what="no program is left")
    except AssertionError:
        assert not left()       # names it
        raise


@pytest.mark.parametrize("query", ["--help", "--routes", "--check-sql", "--config+/etc/passwd", "--config+/dev/null+x"])
def test_cgi_query_is_no_command_line(cgi, query):
    assert_problem(Dm(cgi).call("GET", f"/api/v1/users/me?{query}"), 401, "unauthorized")
    assert_problem(Dm(cgi).call("GET", f"/api/v1/nowhere?{query}"), 404, "not_found")


def test_cgi_program_says_what_is_missing(stack, tmp_path):
    """By hand, as a web server would start it; the settings come from the file alone."""
    environment = {"GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "REQUEST_URI": "/api/v1/users/me",
                   "PARLEY_CONFIG": str(tmp_path / "none")}
    done = subprocess.run([str(stack.var / "bin/fcgi-app"), "--version"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 78 and "none" in done.stderr and not done.stdout


class SharedHost(Apache):
    """A host where one may put files and nothing else, made as docs/admin.md says; its database is another one, for
    which nothing runs."""

    def __init__(self, stack):
        super().__init__(stack, None, "cgid", "rewrite", host=SHARED_HOST)

    def database(self):
        conn = self.stack.db("postgres")
        with conn.cursor() as cur:
            cur.execute("CREATE DATABASE shared_host TEMPLATE template0 ENCODING 'UTF8'")
        conn.close()
        url = self.stack.conninfo("shared_host")
        subprocess.run([ROOT / "db/migrate.sh"], env={**os.environ, "DATABASE_URL": url}, check=True, capture_output=True, timeout=60)
        return url

    def run(self):
        home = self.directory / "parley"
        home.mkdir()
        shutil.copy(self.stack.var / "bin/fcgi-app", home)
        settings = documents.box("admin.md", "env", "cgi").replace("/home/you/parley", str(home))
        own = re.sub("^DATABASE_URL=.*", "DATABASE_URL=" + self.database(), settings, flags=re.M)
        assert own != settings
        self.write("parley/parley.env", own + "CORS_ORIGINS=localhost\nBCRYPT_COST=4\n").chmod(0o600)
        if AS_ROOT:
            for path in (home, home / "parley.env"):
                shutil.chown(path, "www-data")
        self.write("cgi-bin/parley", documents.box("admin.md", "sh", "cgi").replace("/home/you/parley", str(home))).chmod(0o755)
        self.write("www/.htaccess", documents.box("admin.md", "apache", "htaccess"))
        super().run()


@pytest.fixture(scope="module")
def shared_host(stack):
    with SharedHost(stack) as door:
        yield door


def test_files_alone_are_enough_for_all_of_rest(shared_host):
    one, other = account(shared_host), account(shared_host)
    cursor = events.now(other)
    use_rest(one, other)
    assert_too_large(shared_host, one)
    refused = requests.post(shared_host.url + "/api/v1/messages/dm", data=b"x" * 900_000, timeout=20)
    assert_problem(refused, 401, "unauthorized")    # although nobody looked at the body
    assert events.told(events.since(other, cursor, type="message")[0])[:2] == [NOT_ASCII, "once"]
    assert requests.get(shared_host.url + "/index.html", timeout=10).text == "the site's page\n"


def test_cron_does_what_daemons_do_elsewhere(shared_host):
    """The very lines of the two documents."""
    one, stack = account(shared_host), shared_host.stack
    group = one.call("POST", "/api/v1/conversations", json={"type": "group", "participant_ids": [], "name": "ops"}).json()["conversation"]
    jobs = documents.cron_jobs(documents.box("admin.md", "crontab", "cgi"))
    assert jobs[0] in documents.text("sql.md") and len(jobs) == 2

    def said():
        return [m["body"] for m in one.call("GET", f"/api/v1/conversations/{group['id']}/messages").json()["messages"]]

    def cron(job):
        assert "-Xqd parley " in job
        done = subprocess.run(["/bin/sh", "-c", job.replace("-Xqd parley ", "-Xqd shared_host ")], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "PGHOST": f"{stack.var}/run", "PGUSER": ROLE})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "cron would send a mail"

    with psycopg2.connect(stack.conninfo("shared_host")) as conn, conn.cursor() as cur:
        cur.execute("SELECT chat_post('ops', 'backup done')")
        conn.commit()
        assert said() == [], "nobody delivers it"
        cron(jobs[0])
        assert said() == ["backup done"]
        cur.execute("UPDATE events SET created_at = now() - interval '31 days' WHERE id = (SELECT min(id) FROM events) RETURNING id")
        (old,), = cur.fetchall()
        conn.commit()
        cron(jobs[1])
        cur.execute("SELECT count(*) FROM events WHERE id <= %s", (old,))
        assert cur.fetchall() == [(0,)]
    conn.close()
