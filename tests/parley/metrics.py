"""Reading what a service says on METRICS_LISTEN, which in a test's stack is a unix socket."""

import http.client
import re
import socket
import subprocess

SERVICES = ["fcgi-app", "fcgi-auth", "courier", "ws-daemon"]
_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z]+)="([^"]*)"')


class _Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(stack, service, path, method="GET", timeout=10):
    """(status, headers, text) of a service's answer."""
    conn = _Unix(str(stack.var / "run" / f"{service}.stat"), timeout)
    try:
        conn.request(method, path)
        resp = conn.getresponse()
        return resp.status, resp.headers, resp.read().decode()
    finally:
        conn.close()


def status(stack, service, path):
    """The status alone; None while nobody answers."""
    try:
        return ask(stack, service, path)[0]
    except (OSError, http.client.HTTPException):
        return None


def text(stack, service):
    code, headers, body = ask(stack, service, "/metrics")
    assert code == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), body
    return body


def samples(stack, service):
    """{(name, labels): value}; labels as a string such as 'result="ok"', in order."""
    found = {}
    for line in text(stack, service).splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = _SAMPLE.fullmatch(line).groups()
        key = (name, labels or "")
        assert key not in found, f"twice: {line}"
        found[key] = float(value)
    return found


def value(stack, service, name, **labels):
    """The sum of a metric's series that have these labels; 0 without any."""
    wanted = set(labels.items())
    return sum(number for (found, text_), number in samples(stack, service).items()
               if found == name and wanted <= set(_LABEL.findall(text_)))


class Watch:
    """What has moved since it was made, of counters and of histograms' counts."""

    def __init__(self, stack, *names, services=tuple(SERVICES)):
        self.stack, self.names, self.services = stack, names, services
        self.before = self._take()

    def _take(self):
        taken = {}
        for service in self.services:
            for key, number in samples(self.stack, service).items():
                if key[0] in self.names:
                    taken[key] = taken.get(key, 0) + number
        return taken

    def moved(self):
        """{(name, labels): by how much}, only what did."""
        return {key: number - self.before.get(key, 0) for key, number in self._take().items()
                if number != self.before.get(key, 0)}


def promtool(*args, text=None):
    """Runs promtool, which has to be content."""
    done = subprocess.run(["promtool", *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    return done.stdout
