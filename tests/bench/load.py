"""The load generators' input and output: request files, socket files, their one line of JSON."""

import json
import subprocess
from pathlib import Path

STAMP = "seq=00000000 "                       # wsload writes its counter over the digits
CONTENT = STAMP + "a message about as long as messages between people often are"


def request(method, path, body, token=None):
    """One HTTP request as restload reads it: its length, a newline, its bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json",
             f"Content-Length: {len(body)}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    raw = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
    return b"%d\n%s" % (len(raw), raw)


def send_body(recipient):
    """The same for POST /api/v1/messages/dm and for a frame to /ws/chat."""
    return json.dumps({"recipient_id": recipient, "content": CONTENT}, separators=(",", ":"))


def of_size(size):
    """A JSON text of exactly size bytes with a counter in it, for servers that do not read it."""
    text = '{"pad":"%s","content":"' + CONTENT + '"}'
    return text % ("x" * max(0, size - len(text % "")))


class Generators:
    """Runs restload and wsload; a run with any error raises."""

    def __init__(self, programs, directory):
        self.programs = Path(programs)
        self.dir = Path(directory)
        self.dir.mkdir()

    def file(self, name, content):
        path = self.dir / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def sockets(self, name, lines):
        """lines: (path, text to send or None)."""
        return self.file(name, "".join(path + (f"\t{text}" if text else "") + "\n" for path, text in lines))

    def rest(self, target, requests, status, seconds, clients):
        return self._run("restload", "-t", target, "-s", status, "-d", seconds, "-c", clients, requests)

    def rest_once(self, target, requests, status, clients):
        """Every request once; the answers' bodies, in order."""
        answers = self.dir / "answers"
        self._run("restload", "-1", "-t", target, "-s", status, "-c", clients, "-o", answers, requests)
        return [json.loads(line) for line in answers.read_text().splitlines()]

    def sockets_send(self, target, sockets, group, window, seconds):
        return self._run("wsload", "-t", target, "-g", group, "-w", window, "-d", seconds, sockets)

    def sockets_hold(self, target, sockets):
        """All sockets open and idle; close the answer's stdin to end it."""
        process = subprocess.Popen(self._argv("wsload", "-i", "-t", target, sockets),
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if process.stdout.readline() != "ready\n":
            process.kill()
            process.wait()
            raise AssertionError("the idle sockets did not open")
        return process

    def _argv(self, program, *arguments):
        return [str(self.programs / program), *map(str, arguments)]

    def _run(self, program, *arguments):
        argv = self._argv(program, *arguments)
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=90)
        if done.returncode:
            raise AssertionError(f"exit {done.returncode}: {' '.join(argv)}\n{done.stdout.strip()}")
        return json.loads(done.stdout)
