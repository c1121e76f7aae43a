-- What is forgotten, and when; and how a restored backup goes on where it stopped.

-- ---- retention ----

-- Conversations whose messages are deleted by age, or were. Most have no row here, and the row that every
-- send updates stays as small as it was. A conversation's messages are purged_seq+1 … last_seq.
CREATE TABLE retention (
    conversation_id bigint PRIMARY KEY REFERENCES conversations ON DELETE CASCADE,
    days            bigint,                            -- its messages are kept; 0: for ever; NULL: MESSAGES_KEEP
    purged_seq      bigint NOT NULL DEFAULT 0,         -- all messages up to here are gone
    purged_id       bigint NOT NULL DEFAULT 0          -- the id of the last of them
);

-- The walk through all conversations, which the couriers do together: whoever locks the row makes the
-- next step, the others have nothing to do.
CREATE TABLE retention_walk (
    after_id bigint NOT NULL,                          -- the conversation that was looked at last
    next_at  timestamptz NOT NULL                      -- no step before this
);
INSERT INTO retention_walk VALUES (0, now());

-- One step: deletes up to `most` messages that are too old, of one conversation, oldest first; or looks
-- through a few hundred conversations without finding any. default_days: MESSAGES_KEEP; 0: for ever.
-- Within a conversation created_at rises with seq, so its first message tells whether there is
-- something to do. The pauses are made here, so that more couriers do not mean more haste.
-- room, purged: of which conversation how many went; wait_ms: until there may be more to do.
-- Whose position (0007) lies before something that went by the rule for all is told that it has expired.
-- What a conversation's own rule deleted is passed over in silence, like the messages of a deleted
-- conversation: it was never meant to be there for long, and one such room must not end the positions
-- of everybody.
CREATE FUNCTION messages_purge(default_days bigint, most bigint,
                               OUT room bigint, OUT purged bigint, OUT wait_ms bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    look  CONSTANT bigint := 500;
    walk  retention_walk;
    own   bigint;
    keep  bigint;
    newest record;
BEGIN
    purged := 0;
    wait_ms := 10000;
    SELECT * INTO walk FROM retention_walk w FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR walk.next_at > clock_timestamp() THEN RETURN; END IF;
    IF default_days = 0 AND NOT EXISTS (SELECT FROM retention r WHERE r.days > 0) THEN RETURN; END IF;

    SELECT c.id, r.days, k.days INTO room, own, keep
      FROM (SELECT x.id FROM conversations x WHERE x.id > walk.after_id ORDER BY x.id LIMIT look) c
      LEFT JOIN retention r ON r.conversation_id = c.id
      CROSS JOIN LATERAL (SELECT coalesce(r.days, default_days) AS days) k
      CROSS JOIN LATERAL (SELECT x.created_at FROM messages x WHERE x.conversation_id = c.id
                           ORDER BY x.seq LIMIT 1) m
     WHERE k.days > 0 AND m.created_at < clock_timestamp() - k.days * interval '1 day'
     ORDER BY c.id LIMIT 1;
    IF NOT FOUND THEN
        SELECT max(c.id) INTO walk.after_id
          FROM (SELECT x.id FROM conversations x WHERE x.id > walk.after_id ORDER BY x.id LIMIT look) c;
        wait_ms := CASE WHEN walk.after_id IS NULL THEN 3600000 ELSE 1000 END;
        UPDATE retention_walk SET after_id = coalesce(walk.after_id, 0),
                                  next_at = clock_timestamp() + wait_ms * interval '1 ms';
        wait_ms := least(wait_ms, 10000);       -- somebody may shorten a rule meanwhile
        RETURN;
    END IF;

    PERFORM FROM conversations c WHERE c.id = room FOR NO KEY UPDATE;   -- as for every change; see 0001
    WITH old AS (SELECT m.id FROM (SELECT x.id, x.created_at FROM messages x WHERE x.conversation_id = room
                                    ORDER BY x.seq LIMIT most) m
                  WHERE m.created_at < clock_timestamp() - keep * interval '1 day'),
    gone AS (DELETE FROM messages m USING old WHERE m.id = old.id RETURNING m.id, m.seq, m.xid)
    SELECT count(*) AS n, max(g.id) AS id, max(g.seq) AS seq,
           (array_agg(g.xid ORDER BY g.xid DESC))[1] AS xid INTO newest FROM gone g;
    purged := newest.n;
    IF purged > 0 THEN
        INSERT INTO retention AS r (conversation_id, purged_seq, purged_id) VALUES (room, newest.seq, newest.id)
            ON CONFLICT (conversation_id) DO UPDATE SET purged_seq = newest.seq, purged_id = newest.id;
        IF own IS NULL THEN
            UPDATE events_horizon h SET xid = newest.xid WHERE newest.xid > h.xid;
        END IF;
    END IF;
    wait_ms := 1000;
    UPDATE retention_walk SET after_id = CASE WHEN purged = most THEN room - 1 ELSE room END,
                              next_at = clock_timestamp() + wait_ms * interval '1 ms';
END $$;

-- Sets a conversation's own rule; in_days NULL: the rule for all. It is looked at with the next step.
-- outcome: ok | no_conversation.
CREATE FUNCTION retention_set(in_room bigint, room_ms bigint, in_days bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM conversations c WHERE c.id = in_room AND (room_ms IS NULL OR epoch_ms(c.created_at) = room_ms);
    outcome := CASE WHEN FOUND THEN 'ok' ELSE 'no_conversation' END;
    IF outcome = 'ok' THEN
        INSERT INTO retention (conversation_id, days) VALUES (in_room, in_days)
            ON CONFLICT (conversation_id) DO UPDATE SET days = in_days;
        UPDATE retention_walk SET after_id = 0, next_at = clock_timestamp();
    END IF;
END $$;

-- As before (0006), but a message that is gone because of its age is still a place to catch up from:
-- the one stored before it leads there, and without one all there is came later.
CREATE OR REPLACE FUNCTION message_shown(in_user bigint, in_message bigint, message_ms bigint,
                              OUT known boolean, OUT room bigint, OUT unseen pg_snapshot)
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    m messages;
BEGIN
    SELECT * INTO m FROM messages x WHERE x.id = in_message;
    IF FOUND THEN
        room := m.conversation_id;
        unseen := m.snapshot;
        known := (message_ms IS NULL OR epoch_ms(m.created_at) = message_ms)
             AND (EXISTS (SELECT FROM participants p WHERE p.conversation_id = room AND p.user_id = in_user)
                  OR EXISTS (SELECT FROM events e WHERE e.kind = 'member_removed' AND e.user_id = in_user
                                AND e.conversation_id = room));
        RETURN;
    END IF;
    known := EXISTS (SELECT FROM events e WHERE e.kind = 'conversation_deleted' AND e.user_id = in_user
                        AND e.id > in_message)
          OR EXISTS (SELECT FROM participants p JOIN retention r ON r.conversation_id = p.conversation_id
                      WHERE p.user_id = in_user AND r.purged_id >= in_message);
    unseen := coalesce((SELECT x.snapshot FROM messages x WHERE x.id < in_message ORDER BY x.id DESC LIMIT 1),
                       '1:1:');                 -- nothing was seen
END $$;

-- The two tables that grow at one end and are deleted from at the other: by the default a fifth of all
-- rows has to be dead before they are vacuumed, which is months of them in one go. Little and often keeps
-- the space in use again, and reads of the newest from the index alone.
ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
                          autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
                        autovacuum_analyze_scale_factor = 0.05);

-- ---- backups ----

-- What is not in order in a conversation: messages that should be there and are not, in runs, and those
-- that should not be. what: missing | surplus | stray (there is no such conversation).
-- Each conversation's first and last places are marked by what lies just outside.
CREATE VIEW backup_faults AS
WITH marks AS (
    SELECT m.conversation_id, m.seq FROM messages m
    UNION ALL SELECT c.id, coalesce(r.purged_seq, 0) FROM conversations c LEFT JOIN retention r ON r.conversation_id = c.id
    UNION ALL SELECT c.id, c.last_seq + 1 FROM conversations c),
steps AS (
    SELECT k.conversation_id, k.seq, lag(k.seq) OVER (PARTITION BY k.conversation_id ORDER BY k.seq) AS before FROM marks k)
SELECT s.conversation_id, 'missing' AS what, s.before + 1 AS first_seq, s.seq - 1 AS last_seq
  FROM steps s WHERE s.seq > s.before + 1 AND EXISTS (SELECT FROM conversations c WHERE c.id = s.conversation_id)
UNION ALL
SELECT m.conversation_id, 'surplus', min(m.seq), max(m.seq) FROM messages m
  JOIN conversations c ON c.id = m.conversation_id LEFT JOIN retention r ON r.conversation_id = c.id
 WHERE m.seq > c.last_seq OR m.seq <= coalesce(r.purged_seq, 0) GROUP BY m.conversation_id
UNION ALL
SELECT m.conversation_id, 'stray', min(m.seq), max(m.seq) FROM messages m
 WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.id = m.conversation_id) GROUP BY m.conversation_id;

