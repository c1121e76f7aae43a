-- Callbacks: what happens in a group, posted to a URL its owner has named (outgoing webhooks).
--
-- Nobody who sends a message does anything for them. The courier compares snapshots, as the daemons do,
-- and notes a delivery for each callback of a conversation in which something became visible: nothing is
-- missed and nothing noted twice, whatever order transactions commit in and whoever is killed. What is
-- told is read when it is sent, so no copy of a message lies in a queue.

CREATE TABLE callbacks (
    id              bigint PRIMARY KEY DEFAULT nextval('public_id'),
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    url             text NOT NULL,                     -- http or https, at most 2048 bytes
    secret          bytea NOT NULL,                    -- signs; kept in clear, as a hash could not sign
    after_id        bigint NOT NULL,                   -- what has a higher id is told
    enabled         boolean NOT NULL DEFAULT true,
    disabled_reason text,                              -- why the courier disabled it; NULL: it did not
    failing_since   timestamptz,                       -- the first failure since the last success
    busy_until      timestamptz NOT NULL DEFAULT now(), -- a delivery is under way, or a pause after a failure
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX callbacks_conversation ON callbacks (conversation_id);

CREATE TABLE callback_deliveries (
    id              bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    callback_id     bigint NOT NULL REFERENCES callbacks ON DELETE CASCADE,
    change_id       bigint NOT NULL,                   -- a message, or an event
    kind            text NOT NULL,                     -- the event's kind; message: a new one
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN
                        ('pending',                    -- to be posted at next_attempt_at
                         'delivered',                  -- answered with 2xx
                         'dead',                       -- given up: see last_error; can be sent again
                         'dropped')),                  -- the message is deleted: nothing to tell any more
    attempts        bigint NOT NULL DEFAULT 0,         -- begun so far; numbers the claims
    next_attempt_at timestamptz NOT NULL DEFAULT now(), -- while one is under way: when its claim lapses
    last_status     bigint,                            -- of the last answer over HTTP; NULL: there was none
    last_error      text,
    begun_at        timestamptz NOT NULL DEFAULT now(), -- since when it is tried
    finished_at     timestamptz,                       -- when it stopped being pending
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (callback_id, change_id)
);
CREATE INDEX callback_deliveries_due ON callback_deliveries (callback_id, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX callback_deliveries_state ON callback_deliveries (callback_id, state, id);
CREATE INDEX callback_deliveries_finished ON callback_deliveries (finished_at) WHERE state <> 'pending';

-- How far deliveries have been noted; as a consumer's position (0007). No row before the first callback.
CREATE TABLE callback_position (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seen     pg_snapshot NOT NULL,
    upto     pg_snapshot,
    after_id bigint NOT NULL DEFAULT 0
);

CREATE VIEW callback_view AS
SELECT k.id, k.conversation_id, k.url, k.enabled, k.disabled_reason, k.failing_since, k.created_at,
       (SELECT count(*) FROM callback_deliveries d WHERE d.callback_id = k.id AND d.state = 'pending') AS pending,
       (SELECT count(*) FROM callback_deliveries d WHERE d.callback_id = k.id AND d.state = 'dead') AS dead
  FROM callbacks k;

-- ---- what the group's owner does ----

-- May the actor manage the callbacks of a group, and is this one of them? Without a lock, for looking.
-- outcome: ok | no_conversation | not_member | direct | not_owner | no_callback.
CREATE FUNCTION callback_check(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint)
    RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT CASE
        WHEN NOT EXISTS (SELECT FROM participants p WHERE p.conversation_id = c.id AND p.user_id = actor) THEN 'not_member'
        WHEN c.kind <> 'group' THEN 'direct'
        WHEN c.owner_id IS DISTINCT FROM actor THEN 'not_owner'
        WHEN in_callback IS NOT NULL AND NOT EXISTS (SELECT FROM callbacks k WHERE k.id = in_callback
             AND k.conversation_id = c.id AND (callback_ms IS NULL OR epoch_ms(k.created_at) = callback_ms)) THEN 'no_callback'
        ELSE 'ok' END
      FROM conversations c WHERE c.id = in_room AND (room_ms IS NULL OR epoch_ms(c.created_at) = room_ms)),
    'no_conversation')
$$;

-- The same for a change: the conversation's row is locked, so ids drawn from here on are later than all
-- that happened in it.
CREATE FUNCTION callback_lock(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint)
    RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM conversations c WHERE c.id = in_room FOR NO KEY UPDATE;
    RETURN callback_check(in_room, room_ms, actor, in_callback, callback_ms);
