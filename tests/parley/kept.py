"""What the database keeps of people: everything but what the programs note for themselves."""

import time
from contextlib import contextmanager

from .wait import eventually

#: Who is connected where, and what the courier posted when: these change by themselves.
NOTES = ("daemons", "online", "callback_deliveries", "callback_position")
#: What of a table's rows counts, where it is not all.
COUNTS = {"callbacks": "ROW(t.id, t.conversation_id, t.url, t.secret, t.enabled)"}

TABLES = """SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
AND relname <> ALL(%s) ORDER BY 1"""

MAIL_TO_SEND = "SELECT count(*) FROM mail_outbox WHERE state = 'pending'"


class Kept:
    """Call it for {table: digest}; text() is all of it."""

    def __init__(self, stack):
        self.conn = stack.db()
        self.tables = [row[0] for row in self._rows(TABLES, [list(NOTES)])]

    def _rows(self, sql, args=None):
        with self.conn.cursor() as cur:
            cur.execute(sql, args)
            return cur.fetchall()

    def __call__(self):
        eventually(lambda: self._rows(MAIL_TO_SEND) == [(0,)], what="the courier is idle")
        sql = " UNION ALL ".join(f"SELECT '{t}', md5(string_agg({row}::text, '' ORDER BY {row}::text)) FROM {t} t"
                                for t in self.tables for row in [COUNTS.get(t, "t")])
        return dict(self._rows(sql))

    @contextmanager
    def unchanged(self, but=()):
        """Nothing is kept of what happens in this block, but in these tables."""
        before = self()
        yield
        changed = [table for table, digest in self().items() if digest != before[table] and table not in but]
        assert not changed, f"something is kept: {changed}"

    def settle(self, quiet=0.2):
        """Wait until nothing has changed for so many seconds."""
        eventually(lambda: self._same_after(quiet), what="nothing is written any more", every=0)

    def _same_after(self, seconds):
        before = self()
        time.sleep(seconds)
        return self() == before

    def text(self):
        return "\n".join(row[0] for t in self.tables for row in self._rows(f"SELECT t::text FROM {t} t"))

    def close(self):
        self.conn.close()
