"""An nginx of the test's own in front of a stack's pools and daemons, with one thing in its configuration changed."""

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .stack import free_port
from .wait import eventually


class Front:
    """edits: pairs of a text that has to be in nginx.conf and what stands there instead."""

    def __init__(self, stack, *edits, scheme="http"):
        self.stack, self.edits, self.scheme = stack, edits, scheme
        self.port = free_port()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def configuration(self, directory):
        text = (self.stack.var / "conf/nginx.conf").read_text()
        run = f"{self.stack.var}/run"
        # Its own port, pid, logs and temporary files; the sockets stay those of the stack.
        own = [(f":{self.stack.port} backlog=4096;", f":{self.port};"), (f"pid {run}/nginx.pid;", f"pid {directory}/nginx.pid;"),
               (f"{self.stack.var}/log", directory), ("worker_processes auto;", "worker_processes 1;")]
        own += [(f"{run}/nginx-{name};", f"{directory}/{name};") for name in ("body", "fastcgi", "proxy", "scgi", "uwsgi")]
        for old, new in [*own, *self.edits]:
            assert old in text, f"not in nginx.conf: {old}"
            text = text.replace(old, new)
        return text

    def answers(self):
        assert self.process.poll() is None, (self.directory / "stderr").read_text()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="parley-front-", dir="/tmp"))
        self.directory.chmod(0o755)
        conf = self.directory / "nginx.conf"
        conf.write_text(self.configuration(str(self.directory)))
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        with open(self.directory / "stderr", "w") as err:
            self.process = subprocess.Popen([nginx, "-e", str(self.directory / "nginx.log"), "-c", str(conf), "-g", "daemon off;"],
                                            cwd=self.directory, stdin=subprocess.DEVNULL, stdout=err, stderr=err)
        eventually(self.answers, what="the nginx in front answers")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=15)
        shutil.rmtree(self.directory)
