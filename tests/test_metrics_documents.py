"""docs/metrics.md and the Grafana dashboard, tried on a Prometheus that scrapes a stack."""

import json
import random
import re
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import requests
import yaml

from parley import procs
from parley.api import account
from parley.mail import Courier
from parley.metrics import SERVICES, promtool, status, text
from parley.sockets import DmSocket
from parley.stack import ROOT, Stack, free_port
from parley.wait import eventually

DOCUMENT = (ROOT / "docs/metrics.md").read_text()
DASHBOARD = json.loads((ROOT / "docs/grafana-parley.json").read_text())
FIRST = 9461        # of the ports that the document names


def snippet(name):
    return re.search(rf"^<!-- {name} -->\n```yaml\n(.*?)^```", DOCUMENT, re.M | re.S)[1]


def queries():
    """Every query of the dashboard, by its panel's title."""
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def rules():
    return [rule for group in yaml.safe_load(snippet("rules"))["groups"] for rule in group["rules"]]


def names_in(expression):
    return set(re.findall(r"\bparley_[a-z_]+", expression))


@pytest.fixture(scope="module")
def said(stack):
    """{metric: (type, help)} of all services together."""
    found = {}
    for service in SERVICES:
        for name, help_, kind in re.findall(r"^# HELP (\S+) (.*)\n# TYPE \1 (\S+)$", text(stack, service), re.M):
            found[name] = (kind, help_)
    return found


# ---------------------------------------------------------------------- documents and programs agree

def test_the_table_lists_what_the_services_say(said):
    rows = re.findall(r"^\| `(parley_\w+)` \| (\w+) \| [^|]* \| [^|]* \| (.*) \|$", DOCUMENT, re.M)
    assert {name: (kind, help_) for name, kind, help_ in rows} == said


def test_the_table_says_which_service_has_what(stack):
    columns = {"all": set(SERVICES), "pools": {"fcgi-app", "fcgi-auth"}, "daemon": {"ws-daemon"}, "courier": {"courier"}}
    has = {service: set(re.findall(r"^# TYPE (\S+)", text(stack, service), re.M)) for service in SERVICES}
    for name, of in re.findall(r"^\| `(parley_\w+)` \| \w+ \| [^|]* \| ([^|]*) \|", DOCUMENT, re.M):
        assert {s for s in SERVICES if name in has[s]} == set.union(*(columns[one] for one in of.split(", "))), name


@pytest.mark.parametrize("expression", [e for _, e in queries()] + [rule["expr"] for rule in rules()])
def test_queries_and_rules_name_only_what_there_is(said, expression):
    exist = set(said)
    for name, (kind, _) in said.items():
        if kind == "histogram":
            exist |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
    assert names_in(expression) <= exist
    assert names_in(expression) or "up{" in expression


def test_promtool_accepts_the_configuration_and_the_rules():
    with tempfile.TemporaryDirectory() as directory:
        config, rule_file = Path(directory, "prometheus.yml"), Path(directory, "parley.rules.yml")
        config.write_text(snippet("prometheus"))
        rule_file.write_text(snippet("rules"))
        assert f"SUCCESS: {len(rules())} rules found" in promtool("check", "rules", rule_file)
        assert "is valid prometheus config file syntax" in promtool("check", "config", config)


