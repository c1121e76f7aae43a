-- People and what they do with conversations: membership, contacts, receipts, presence.
--
-- Each change is one function, so one round trip and one transaction. A function that may refuse
-- answers an outcome, whose meaning to a client is in the table of shared/outcome.c. Those that
-- change a conversation lock its row first and then look again: a statement after the lock sees
-- whatever was committed before the lock was theirs.

-- A member sees all the history, but what was there before they came is neither unread to them nor
-- to be delivered to them.
ALTER TABLE participants ADD COLUMN joined_seq bigint NOT NULL DEFAULT 0; -- last_seq when they joined

-- Who may add whom to rooms; made by an accepted invitation.
CREATE TABLE contacts (
    id         bigint PRIMARY KEY DEFAULT nextval('public_id'),
    user_low   bigint NOT NULL REFERENCES users ON DELETE CASCADE, -- the smaller user id
    user_high  bigint NOT NULL REFERENCES users ON DELETE CASCADE, -- and the larger
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_low, user_high),
    CHECK (user_low < user_high)
);
CREATE INDEX contacts_high ON contacts (user_high);

-- Open invitations; answering one removes it. One per pair whoever asks: of two that cross, the
-- second finds the first.
CREATE TABLE invitations (
    id         bigint PRIMARY KEY DEFAULT nextval('public_id'),
    from_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    to_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (from_id <> to_id)
);
CREATE UNIQUE INDEX invitations_pair ON invitations (least(from_id, to_id), greatest(from_id, to_id));
CREATE INDEX invitations_from ON invitations (from_id);
CREATE INDEX invitations_to ON invitations (to_id);

-- ---- conversations ----