END $$;

-- outcome: see callback_check() | too_many_callbacks.
CREATE FUNCTION callback_create(in_room bigint, room_ms bigint, actor bigint, in_url text, in_secret bytea,
                                most bigint, OUT outcome text, OUT shown callback_view)
    LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, NULL, NULL);
    IF outcome <> 'ok' THEN RETURN; END IF;
    IF (SELECT count(*) FROM callbacks k WHERE k.conversation_id = in_room) >= most THEN
        outcome := 'too_many_callbacks';
        RETURN;
    END IF;
    -- While there was none, nobody moved the position. Whoever else makes the first one waits here.
    INSERT INTO callback_position (seen) VALUES (events_now()) ON CONFLICT DO NOTHING;
    PERFORM FROM callback_position FOR UPDATE;
    IF NOT EXISTS (SELECT FROM callbacks) THEN
        UPDATE callback_position SET seen = events_now(), upto = NULL, after_id = 0;
    END IF;
    INSERT INTO callbacks (conversation_id, url, secret, after_id)
        VALUES (in_room, in_url, in_secret, nextval('change_id')) RETURNING id INTO made;
    SELECT * INTO shown FROM callback_view v WHERE v.id = made;
END $$;

-- What happens while it is disabled is not told later. outcome: see callback_check().
CREATE FUNCTION callback_enable(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint,
                                in_enabled boolean, OUT outcome text, OUT shown callback_view)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, in_callback, callback_ms);
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE callbacks k
       SET enabled = in_enabled, disabled_reason = NULL, failing_since = NULL, busy_until = now(),
           after_id = CASE WHEN in_enabled AND NOT k.enabled THEN nextval('change_id') ELSE k.after_id END
     WHERE k.id = in_callback;
    SELECT * INTO shown FROM callback_view v WHERE v.id = in_callback;
END $$;

-- outcome: see callback_check().
CREATE FUNCTION callback_delete(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint,
                                OUT outcome text)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, in_callback, callback_ms);
    IF outcome = 'ok' THEN DELETE FROM callbacks k WHERE k.id = in_callback; END IF;
END $$;

-- Tries all dead deliveries again, as if they were new. outcome: see callback_check().
CREATE FUNCTION callback_redeliver(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint,
                                   OUT outcome text, OUT redelivered bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, in_callback, callback_ms);
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE callback_deliveries d
       SET state = 'pending', attempts = 0, next_attempt_at = now(), begun_at = now(), finished_at = NULL
     WHERE d.callback_id = in_callback AND d.state = 'dead';
    GET DIAGNOSTICS redelivered = ROW_COUNT;
END $$;

-- ---- what the courier does ----

-- Notes the deliveries of what became visible since it was last called, for at most so many changes of
-- conversations with callbacks at once; answers for how many: with fewer than most, that was all. One courier at a time.
CREATE FUNCTION callbacks_plan(most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    p      callback_position;
    target pg_snapshot;
    edge   xid8;
    gaps   xid8[];
    looked bigint;
    last   bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM callbacks) THEN RETURN 0; END IF;
    SELECT * INTO p FROM callback_position FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN RETURN 0; END IF;
    target := coalesce(p.upto, events_now());
    IF target::text = p.seen::text THEN RETURN 0; END IF;
    edge := pg_snapshot_xmax(p.seen);
    gaps := ARRAY(SELECT pg_snapshot_xip(p.seen));
    WITH unseen AS MATERIALIZED (
        SELECT m.id, m.xid, m.conversation_id, 'message' AS kind FROM messages m WHERE m.xid >= edge
        UNION ALL SELECT m.id, m.xid, m.conversation_id, 'message' FROM messages m WHERE m.xid = ANY (gaps)
        UNION ALL SELECT e.id, e.xid, e.conversation_id, e.kind FROM events e WHERE e.xid >= edge
        UNION ALL SELECT e.id, e.xid, e.conversation_id, e.kind FROM events e WHERE e.xid = ANY (gaps)),
    page AS MATERIALIZED (
        SELECT u.* FROM unseen u WHERE u.id > p.after_id AND pg_visible_in_snapshot(u.xid, target)
           AND EXISTS (SELECT FROM callbacks k WHERE k.conversation_id = u.conversation_id)
         ORDER BY u.id LIMIT most),
    noted AS (
        INSERT INTO callback_deliveries (callback_id, change_id, kind)
        SELECT k.id, g.id, g.kind FROM page g
          JOIN callbacks k ON k.conversation_id = g.conversation_id AND k.enabled AND k.after_id < g.id
         WHERE g.kind IN ('message', 'message_edited', 'message_deleted', 'conversation_renamed', 'owner_changed',
                          'member_added', 'member_removed')
         ORDER BY g.id
            ON CONFLICT DO NOTHING)
    SELECT count(*), max(g.id) INTO looked, last FROM page g;
    IF looked < most THEN
        UPDATE callback_position SET seen = target, upto = NULL, after_id = 0;
    ELSE
        UPDATE callback_position SET upto = target, after_id = last;
    END IF;
    RETURN looked;