def test_the_ports_are_those_of_the_units_and_of_make_run():
    ports = {"api": FIRST, "auth": FIRST + 1, "courier": FIRST + 2, "ws@": "947%i"}
    for unit, port in ports.items():
        assert f"METRICS_LISTEN=127.0.0.1:{port}\n" in (ROOT / f"ctl/systemd/parley-{unit}.service").read_text()
    targets = yaml.safe_load(snippet("prometheus"))["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"127.0.0.1:{FIRST + offset}" for offset in (0, 1, 2, 10)]
    assert f"METRICS_PORT:-{FIRST}" in (ROOT / "ctl/stack.sh").read_text()


def test_the_dashboard_can_be_imported():
    """What Grafana's import asks for: panels with ids of their own, a data source that is chosen there."""
    assert DASHBOARD["id"] is None and DASHBOARD["uid"] and DASHBOARD["title"] and DASHBOARD["schemaVersion"] >= 36
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    assert [v["type"] for v in DASHBOARD["templating"]["list"] if v["name"] == "datasource"] == ["datasource"]
    variables = {v["name"] for v in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    taken = set()
    for panel in DASHBOARD["panels"]:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and panel["targets"]
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    for title, expression in queries():
        assert set(re.findall(r"\$\{?(\w+)", expression)) <= variables, title


# ---------------------------------------------------------------------- a Prometheus of the tests' own

def free_ports():
    """The first of the ports that a stack with two daemons answers on."""
    while True:
        first = random.randrange(10000, 17000)
        try:
            for offset in (0, 1, 2, 10, 11):
                with socket.create_server(("127.0.0.1", first + offset)):
                    pass
            return first
        except OSError:
            continue


class Prometheus:
    """Scrapes as the document says, but for the ports, every second."""

    def __init__(self, directory, first):
        self.port = free_port()
        config = snippet("prometheus").replace("127.0.0.1:9471", "127.0.0.1:9471\n          - 127.0.0.1:9472")
        config = re.sub(r"127\.0\.0\.1:(94\d\d)", lambda m: f"127.0.0.1:{first + int(m[1]) - FIRST}", config)
        Path(directory, "prometheus.yml").write_text("global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + config)
        Path(directory, "parley.rules.yml").write_text(snippet("rules"))
        self.log = open(Path(directory, "log"), "w")
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{self.port}"],
            cwd=directory, stdout=self.log, stderr=self.log)

    def get(self, path, **params):
        return requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=params, timeout=10).json()

    def ask(self, expression):
        answer = self.get("query", query=expression)
        assert answer["status"] == "success", f"{expression}: {answer}"
        return answer["data"]["result"]

    def is_up(self, count):
        try:
            return len(self.ask("up == 1")) == count
        except requests.RequestException:
            return False

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def watched():
    """A stack with two daemons and some traffic, and a Prometheus that has seen it."""
    first = free_ports()
    with Stack(daemons=2, env={"METRICS_PORT": str(first)}) as stack, tempfile.TemporaryDirectory() as directory:
        prometheus = Prometheus(directory, first)
        try:
            one, other = account(stack), account(stack)
            eventually(lambda: prometheus.is_up(5), what="all five are scraped")
            with DmSocket(stack, one.token, daemon=1) as sock, DmSocket(stack, other.token, daemon=2):
                for i in range(20):
                    one.make_message(other, f"n{i}")
                sock.collect(20)
                eventually(lambda: prometheus.ask("sum(parley_sockets) == 2"))
            assert one.login(username=one.name, password="wrong").status_code == 401
            eventually(lambda: prometheus.ask("sum(rate(parley_logins_total[1m])) > 0"))
            yield stack, prometheus
        finally:
            prometheus.close()


#: What stays empty as long as nothing goes wrong.
QUIET = {"Requests that failed here"}


def test_prometheus_answers_every_query_of_the_dashboard(watched):
    _, prometheus = watched
    for title, expression in queries():
        query = expression.replace("$job", "parley").replace("$__rate_interval", "1m")
        if title in QUIET:
            prometheus.ask(query)               # which fails on what Prometheus cannot read
        else:                                   # a rate wants two scrapes of every service
            eventually(lambda: prometheus.ask(query), what=f"{title}: {query} finds something")


def test_what_prometheus_sums_up_is_what_was_done(watched):
    stack, prometheus = watched
    sent = stack.query("SELECT count(*) FROM messages")[0][0]
    eventually(lambda: [row["value"][1] for row in prometheus.ask("sum(parley_messages_sent_total)")] == [str(sent)])


def test_no_alert_fires_while_all_is_well_and_one_does_when_a_daemon_is_gone(watched):
    stack, prometheus = watched
    assert {rule["health"] for group in prometheus.get("rules")["data"]["groups"] for rule in group["rules"]} == {"ok"}
    assert prometheus.get("alerts")["data"]["alerts"] == []
    daemon = stack.var / "service/ws-daemon-2"
    subprocess.run(["s6-svc", "-wD", "-T", "20000", "-d", str(daemon)], check=True)
    try:
        eventually(lambda: [a["labels"]["alertname"] for a in prometheus.get("alerts")["data"]["alerts"]] == ["ParleyDown"])
    finally:
        subprocess.run(["s6-svc", "-wu", "-T", "20000", "-u", str(daemon)], check=True)
    eventually(lambda: prometheus.is_up(5))


def test_ports_that_were_asked_for_and_are_taken_stop_the_start():
    first = free_ports()
    with socket.create_server(("127.0.0.1", first + 10)):
        insists = Stack(env={"METRICS_PORT": str(first)})
        refused = insists.script("start", check=False)
        assert refused.returncode and f"port {first + 10} is taken" in refused.stdout
        insists.assert_nothing_runs()
        insists.discard()


def test_the_usual_ports_are_done_without_when_they_are_taken():
    try:
        taken = socket.create_server(("127.0.0.1", FIRST + 1))
    except OSError:
        taken = socket.socket()         # by somebody else
    with taken, Stack(env={"METRICS_PORT": ""}) as stack:
        assert [status(stack, service, "/readyz") for service in SERVICES] == [200] * 4


def test_an_address_that_is_taken_keeps_no_service_from_its_work(stack):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with Courier(stack, METRICS_LISTEN=where) as courier:
            assert f"setting=METRICS_LISTEN where={where}" in courier.text() and "event=started" in courier.text()


def test_an_empty_setting_opens_nothing(stack):
    """METRICS_LISTEN as the programs have it by default."""
    with Courier(stack) as courier:
        assert not [pid for pid in procs.children(courier.process.pid) if procs.name(pid) == "parley-monitor"]
