"""Where callbacks go in tests: an HTTP server that checks signatures, and can be told to refuse, wait or redirect."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .wait import PATIENCE, eventually


def signature(secret, id, timestamp, body):
    """What Standard Webhooks has for it; secret as it was shown."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


class Delivery:
    """One POST as it came in."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()
        self.json = json.loads(body)
        self.id = headers["webhook-id"]
        self.text = self.json["data"].get("body")

    def assert_signed(self, secret):
        assert self.headers["webhook-signature"] == signature(secret, self.id, self.headers["webhook-timestamp"], self.body)
        assert abs(time.time() - int(self.headers["webhook-timestamp"])) < 60
        assert self.json["id"] == self.id


class Receiver:
    """got: every POST, in order. answers: {path: [statuses to give, the last one for ever]}; others get 204. slow:
    {path: seconds until it answers}."""

    def __init__(self, host="127.0.0.1"):
        self.got, self.answers, self.held, self.slow, self.waiting = [], {}, set(), {}, 0
        self.server = ThreadingHTTPServer((host, 0), self._handler())
        self.server.daemon_threads = True
        self.server.socket.listen(1024)     # nobody who comes is turned away
        self.host, self.port = host, self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _handler(receiver):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                delivery = Delivery(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append(delivery)
                receiver.waiting += 1
                while self.path in receiver.held:
                    time.sleep(0.01)
                time.sleep(receiver.slow.get(self.path, 0))
                receiver.waiting -= 1
                answers = receiver.answers.get(self.path, [204])
                status = answers.pop(0) if len(answers) > 1 else answers[0]
                try:
                    self.send_response(status)
                    self.send_header("Location", receiver.url("/elsewhere"))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass                # it has given up on us

            def log_message(self, *_):
                pass
        return Handler

    def url(self, path="/"):
        return f"http://{self.host}:{self.port}{path}"

    def to(self, path):
        return [d for d in list(self.got) if d.path == path]

    def expect(self, path, count=1, timeout=PATIENCE):
        eventually(lambda: len(self.to(path)) >= count, timeout, f"{count} posts to {path}")
        return self.to(path)

    def stop(self):
        self.held.clear()
        self.server.shutdown()
        self.server.server_close()
