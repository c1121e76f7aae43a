"""What is looked at every few seconds."""

from collections import defaultdict

from parley import procs
from parley.growth import descriptors

#: Tables whose number of rows the soak does not change: what they grow is bloat.
STEADY = ("users", "conversations", "participants", "contacts", "invitations", "daemons", "online")

ROLES = ("nginx", "fcgi-app", "fcgi-auth", "ws-daemon", "ws-daemon-2", "courier", "postgres")


def smaps(pid):
    """{'Rss': kB, 'Pss_Anon': kB, …}"""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            pairs = (line.split() for line in f)
            return {p[0].rstrip(":"): int(p[1]) for p in pairs if len(p) == 3 and p[2] == "kB"}
    except OSError:
        return {}


def processor_time():
    """(what a hypervisor took away, all of it), in ticks since the machine was started; proc(5)"""
    with open("/proc/stat") as f:
        ticks = [int(t) for t in f.readline().split()[1:9]]
    return ticks[7], sum(ticks)


class Sampler:
    EVERY = 5

    def __init__(self, stack):
        self.stack = stack
        self.series = defaultdict(list)     # (what, of whom) → [(seconds, value)]
        self.conn = stack.db()
        self.ticks = processor_time()

    def _pids(self, role):
        if role == "postgres":              # our sessions; autovacuum comes and goes as it likes
            return [pid for pid, in self._query("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'parley%' "
                                                "AND application_name <> 'parley-tests'")]
        if role == "courier":
            return [p for p, command in procs.belonging_to(str(self.stack.var)).items() if "/courier " in command]
        master = self.stack.pid(role)
        return [master, *procs.children(master)]

    def _query(self, sql, *args):
        with self.conn.cursor() as cur:
            cur.execute(sql, args or None)
            return cur.fetchall()

    def take(self, at):
        """One sample of everything, for a moment in seconds."""
        before, self.ticks = self.ticks, processor_time()
        stolen, passed = (now - then for now, then in zip(self.ticks, before))
        self._put("stolen", "by the hypervisor", at, round(100 * stolen / max(1, passed), 1))
        for role in ROLES:
            pids = self._pids(role)
            maps = [m for m in map(smaps, pids) if m]
            # What a process has made its own. Pages of files, and PostgreSQL's shared buffers, are a cache.
            self._put("memory", role, at, sum(m["Pss_Anon"] for m in maps))
            self._put("rss", role, at, sum(m["Rss"] for m in maps))
            if role != "postgres":          # which opens a table's file when it first needs it
                self._put("descriptors", role, at, sum(descriptors(p) for p in pids if procs.alive(p)))
        self._put("connections", "all", at, self._query(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")[0][0])
        for table, size, live, dead in self._query(
                "SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup FROM pg_stat_user_tables"):
            if table in STEADY:
                self._put("table", table, at, size // 1024)
            elif live > 500:                # it grows with what is said: a row must not cost ever more
                self._put("row", table, at, size // live)
            self._put("dead", "all", at, dead, add=True)

    def _put(self, what, whom, at, value, add=False):
        series = self.series[what, whom]
        if add and series and series[-1][0] == at:
            value += series.pop()[1]
        series.append((at, value))
