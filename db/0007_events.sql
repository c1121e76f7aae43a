-- Events without a socket: positions in what happens, and those the server keeps for its scripts.
--
-- A position is a pg_snapshot: what it sees has been shown, whatever order it was committed in.

-- What became visible in one conversation, or to one person, is looked up where it stands.
CREATE INDEX events_conversation ON events (conversation_id, xid);
CREATE INDEX events_personal ON events (user_id, xid)
    WHERE kind IN ('member_removed', 'conversation_deleted', 'contact_added', 'contact_removed', 'invitation_received');
-- When somebody came, in terms of ids; see member_since().
CREATE INDEX events_joined ON events (conversation_id, user_id, id)
    WHERE kind IN ('member_added', 'conversation_created');

-- Events are kept for a while: all that were written by a transaction up to this one may be gone.
CREATE TABLE events_horizon (xid xid8 NOT NULL);
INSERT INTO events_horizon VALUES ('0');

-- The present, as a position that outlives a crash. A PostgreSQL that crashed may give out again the
-- transaction ids whose end never reached the disk, so a position must not count those as seen. All up
-- to the newest change that is visible are safe, as its commit is on disk; of what came after it there
-- is no change to be seen yet. So the snapshot ends behind that one, and sees the very same changes. (What has been forgotten counts as seen.)
CREATE FUNCTION events_now() RETURNS pg_snapshot LANGUAGE sql STABLE AS $$
    SELECT (coalesce(min(x.id), t.top) || ':' || t.top || ':' ||
            coalesce(string_agg(x.id::text, ',' ORDER BY x.id), ''))::pg_snapshot
      FROM (SELECT 1 + greatest(2, (SELECT m.xid::text::bigint FROM messages m ORDER BY m.xid DESC LIMIT 1),
                                   (SELECT e.xid::text::bigint FROM events e ORDER BY e.xid DESC LIMIT 1),
                                   (SELECT h.xid::text::bigint FROM events_horizon h))) t(top)
      LEFT JOIN LATERAL (SELECT p::text::bigint FROM pg_snapshot_xip(pg_current_snapshot()) p
                          WHERE p::text::bigint < t.top) x(id) ON true
     GROUP BY t.top
$$;

-- Forgets events older than that, the oldest first, and at most so many; answers how many.
CREATE FUNCTION events_purge(keep interval, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    purged bigint;
    upto   xid8;
BEGIN
    PERFORM FROM events_horizon FOR UPDATE;     -- one at a time
    WITH old AS (SELECT e.id FROM (SELECT x.id, x.created_at FROM events x ORDER BY x.id LIMIT most) e
                  WHERE e.created_at < clock_timestamp() - keep),
    gone AS (DELETE FROM events e USING old WHERE e.id = old.id RETURNING e.xid)
    SELECT count(*), (array_agg(g.xid ORDER BY g.xid DESC))[1] INTO purged, upto FROM gone g;
    UPDATE events_horizon h SET xid = upto WHERE upto > h.xid;
    RETURN purged;
END $$;

-- Can one go on from this position? One of another database, or of before a restored backup's end, may
-- lie in the future; from one that lies too far back not everything is there any more. upto: NULL, or
-- where the position moves to.
-- ok | bad_cursor | expired
CREATE FUNCTION events_check(seen pg_snapshot, upto pg_snapshot) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN greatest(pg_snapshot_xmax(seen), pg_snapshot_xmax(upto))
                     > pg_snapshot_xmax(pg_current_snapshot()) THEN 'bad_cursor'
                WHEN (SELECT h.xid FROM events_horizon h) >= pg_snapshot_xmin(seen) THEN 'expired'
                ELSE 'ok' END
$$;

-- The event a member came with; what happened to the conversation before it is not theirs to see.
-- 0: there was none (direct conversations), or it is long gone.
CREATE FUNCTION member_since(room bigint, member bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(e.id), 0) FROM events e
     WHERE e.conversation_id = room AND e.user_id = member
       AND e.kind IN ('member_added', 'conversation_created')
$$;

-- Named positions: how far a script has come, so that it needs no file of its own. Between two
-- snapshots when the page it acknowledged was not the last: of what upto sees and seen does not,
-- all up to after_id is done with.
CREATE TABLE consumers (
    user_id         bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    name            text NOT NULL,              -- 1-64 of A-Za-z0-9_.-
    seen            pg_snapshot NOT NULL,
    upto            pg_snapshot,
    after_id        bigint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,                -- NULL: never
    PRIMARY KEY (user_id, name)
);

-- A consumer's position; a new name begins at the present. Several at once make one.
-- outcome: ok | too_many.
CREATE FUNCTION consumer_open(in_user bigint, in_name text, most bigint, OUT outcome text, OUT shown consumers)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := 'ok';
    SELECT * INTO shown FROM consumers c WHERE c.user_id = in_user AND c.name = in_name;
    IF FOUND THEN RETURN; END IF;
    PERFORM FROM users u WHERE u.id = in_user FOR NO KEY UPDATE;    -- or two would count at once
    IF (SELECT count(*) FROM consumers c WHERE c.user_id = in_user AND c.name <> in_name) >= most THEN
        outcome := 'too_many';
        RETURN;
    END IF;
    INSERT INTO consumers (user_id, name, seen) VALUES (in_user, in_name, events_now()) ON CONFLICT DO NOTHING;
    SELECT * INTO shown FROM consumers c WHERE c.user_id = in_user AND c.name = in_name;
END $$;

-- All up to a position is done with; backwards is allowed, as a way to see something again.
-- outcome: ok | too_many | bad_cursor | expired.
CREATE FUNCTION consumer_ack(in_user bigint, in_name text, most bigint, in_seen pg_snapshot, in_upto pg_snapshot,
                             in_after bigint, OUT outcome text, OUT shown consumers)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := events_check(in_seen, in_upto);
    IF outcome <> 'ok' THEN RETURN; END IF;
    SELECT o.outcome INTO outcome FROM consumer_open(in_user, in_name, most) o;
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE consumers c SET seen = in_seen, upto = in_upto, after_id = in_after, acknowledged_at = clock_timestamp()
     WHERE c.user_id = in_user AND c.name = in_name RETURNING * INTO shown;
END $$;