END $$;

-- Takes the delivery that is due longest, for as long as the lease: a courier that dies leaves it to the
-- next one when that has run out. One of each callback at a time.
CREATE FUNCTION callback_claim(lease interval) RETURNS SETOF callback_deliveries LANGUAGE plpgsql AS $$
DECLARE
    k record;
BEGIN
    SELECT b.id, d.id AS delivery INTO k FROM callbacks b CROSS JOIN LATERAL
                (SELECT x.id, x.next_attempt_at FROM callback_deliveries x
                  WHERE x.callback_id = b.id AND x.state = 'pending' AND x.next_attempt_at <= now()
                  ORDER BY x.next_attempt_at, x.id LIMIT 1) d
              WHERE b.enabled AND b.busy_until <= now()
              ORDER BY d.next_attempt_at LIMIT 1 FOR UPDATE OF b SKIP LOCKED;
    IF NOT FOUND THEN RETURN; END IF;
    UPDATE callbacks b SET busy_until = now() + lease WHERE b.id = k.id;
    RETURN QUERY UPDATE callback_deliveries d SET attempts = d.attempts + 1, next_attempt_at = now() + lease
                  WHERE d.id = k.delivery AND d.state = 'pending' AND d.next_attempt_at <= now() RETURNING d.*;
END $$;

-- Notes how an attempt ended. new_state: delivered | dropped | pending (it failed: to be tried again after
-- delay, unless it has been tried for as long as patience) | refused (the receiver wants no more of them).
-- pause: how long the callback's other deliveries wait too. A callback that has only failed for as long as
-- disable_after is disabled. The state it has now; NULL: another courier has it.
CREATE FUNCTION callback_finish(in_delivery bigint, in_attempt bigint, new_state text, http_status bigint, error text,
                                delay interval, pause interval, patience interval, disable_after interval,
                                OUT state text, OUT disabled boolean)
    LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    of bigint;
BEGIN
    -- The callback's row first, as everywhere.
    PERFORM FROM callbacks k WHERE k.id = (SELECT d.callback_id FROM callback_deliveries d WHERE d.id = in_delivery) FOR UPDATE;
    UPDATE callback_deliveries d
       SET state = CASE WHEN new_state IN ('delivered', 'dropped') THEN new_state
                        WHEN new_state = 'refused' OR now() + delay >= d.begun_at + patience THEN 'dead' ELSE 'pending' END,
           last_status = http_status, last_error = error, next_attempt_at = now() + delay
     WHERE d.id = in_delivery AND d.state = 'pending' AND (d.attempts = in_attempt OR new_state = 'delivered')
    RETURNING d.callback_id, d.state INTO of, state;
    IF NOT FOUND THEN RETURN; END IF;
    UPDATE callback_deliveries d SET finished_at = now() WHERE d.id = in_delivery AND d.state <> 'pending';
    IF new_state = 'delivered' THEN
        UPDATE callbacks k SET busy_until = now(), failing_since = NULL WHERE k.id = of;
    ELSIF new_state = 'dropped' THEN
        UPDATE callbacks k SET busy_until = now() WHERE k.id = of;
    ELSE
        UPDATE callbacks k SET busy_until = now() + pause, failing_since = coalesce(k.failing_since, now()) WHERE k.id = of;
        UPDATE callbacks k SET enabled = false, disabled_reason = coalesce(error, 'it failed for too long')
         WHERE k.id = of AND k.enabled AND (new_state = 'refused' OR k.failing_since <= now() - disable_after);
        disabled := FOUND;
    END IF;
END $$;

-- Forgets what has been delivered for a day, and what has been dead for a month.
CREATE FUNCTION callbacks_purge() RETURNS void LANGUAGE sql AS $$
    DELETE FROM callback_deliveries d WHERE d.state <> 'pending'
       AND d.finished_at < now() - CASE WHEN d.state = 'dead' THEN interval '30 days' ELSE interval '1 day' END
$$;
