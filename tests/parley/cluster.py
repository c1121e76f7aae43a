"""PostgreSQL clusters of the tests' own: an "existing database" that can be taken away, and what new stacks start with."""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg2

from . import procs
from .wait import eventually

BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
MIGRATE = Path(__file__).resolve().parents[2] / "db/migrate.sh"
#: Whom the services run as, and the role they have in their cluster.
ROLE = "www-data" if os.getuid() == 0 else os.environ.get("USER") or str(os.getuid())
#: Where the run's template is; see copy_template().
TEMPLATE = "PARLEY_TEST_CLUSTER"


def state_directory():
    """A fresh directory, short enough for unix sockets and open to the unprivileged user."""
    path = tempfile.mkdtemp(prefix="parley-", dir="/tmp")
    os.chmod(path, 0o755)
    return Path(path)


class Cluster:
    """Listens on a unix socket in its own directory only; trusts whoever reaches it."""

    def __init__(self):
        self.dir = state_directory()
        self.process = None
        if os.getuid() == 0:
            shutil.chown(self.dir, ROLE, ROLE)

    def _command(self, *argv):
        as_role = ["runuser", "-u", ROLE, "--"] if os.getuid() == 0 else []
        return [*as_role, *map(str, argv)]

    def create(self):
        subprocess.run(self._command(BIN / "initdb", "-D", self.dir / "data", "-U", ROLE, "-A", "trust",
                                     "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
                       check=True, stdout=subprocess.DEVNULL, cwd="/")
        return self.start()

    def start(self):
        with open(self.dir / "log", "a") as log:
            self.process = subprocess.Popen(
                self._command(BIN / "postgres", "-D", self.dir / "data", "-k", self.dir,
                              "-c", "listen_addresses=", "-c", "fsync=off"),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True)
        eventually(self.answers, what="the test's PostgreSQL answers")
        return self

    def postmaster(self):
        return int((self.dir / "data" / "postmaster.pid").read_text().split()[0])

    def stop(self, sig=signal.SIGINT):
        """Fast shutdown by default."""
        if self.process and self.process.poll() is None:
            procs.kill(self.postmaster(), sig)
        self.process.wait(20)

    def destroy(self):
        self.stop()
        shutil.rmtree(self.dir)

    def url(self, dbname="postgres"):
        return f"host={self.dir} user={ROLE} dbname={dbname}"

    def execute(self, sql, dbname="postgres"):
        conn = psycopg2.connect(self.url(dbname), connect_timeout=5)
        conn.autocommit = True
        try:
            with conn.cursor() as cur:
                cur.execute(sql)
                return cur.fetchall() if cur.description else []
        finally:
            conn.close()

    def answers(self):
        try:
            return self.execute("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False


def template(place):
    """A cluster as a first start leaves it, with the schema and nobody in it. Whoever comes meanwhile waits."""
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "data").exists():
            cluster = Cluster().create()
            cluster.execute("CREATE DATABASE parley")
            cluster.execute("ALTER SYSTEM SET fsync = off")     # processes are killed here, the machine is not
            subprocess.run([MIGRATE], env={**os.environ, "DATABASE_URL": cluster.url("parley")}, check=True,
                           stdout=subprocess.DEVNULL)
            cluster.stop()
            (cluster.dir / "data").rename(place / "data")
            shutil.rmtree(cluster.dir)
    return place / "data"


def copy_template(var):
    """The data directory of a stack that is new: initdb and the migrations are most of what a start takes, so a run
    does them once. Without a place for that (conftest makes one) a stack does them itself."""
    if TEMPLATE in os.environ:
        var.mkdir()
        subprocess.run(["cp", "-a", template(Path(os.environ[TEMPLATE])), var / "data"], check=True)