-- Locks a conversation for a change by one of its participants.
-- outcome: ok | no_conversation | not_member.
CREATE FUNCTION conversation_lock(in_room bigint, room_ms bigint, actor bigint,
                                  OUT outcome text, OUT is_group boolean, OUT owner bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.kind = 'group', c.owner_id INTO is_group, owner FROM conversations c
     WHERE c.id = in_room AND (room_ms IS NULL OR epoch_ms(c.created_at) = room_ms) FOR NO KEY UPDATE;
    IF NOT FOUND THEN outcome := 'no_conversation'; RETURN; END IF;
    PERFORM FROM participants p WHERE p.conversation_id = in_room AND p.user_id = actor;
    outcome := CASE WHEN FOUND THEN 'ok' ELSE 'not_member' END;
END $$;

-- The same for what only a group's owner may do. outcome also: direct | not_owner.
CREATE FUNCTION group_lock(in_room bigint, room_ms bigint, actor bigint, OUT outcome text)
    LANGUAGE sql AS $$
    SELECT CASE WHEN l.outcome <> 'ok' THEN l.outcome WHEN NOT l.is_group THEN 'direct'
                WHEN l.owner = actor THEN 'ok' ELSE 'not_owner' END
      FROM conversation_lock(in_room, room_ms, actor) l
$$;

-- The list moves a conversation to its front. Its row is locked by the caller.
CREATE FUNCTION conversation_touch(room bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE conversations SET updated_at = greatest(clock_timestamp(), updated_at) WHERE id = room
$$;

-- The first of several users, named by id and the timestamp of their UUID (-1: any), who does not
-- exist, as its place in the list from 1; NULL: all do.
CREATE FUNCTION first_unknown_user(ids bigint[], ms bigint[]) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT r.n FROM unnest(ids, ms) WITH ORDINALITY r(id, ms, n)
     WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = r.id
                          AND (coalesce(r.ms, -1) < 0 OR epoch_ms(u.created_at) = r.ms))
     ORDER BY r.n LIMIT 1
$$;

-- Puts users into a group, those who are in it left alone; the others join in the order named.
-- The caller holds the group's lock. Answers how many came, with an event of the given kind each.
CREATE FUNCTION group_join(room bigint, ids bigint[], actor bigint, event text) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    at    timestamptz := clock_timestamp();
    came  bigint;
BEGIN
    WITH joined AS (
        INSERT INTO participants (conversation_id, user_id, joined_at, joined_seq, delivered_seq, read_seq)
        SELECT c.id, r.id, at + min(r.n) * interval '1 microsecond', c.last_seq, c.last_seq, c.last_seq
          FROM conversations c, unnest(ids) WITH ORDINALITY r(id, n)
         WHERE c.id = room GROUP BY c.id, r.id
            ON CONFLICT DO NOTHING RETURNING user_id, joined_at),
    told AS (
        INSERT INTO events (kind, conversation_id, user_id, actor_id)
        SELECT event, room, j.user_id, actor FROM joined j ORDER BY j.joined_at)
    SELECT count(*) INTO came FROM joined;
    RETURN came;
END $$;

-- The direct conversation of two people, on the wish of one of them.
-- outcome: created | existing | self | no_user.
CREATE FUNCTION direct_start(actor bigint, peer bigint, peer_ms bigint,
                             OUT outcome text, OUT conversation bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    is_new boolean;
BEGIN
    IF first_unknown_user(ARRAY[peer], ARRAY[peer_ms]) IS NOT NULL THEN outcome := 'no_user'; RETURN; END IF;
    IF peer = actor THEN outcome := 'self'; RETURN; END IF;
    SELECT d.conversation, d.created INTO conversation, is_new FROM direct_open(actor, peer) d;
    outcome := CASE WHEN is_new THEN 'created' ELSE 'existing' END;
    IF is_new THEN
        INSERT INTO events (kind, conversation_id, user_id, actor_id)
        VALUES ('conversation_created', conversation, actor, actor),
               ('conversation_created', conversation, peer, actor);
    END IF;
END $$;

-- A group of the actor and others. outcome: created | no_user, then missing is that user's place in ids.
CREATE FUNCTION group_create(actor bigint, in_name text, ids bigint[], ms bigint[],
                             OUT outcome text, OUT conversation bigint, OUT missing bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    missing := first_unknown_user(ids, ms);
    IF missing IS NOT NULL THEN outcome := 'no_user'; RETURN; END IF;
    outcome := 'created';
    INSERT INTO conversations (kind, name, owner_id) VALUES ('group', in_name, actor)
        RETURNING id INTO conversation;
    INSERT INTO participants (conversation_id, user_id, role) VALUES (conversation, actor, 'owner');
    INSERT INTO events (kind, conversation_id, user_id, actor_id)
        VALUES ('conversation_created', conversation, actor, actor);
    PERFORM group_join(conversation, ids, actor, 'conversation_created');
END $$;

-- outcome: ok | no_conversation | not_member | direct | not_owner.
CREATE FUNCTION group_rename(in_room bigint, room_ms bigint, actor bigint, in_name text,
                             OUT outcome text)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE conversations SET name = in_name WHERE id = in_room;
    PERFORM conversation_touch(in_room);
    INSERT INTO events (kind, conversation_id, user_id, actor_id)
        VALUES ('conversation_renamed', in_room, actor, actor);
END $$;

-- The group with its messages. outcome as group_rename().
CREATE FUNCTION group_delete(in_room bigint, room_ms bigint, actor bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    INSERT INTO events (kind, conversation_id, user_id, actor_id, conversation_created_at)
        SELECT 'conversation_deleted', in_room, p.user_id, actor, c.created_at
          FROM conversations c JOIN participants p ON p.conversation_id = c.id
         WHERE c.id = in_room ORDER BY p.joined_at;
    DELETE FROM messages WHERE conversation_id = in_room;
    DELETE FROM conversations WHERE id = in_room;
END $$;

-- outcome: as group_rename(), or no_user, then missing is that user's place in ids.
CREATE FUNCTION members_add(in_room bigint, room_ms bigint, actor bigint, ids bigint[], ms bigint[],
                            OUT outcome text, OUT missing bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    missing := first_unknown_user(ids, ms);
    IF missing IS NOT NULL THEN outcome := 'no_user'; RETURN; END IF;
    IF group_join(in_room, ids, actor, 'member_added') > 0 THEN
        PERFORM conversation_touch(in_room);
    END IF;
END $$;

-- Takes a member out of a group, or lets the actor leave it. member NULL: a user nobody knows.
-- outcome: ok | no_conversation | not_member | direct | owner_leaves | not_owner | no_user.
CREATE FUNCTION member_remove(in_room bigint, room_ms bigint, actor bigint,
                              member bigint, member_ms bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
BEGIN
    SELECT CASE WHEN l.outcome <> 'ok' THEN l.outcome
                WHEN NOT l.is_group THEN 'direct'
                WHEN member = actor AND l.owner = actor THEN 'owner_leaves'
                WHEN member = actor OR l.owner = actor THEN 'ok'
                ELSE 'not_owner' END
      INTO outcome FROM conversation_lock(in_room, room_ms, actor) l;
    IF outcome <> 'ok' THEN RETURN; END IF;
    DELETE FROM participants p USING users u
     WHERE p.conversation_id = in_room AND p.user_id = member AND u.id = p.user_id
       AND (member_ms IS NULL OR epoch_ms(u.created_at) = member_ms);
    IF NOT FOUND THEN outcome := 'no_user'; RETURN; END IF;
    PERFORM conversation_touch(in_room);
    INSERT INTO events (kind, conversation_id, user_id, actor_id)
        VALUES ('member_removed', in_room, member, actor);
END $$;

-- A member's own way out where the owner has one too: the group passes to who has been in it longest,
-- and the last one takes it along. outcome as member_remove(), without owner_leaves.
CREATE FUNCTION group_quit(in_room bigint, room_ms bigint, actor bigint, OUT outcome text)
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
    END IF;
    outcome := member_remove(in_room, room_ms, actor, actor, NULL);
END $$;

-- ---- messages ----

-- A place in a conversation's history: the seq of its first message at or after an id or a time (the
-- other is NULL), or the next seq when all are before it. seq, id and created_at rise together, so
-- it is searched by halves; rows that are gone do no harm.
CREATE FUNCTION message_position(room bigint, at_id bigint, at_time timestamptz) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    low  bigint := 0;                           -- everything up to here is before the place
    high bigint := (SELECT c.last_seq + 1 FROM conversations c WHERE c.id = room); -- nothing from here on
    mid  bigint;
    m    record;
BEGIN
    WHILE high - low > 1 LOOP
        mid := (low + high) / 2;
        SELECT x.seq, x.id, x.created_at INTO m FROM messages x
         WHERE x.conversation_id = room AND x.seq >= mid AND x.seq < high ORDER BY x.seq LIMIT 1;
        IF FOUND AND (m.id < at_id OR m.created_at < at_time) THEN
            low := m.seq;
        ELSE
            high := mid;
        END IF;
    END LOOP;
    RETURN high;
END $$;

-- The place a timestamp cursor names. Ours carry the seq of the last message shown behind the
-- microseconds (rest, -1: none); any other time with so many digits is just a later time.
CREATE FUNCTION message_position_of_cursor(room bigint, at timestamptz, rest bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM messages m
                WHERE m.conversation_id = room AND m.seq = rest AND m.created_at = at) THEN
        RETURN rest;
    END IF;
    RETURN message_position(room, NULL, CASE WHEN rest > 0 THEN at + interval '1 microsecond' ELSE at END);
END $$;

-- Locks the conversation of a message for a change of the message by its sender.
-- outcome: ok | no_message (deleted ones too) | not_member | not_sender.
CREATE FUNCTION message_lock(in_message bigint, message_ms bigint, actor bigint,
                             OUT outcome text, OUT room bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    sender bigint;
BEGIN
    SELECT m.conversation_id, m.sender_id INTO room, sender FROM messages m
     WHERE m.id = in_message AND (message_ms IS NULL OR epoch_ms(m.created_at) = message_ms);
    IF NOT FOUND THEN outcome := 'no_message'; RETURN; END IF;
    outcome := (SELECT l.outcome FROM conversation_lock(room, NULL, actor) l);
    IF outcome = 'no_conversation' THEN outcome := 'no_message'; END IF;
    IF outcome <> 'ok' THEN RETURN; END IF;
    PERFORM FROM messages m WHERE m.id = in_message AND m.deleted_at IS NULL;
    outcome := CASE WHEN NOT FOUND THEN 'no_message' WHEN sender = actor THEN 'ok' ELSE 'not_sender' END;
END $$;

-- outcome: see message_lock(); with ok the message as it is now.
CREATE FUNCTION message_edit(in_message bigint, message_ms bigint, actor bigint, in_content text,
                             OUT outcome text, OUT shown message_view)
    LANGUAGE plpgsql AS $$
DECLARE
    room bigint;
BEGIN
    SELECT l.outcome, l.room INTO outcome, room FROM message_lock(in_message, message_ms, actor) l;
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE messages SET content = in_content, edited_at = clock_timestamp() WHERE id = in_message;
    INSERT INTO events (kind, conversation_id, user_id, actor_id, message_id)
        VALUES ('message_edited', room, actor, actor, in_message);
    SELECT * INTO shown FROM message_view v WHERE v.id = in_message;
END $$;

-- The row and its seq stay, what it said is gone. outcome: see message_lock().
CREATE FUNCTION message_delete(in_message bigint, message_ms bigint, actor bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    room bigint;
BEGIN
    SELECT l.outcome, l.room INTO outcome, room FROM message_lock(in_message, message_ms, actor) l;
    IF outcome <> 'ok' THEN RETURN; END IF;
    UPDATE messages SET content = NULL, media_url = NULL, deleted_at = clock_timestamp()
     WHERE id = in_message;
    INSERT INTO events (kind, conversation_id, user_id, actor_id, message_id)
        VALUES ('message_deleted', room, actor, actor, in_message);
END $$;

-- ---- contacts ----

-- A contact as each of the two sees it, with the direct conversation they got with it.
CREATE VIEW contact_view AS
SELECT c.id, c.viewer_id, o.id AS other_id, o.username, o.display_name, o.is_active,
       o.created_at AS other_created_at, o.updated_at AS other_updated_at,
       d.id AS conversation_id, d.created_at AS conversation_created_at, c.created_at
FROM (SELECT id, user_low AS viewer_id, user_high AS other_id, created_at FROM contacts
      UNION ALL SELECT id, user_high, user_low, created_at FROM contacts) c
JOIN users o ON o.id = c.other_id
LEFT JOIN conversations d ON d.kind = 'direct' AND d.user_low = least(c.viewer_id, c.other_id)
                         AND d.user_high = greatest(c.viewer_id, c.other_id);

CREATE VIEW invitation_view AS
SELECT i.id, f.id AS from_id, f.username AS from_username, f.display_name AS from_display_name,
       f.is_active AS from_is_active, f.created_at AS from_created_at, f.updated_at AS from_updated_at,
       t.id AS to_id, t.username AS to_username, t.display_name AS to_display_name,
       t.is_active AS to_is_active, t.created_at AS to_created_at, t.updated_at AS to_updated_at,
       i.created_at
FROM invitations i JOIN users f ON f.id = i.from_id JOIN users t ON t.id = i.to_id;

CREATE FUNCTION are_contacts(a bigint, b bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM contacts WHERE user_low = least(a, b) AND user_high = greatest(a, b))
$$;

-- An open invitation was accepted: it goes, the contact and the direct conversation come.
-- The caller has locked the invitation.
CREATE FUNCTION invitation_settle(invitation bigint, inviter bigint, invitee bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    DELETE FROM invitations WHERE id = invitation;
    INSERT INTO contacts (user_low, user_high) VALUES (least(inviter, invitee), greatest(inviter, invitee))
        RETURNING id INTO made;
    PERFORM direct_start(invitee, inviter, NULL);
    INSERT INTO events (kind, user_id, actor_id)
        VALUES ('contact_added', inviter, invitee), ('contact_added', invitee, inviter);
    RETURN made;
END $$;

-- Invites a user, or accepts their invitation when they came first. Both ways the invitation is shown.
-- outcome: invited | accepted (then with the contact) | no_user | self_invitation | already_contacts
--          | already_invited.
CREATE FUNCTION contact_invite(actor bigint, in_username text,
                               OUT outcome text, OUT shown invitation_view, OUT contact contact_view)
    LANGUAGE plpgsql AS $$
DECLARE
    other  bigint := (SELECT u.id FROM users u WHERE lower(u.username) = lower(in_username));
    invite bigint;
    made   bigint;
BEGIN
    outcome := CASE WHEN other IS NULL THEN 'no_user' WHEN other = actor THEN 'self_invitation' END;
    WHILE outcome IS NULL LOOP
        IF are_contacts(actor, other) THEN outcome := 'already_contacts'; RETURN; END IF;
        -- Waits for whoever is inviting, or answering, between the two at this moment.
        INSERT INTO invitations (from_id, to_id) VALUES (actor, other)
            ON CONFLICT DO NOTHING RETURNING id INTO invite;
        IF FOUND THEN
            IF are_contacts(actor, other) THEN  -- since the look above
                DELETE FROM invitations WHERE id = invite;
                outcome := 'already_contacts';
                RETURN;
            END IF;
            outcome := 'invited';
            INSERT INTO events (kind, user_id, actor_id) VALUES ('invitation_received', other, actor);
            SELECT * INTO shown FROM invitation_view v WHERE v.id = invite;
        ELSE
            SELECT i.id, CASE WHEN i.from_id = actor THEN 'already_invited' ELSE 'accepted' END
              INTO invite, outcome FROM invitations i
             WHERE least(i.from_id, i.to_id) = least(actor, other)
               AND greatest(i.from_id, i.to_id) = greatest(actor, other) FOR UPDATE;
            CONTINUE WHEN NOT FOUND;            -- it was answered meanwhile
            IF outcome = 'accepted' THEN
                SELECT * INTO shown FROM invitation_view v WHERE v.id = invite;
                made := invitation_settle(invite, other, actor);
                SELECT * INTO contact FROM contact_view v WHERE v.id = made AND v.viewer_id = actor;
            END IF;
        END IF;
    END LOOP;
END $$;

-- The invitee's answer. outcome: ok, with the contact when it was accepted | not_found.
CREATE FUNCTION invitation_answer(actor bigint, invitation bigint, invitation_ms bigint, accept boolean,
                                  OUT outcome text, OUT contact contact_view)
    LANGUAGE plpgsql AS $$
DECLARE
    inviter bigint;
    made    bigint;
BEGIN
    SELECT i.from_id INTO inviter FROM invitations i WHERE i.id = invitation AND i.to_id = actor
       AND (invitation_ms IS NULL OR epoch_ms(i.created_at) = invitation_ms) FOR UPDATE;
    outcome := CASE WHEN FOUND THEN 'ok' ELSE 'not_found' END;
    IF outcome = 'ok' AND accept THEN
        made := invitation_settle(invitation, inviter, actor);
        SELECT * INTO contact FROM contact_view v WHERE v.id = made AND v.viewer_id = actor;
    ELSIF outcome = 'ok' THEN
        DELETE FROM invitations WHERE id = invitation;
    END IF;
END $$;

-- Either of the two ends it; their conversation stays. outcome: ok | not_found.
CREATE FUNCTION contact_remove(actor bigint, in_contact bigint, contact_ms bigint, OUT outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    other bigint;
BEGIN
    DELETE FROM contacts c WHERE c.id = in_contact AND actor IN (c.user_low, c.user_high)
       AND (contact_ms IS NULL OR epoch_ms(c.created_at) = contact_ms)
     RETURNING c.user_low + c.user_high - actor INTO other;
    outcome := CASE WHEN FOUND THEN 'ok' ELSE 'not_found' END;
    IF outcome = 'ok' THEN
        INSERT INTO events (kind, user_id, actor_id)
            VALUES ('contact_removed', actor, other), ('contact_removed', other, actor);
    END IF;
END $$;

-- ---- receipts ----

-- How far each message got with each of its recipients, from their watermarks. The times are those of
-- the watermark: when the newest message up to there was delivered, or read.
CREATE VIEW message_deliveries AS
SELECT m.id AS message_id, p.user_id,
       CASE WHEN p.read_seq >= m.seq THEN 'read' WHEN p.delivered_seq >= m.seq THEN 'delivered'
            ELSE 'sent' END AS status,
       CASE WHEN p.delivered_seq >= m.seq THEN p.delivered_at END AS delivered_at,
       CASE WHEN p.read_seq >= m.seq THEN p.read_at END AS read_at
FROM messages m
JOIN participants p ON p.conversation_id = m.conversation_id
                   AND p.user_id <> m.sender_id AND p.joined_seq < m.seq;

-- Moves a user's watermarks forward in several conversations, and tells of those that moved over
-- messages of others: user_id got, or read, all up to message_id. Conversations they are not in are
-- passed over. Answers how many moved.
-- The one change of a conversation that does not take its lock: the rows are the user's own, and a
-- thousand members who acknowledge one message must not queue in front of the next.
CREATE FUNCTION receipts_mark(in_user bigint, rooms bigint[], seqs bigint[], is_read boolean)
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
               (SELECT m.id FROM messages m WHERE m.conversation_id = c.conversation_id
                   AND m.seq > c.was AND m.seq <= c.seq AND m.sender_id <> in_user
                 ORDER BY m.seq DESC LIMIT 1) l)
    SELECT count(*) INTO moved FROM changed;
    RETURN moved;
END $$;

-- The same up to one message, or with none named up to the newest of a conversation. With both the
-- message has to be of that conversation.
-- outcome: ok | no_conversation | no_message | not_member.
CREATE FUNCTION receipt_mark(in_user bigint, in_room bigint, room_ms bigint,
                             in_message bigint, message_ms bigint, is_read boolean, OUT outcome text)
    LANGUAGE plpgsql AS $$
DECLARE
    room bigint := in_room;
    upto bigint;
BEGIN
    IF in_room IS NOT NULL THEN
        SELECT c.last_seq INTO upto FROM conversations c
         WHERE c.id = in_room AND (room_ms IS NULL OR epoch_ms(c.created_at) = room_ms);
        IF NOT FOUND THEN outcome := 'no_conversation'; RETURN; END IF;
    ELSE
        SELECT m.conversation_id INTO room FROM messages m
         WHERE m.id = in_message AND (message_ms IS NULL OR epoch_ms(m.created_at) = message_ms);
        IF NOT FOUND THEN outcome := 'no_message'; RETURN; END IF;
    END IF;
    PERFORM FROM participants p WHERE p.conversation_id = room AND p.user_id = in_user;
    IF NOT FOUND THEN outcome := 'not_member'; RETURN; END IF;
    IF in_message IS NOT NULL THEN
        SELECT m.seq INTO upto FROM messages m WHERE m.id = in_message AND m.conversation_id = room
           AND (message_ms IS NULL OR epoch_ms(m.created_at) = message_ms);
        IF NOT FOUND THEN outcome := 'no_message'; RETURN; END IF;
    END IF;
    PERFORM receipts_mark(in_user, ARRAY[room], ARRAY[upto], is_read);
    outcome := 'ok';
END $$;

-- ---- presence ----

-- Who has a socket, and on which daemon. Unlogged: a crash of PostgreSQL empties both, and each daemon
-- notices with its next heartbeat, registers anew and says who is there.
CREATE SEQUENCE daemon_id; -- logged: an id must not come again after the crash, its daemon may live on
CREATE UNLOGGED TABLE daemons (
    id      bigint PRIMARY KEY DEFAULT nextval('daemon_id'),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp() -- heartbeat; a silent one is swept
);
CREATE UNLOGGED TABLE online (
    user_id   bigint NOT NULL,
    daemon_id bigint NOT NULL,
    PRIMARY KEY (user_id, daemon_id)
);
CREATE INDEX online_daemon ON online (daemon_id);

-- Changes of presence take turns, so that each user's first socket and last one are reported by
-- exactly one daemon. They are few, as daemons collect them, and none waits for a disk.
CREATE FUNCTION presence_lock() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(7236838) $$;

-- Tells all daemons who came ("on") or went ("off"); answers how many. In the transaction of the change,
-- so that no news is lost, and all of it arrives in the order in which it happened.
CREATE FUNCTION presence_say(word text, users bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('parley', 'presence ' || word || ' ' || s.ids)     -- a payload has room for 7,999 bytes
       FROM (SELECT string_agg(u.id::text, ' ') AS ids FROM unnest(users) WITH ORDINALITY u(id, n)
              GROUP BY (u.n - 1) / 350) s;
    RETURN coalesce(cardinality(users), 0);
END $$;

-- The users have sockets on this daemon. Tells of those who were nowhere before. A daemon that was
-- swept gets nobody in: it has to register again.
CREATE FUNCTION presence_up(daemon bigint, users bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    news bigint[];
BEGIN
    PERFORM presence_lock();
    WITH came AS (
        INSERT INTO online (user_id, daemon_id)
        SELECT DISTINCT u, daemon FROM unnest(users) u WHERE EXISTS (SELECT FROM daemons d WHERE d.id = daemon)
            ON CONFLICT DO NOTHING RETURNING user_id)
    SELECT array_agg(c.user_id) INTO news FROM came c
     WHERE NOT EXISTS (SELECT FROM online o WHERE o.user_id = c.user_id);
    RETURN presence_say('on', news);
END $$;

-- They have none on this daemon any more. Tells of those who are nowhere now.
CREATE FUNCTION presence_down(daemon bigint, users bigint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    news bigint[];
BEGIN
    PERFORM presence_lock();
    WITH went AS (
        DELETE FROM online o WHERE o.daemon_id = daemon AND o.user_id = ANY (users) RETURNING o.user_id)
    SELECT array_agg(w.user_id) INTO news FROM went w
     WHERE NOT EXISTS (SELECT FROM online o WHERE o.user_id = w.user_id AND o.daemon_id <> daemon);
    RETURN presence_say('off', news);
END $$;

-- Daemons that are silent for so long are gone, and so are their users. Tells of those who are nowhere
-- now; of several daemons that sweep one does.
CREATE FUNCTION presence_sweep(silence interval) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    news bigint[];
BEGIN
    PERFORM FROM daemons WHERE seen_at < clock_timestamp() - silence;
    IF NOT FOUND THEN RETURN 0; END IF;         -- nothing to do, nearly always: take no lock
    PERFORM presence_lock();
    DELETE FROM daemons WHERE seen_at < clock_timestamp() - silence;
    WITH went AS (
        DELETE FROM online o WHERE NOT EXISTS (SELECT FROM daemons d WHERE d.id = o.daemon_id)
        RETURNING o.user_id)
    SELECT array_agg(DISTINCT w.user_id) INTO news FROM went w
     WHERE NOT EXISTS (SELECT FROM online o JOIN daemons d ON d.id = o.daemon_id WHERE o.user_id = w.user_id);
    RETURN presence_say('off', news);
END $$;
