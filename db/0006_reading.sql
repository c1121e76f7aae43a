-- What reading the five documents against the server once more brought to light.

-- ---- catching up ----

-- Who went from where: a message of a conversation one has left since, or that is deleted, is still a
-- place to catch up from.
CREATE INDEX events_departures ON events (user_id, conversation_id)
    WHERE kind IN ('member_removed', 'conversation_deleted');

-- The message a socket says it was shown last (`since`). known: it is, or was, one of the user's. room:
-- its conversation, if that is there; unseen: what others had not committed when it was stored.
-- Of a deleted conversation no message is left to ask. The one before it, whatever its conversation, was
-- stored before ours could be shown, so what it did not see includes all that ours did not (and itself:
-- it comes again).
CREATE FUNCTION message_shown(in_user bigint, in_message bigint, message_ms bigint,
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
                        AND e.id > in_message);
    unseen := coalesce((SELECT x.snapshot FROM messages x WHERE x.id < in_message ORDER BY x.id DESC LIMIT 1),
                       '1:1:');                 -- nothing was seen
END $$;

-- Up to which seq a conversation's messages were visible in a snapshot (NULL: none was) or have an id up
-- to `after`. Both rise with seq, so it is searched: from the end in growing steps, as nearly always
-- little or nothing is new, then by halves. Rows that are gone do no harm.
CREATE FUNCTION message_seen(in_room bigint, last_seq bigint, was pg_snapshot, after bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    low  bigint := 0;                           -- everything up to here was seen
    high bigint := last_seq + 1;                -- nothing from here on
    step bigint := 1;
    mid  bigint;
    m    record;
BEGIN
    WHILE high - low > 1 LOOP
        mid := CASE WHEN low = 0 THEN greatest(high - step, 1) ELSE (low + high) / 2 END;
        step := step * 2;
        SELECT x.seq, x.id, x.xid INTO m FROM messages x
         WHERE x.conversation_id = in_room AND x.seq > low AND x.seq <= mid ORDER BY x.seq DESC LIMIT 1;
        IF NOT FOUND OR m.id <= after OR coalesce(pg_visible_in_snapshot(m.xid, was), false) THEN
            low := mid;
        ELSE
            high := m.seq;
        END IF;
    END LOOP;
    RETURN low;
END $$;

-- ---- receipts ----

-- As before (0002), but each sender among the messages a watermark moved over is told, of their newest:
-- of two people's messages in a group the second one's receipt was the only one. A long absence is
-- told to whoever wrote one of the newest thousand.
CREATE OR REPLACE FUNCTION receipts_mark(in_user bigint, rooms bigint[], seqs bigint[], is_read boolean)
    RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    -- In the same order everywhere, so that two of them never wait for each other.
    PERFORM FROM participants p WHERE p.user_id = in_user AND p.conversation_id = ANY (rooms)
      ORDER BY p.conversation_id FOR NO KEY UPDATE;
    WITH marks AS (
        SELECT p.conversation_id, CASE WHEN is_read THEN p.read_seq ELSE p.delivered_seq END AS was,
               least(max(r.seq), c.last_seq) AS seq
          FROM unnest(rooms, seqs) r(id, seq)
          JOIN participants p ON p.conversation_id = r.id AND p.user_id = in_user
          JOIN conversations c ON c.id = r.id
         GROUP BY p.conversation_id, p.user_id, c.id),
    changed AS (
        UPDATE participants p
           SET delivered_at = CASE WHEN p.delivered_seq < k.seq THEN clock_timestamp() ELSE p.delivered_at END,
               delivered_seq = greatest(p.delivered_seq, k.seq),
               read_at = CASE WHEN is_read THEN clock_timestamp() ELSE p.read_at END,
               read_seq = CASE WHEN is_read THEN k.seq ELSE p.read_seq END
          FROM marks k
         WHERE p.conversation_id = k.conversation_id AND p.user_id = in_user AND k.was < k.seq
        RETURNING p.conversation_id, k.was, k.seq),
    told AS (
        INSERT INTO events (kind, conversation_id, user_id, actor_id, message_id, seq)
        SELECT CASE WHEN is_read THEN 'read' ELSE 'delivered' END, c.conversation_id, in_user, in_user,
               l.id, c.seq
          FROM changed c CROSS JOIN LATERAL
               (SELECT DISTINCT ON (m.sender_id) m.id FROM messages m
                 WHERE m.conversation_id = c.conversation_id AND m.sender_id <> in_user
                   AND m.seq > greatest(c.was, c.seq - 1000) AND m.seq <= c.seq
                 ORDER BY m.sender_id, m.seq DESC) l)
    SELECT count(*) INTO moved FROM changed;
    RETURN moved;
END $$;

-- ---- groups ----

-- As before (0002), and the others are told whose the group is now.
CREATE OR REPLACE FUNCTION group_quit(in_room bigint, room_ms bigint, actor bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    heir bigint;
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome = 'ok' THEN
        SELECT p.user_id INTO heir FROM participants p
         WHERE p.conversation_id = in_room AND p.user_id <> actor ORDER BY p.joined_at, p.user_id LIMIT 1;
        IF NOT FOUND THEN outcome := group_delete(in_room, room_ms, actor); RETURN; END IF;
        UPDATE conversations SET owner_id = heir WHERE id = in_room;
        UPDATE participants SET role = 'owner' WHERE conversation_id = in_room AND user_id = heir;
        INSERT INTO events (kind, conversation_id, user_id, actor_id)
            VALUES ('owner_changed', in_room, heir, actor);
    END IF;
    outcome := member_remove(in_room, room_ms, actor, actor, NULL);
END $$;

-- ---- mail ----

-- As before (0003), but a mail whose time was over before it could be sent is answered too, so that the
-- courier can say so: then failure tells why, the mail is done with, and there is nothing to send.
DROP FUNCTION mail_claim(bytea, interval);
CREATE FUNCTION mail_claim(in_hash bytea, lease interval,
                           OUT id bigint, OUT attempt bigint, OUT kind text, OUT recipient text,
                           OUT username text, OUT created_at timestamptz, OUT failure text)
    LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    m mail_outbox;
    u users;
BEGIN
    LOOP
        SELECT * INTO m FROM mail_outbox o WHERE o.state = 'pending' AND o.next_attempt_at <= now()
         ORDER BY o.next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN RETURN; END IF;
        SELECT * INTO u FROM users x WHERE lower(x.email) = lower(m.recipient) AND x.is_active;
        EXIT WHEN FOUND AND NOT (m.kind = 'verify' AND u.email_verified) AND NOT (m.kind = 'reset' AND 5 <=
               (SELECT count(*) FROM mail_outbox o WHERE lower(o.recipient) = lower(m.recipient)
                   AND o.finished_at > now() - interval '1 hour' AND o.kind = 'reset'
                   AND o.state IN ('sent', 'logged')));
        UPDATE mail_outbox o SET state = 'dropped', finished_at = now() WHERE o.id = m.id;
    END LOOP;
    id := m.id; kind := m.kind; recipient := u.email; username := u.username; created_at := m.created_at;
    IF m.created_at + mail_lifetime(m.kind) <= now() THEN
        attempt := m.attempts;
        failure := coalesce(m.last_error, 'not sent in time');
        UPDATE mail_outbox o SET state = 'failed', finished_at = now(), last_error = failure WHERE o.id = m.id;
        RETURN;
    END IF;
    UPDATE mail_outbox o SET attempts = o.attempts + 1, next_attempt_at = now() + lease
     WHERE o.id = m.id RETURNING o.attempts INTO attempt;
    INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at)
        VALUES (in_hash, u.id, m.kind, u.email, now() + mail_lifetime(m.kind));
END $$;

-- As in 0001, but for the order of two lookups: when the first message between two people was sent twice
-- at once with one key, the second could be told of a conflict.
-- Why a message was not stored; see message_send(). Opens a direct conversation that is missing.
CREATE OR REPLACE FUNCTION message_refusal(in_session bigint, in_sender bigint,
                                to_conversation bigint, conversation_ms bigint,
                                to_peer bigint, peer_ms bigint, in_key text, hash bigint,
                                OUT outcome text, OUT message bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    room bigint := to_conversation;
    seen record;
BEGIN
    PERFORM FROM sessions s JOIN users u ON u.id = s.user_id
      WHERE s.id = in_session AND s.user_id = in_sender AND s.revoked_at IS NULL AND u.is_active;
    IF NOT FOUND THEN outcome := 'no_session'; RETURN; END IF;

    IF to_peer IS NOT NULL THEN
        IF to_peer = in_sender THEN outcome := 'self'; RETURN; END IF;
        PERFORM FROM users WHERE id = to_peer AND (peer_ms IS NULL OR epoch_ms(created_at) = peer_ms);
        IF NOT FOUND THEN outcome := 'no_peer'; RETURN; END IF;
    ELSE
        PERFORM FROM conversations WHERE id = room
            AND (conversation_ms IS NULL OR epoch_ms(created_at) = conversation_ms);
        IF NOT FOUND THEN outcome := 'no_conversation'; RETURN; END IF;
    END IF;

    -- Each statement sees what was committed before it began. The message comes first, so that the
    -- conversation of one that is found is found, too.
    SELECT m.id, m.conversation_id, m.request_hash INTO seen FROM messages m
     WHERE m.sender_id = in_sender AND m.client_key = in_key;
    IF to_peer IS NOT NULL THEN
        SELECT id INTO room FROM conversations WHERE kind = 'direct'
           AND user_low = least(in_sender, to_peer) AND user_high = greatest(in_sender, to_peer);
    END IF;
    IF seen.id IS NOT NULL THEN
        message := seen.id;
        outcome := CASE WHEN seen.conversation_id = room AND seen.request_hash = hash
                        THEN 'replayed' ELSE 'conflict' END;
    ELSIF room IS NULL THEN
        PERFORM direct_open(in_sender, to_peer);
        outcome := 'opened';
    ELSIF to_peer IS NOT NULL AND EXISTS
          (SELECT FROM participants p WHERE p.conversation_id = room AND p.user_id = in_sender) THEN
        outcome := 'opened';                    -- by somebody else, since message_send() looked
    ELSE
        outcome := 'forbidden';
    END IF;
END $$;