-- How far the transaction ids in the tables are ahead of this cluster's; 0: not at all. They are after a
-- dump was restored into a younger cluster: then every message looks as if it were still being written,
-- and ?since and events miss what is new. (A message may have been stored beside transactions with higher
-- ids than its own, hence the snapshots of the newest, and some more.)
CREATE FUNCTION xids_ahead() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN t.top > n.next THEN t.top + 10000 - n.next ELSE 0 END
      FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint) n(next),
           (SELECT 1 + greatest((SELECT m.xid::text::bigint FROM messages m ORDER BY m.xid DESC LIMIT 1),
                                (SELECT e.xid::text::bigint FROM events e ORDER BY e.xid DESC LIMIT 1),
                                (SELECT h.xid::text::bigint FROM events_horizon h),
                                (SELECT max(pg_snapshot_xmax(k.snapshot)::text::bigint)
                                   FROM (SELECT m.snapshot FROM messages m ORDER BY m.id DESC LIMIT 1000) k), 0)) t(top)
$$;

-- Uses up so many transaction ids, which lets the cluster's own catch up: that keeps every position a
-- client or a script has as exact as it was. Some tens of thousands a second; not inside a transaction.
CREATE PROCEDURE xids_use(how_many bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..how_many LOOP
        PERFORM pg_current_xact_id();
        COMMIT;
    END LOOP;
END $$;
