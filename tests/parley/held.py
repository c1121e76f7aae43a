"""A request caught in its middle: it waits in the database for a row that the test keeps locked."""

import psycopg2

from .check import number_of

#: Settings with which a lock is waited for until the test lets go of it, however long a slow machine takes until then.
LOCKS_LAST = {"LOCK_TIMEOUT": 30000, "STATEMENT_TIMEOUT": 30000}


class HeldConversation:
    """Locks the row every send between two people needs. They have to have a conversation."""

    def __init__(self, stack, one, other):
        self.stack = stack
        self.conn = stack.db(autocommit=False)
        pair = sorted(number_of(p.id) for p in (one, other))
        with self.conn.cursor() as cur:
            cur.execute("SELECT id FROM conversations WHERE user_low = %s AND user_high = %s FOR UPDATE", pair)
            assert cur.fetchone()

    def waiting(self):
        """How many sessions wait for a lock."""
        return self.stack.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0][0]

    def release(self):
        try:
            self.conn.rollback()
            self.conn.close()
        except psycopg2.Error:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()
