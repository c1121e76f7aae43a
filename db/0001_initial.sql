-- Parley's data model: accounts, sessions, conversations, messages, events.
--
-- Three decisions carry everything else (docs of the contract in the README's reading map):
--   * The public UUID of a row is derived from (id, created_at) by the programs; it is not stored.
--   * Within a conversation everything that happens takes the conversation's row lock before it
--     draws an id from change_id, so id order = seq order = commit order there.
--   * Every message and event keeps the transaction that wrote it (xid). "What has become visible
--     between two looks" is then an exact index lookup between two pg_snapshots, whatever order
--     transactions commit in; no reader ever polls `id > last`, which loses late commits.

-- Users, conversations, contacts and invitations draw from one sequence: an integer names one thing.
CREATE SEQUENCE public_id;
-- Messages and events draw from one sequence: together they are a conversation's history.
CREATE SEQUENCE change_id;

-- Milliseconds since the epoch: the timestamp half of a derived UUID (RFC 9562, version 7). Immutable
-- down to its bottom (AT TIME ZONE), or it would be planned anew with each call instead of inlined.
CREATE FUNCTION epoch_ms(at timestamptz) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT floor(extract(epoch FROM at AT TIME ZONE 'UTC') * 1000)::bigint $$;

CREATE TABLE users (
    id             bigint PRIMARY KEY DEFAULT nextval('public_id'),
    username       text NOT NULL,                      -- 3-50 of A-Za-z0-9_.-, as the user wrote it
    email          text,                               -- NULL: registered where none is asked
    display_name   text NOT NULL,                      -- 1-100 characters
    password_hash  text NOT NULL,                      -- crypt(3), bcrypt
    is_active      boolean NOT NULL DEFAULT true,      -- false: no login, sockets closed with 4003
    email_verified boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- A login. Access tokens name it (claim sid) and die with it.
CREATE TABLE sessions (
    id             bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    user_id        bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    dialect        text NOT NULL,                      -- the surface that issued it
    refresh_hash   bytea UNIQUE,                       -- SHA-256 of the refresh token in use; NULL: none issued
    successor_hash bytea UNIQUE,                       -- SHA-256 of its successor, handed out, not used yet
    expires_at     timestamptz NOT NULL,               -- of the refresh token, or of the access token without one
    created_at     timestamptz NOT NULL DEFAULT now(),
    used_at        timestamptz NOT NULL DEFAULT now(), -- last login or refresh
    revoked_at     timestamptz,                        -- logout, theft, password change
    user_agent     text,                               -- as the client named itself, at most 200 bytes
    address        text                                -- the client's address at login
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Refresh tokens whose successor has been used: showing one again is theft.
CREATE TABLE spent_refresh_tokens (
    hash       bytea PRIMARY KEY,
    session_id bigint NOT NULL REFERENCES sessions ON DELETE CASCADE
);
CREATE INDEX spent_refresh_tokens_session ON spent_refresh_tokens (session_id);

CREATE TABLE conversations (
    id          bigint PRIMARY KEY DEFAULT nextval('public_id'),
    kind        text NOT NULL,                         -- direct | group (a CHECK would be parsed at every send)
    name        text,                                  -- groups only
    owner_id    bigint REFERENCES users ON DELETE SET NULL, -- groups only: who made it
    user_low    bigint REFERENCES users ON DELETE CASCADE,  -- direct only: the smaller user id,
    user_high   bigint REFERENCES users ON DELETE CASCADE,  -- and the larger
    last_seq    bigint NOT NULL DEFAULT 0,             -- seq of the newest message; messages are 1..last_seq
    last_at     timestamptz NOT NULL DEFAULT now(),    -- its created_at: keeps times from running backwards
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()     -- moves with each message, membership or name change
) WITH (fillfactor = 70);                              -- room for the HOT update of every send
CREATE UNIQUE INDEX conversations_pair ON conversations (user_low, user_high) WHERE kind = 'direct';

-- Who is in a conversation, and how far they got. Receipts are watermarks on messages.seq.
CREATE TABLE participants (
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id         bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    role            text NOT NULL DEFAULT 'member' CHECK (role IN ('owner', 'member')),
    joined_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    delivered_seq   bigint NOT NULL DEFAULT 0,         -- every message up to here reached this user
    delivered_at    timestamptz,
    read_seq        bigint NOT NULL DEFAULT 0,         -- every message up to here was read; <= delivered_seq
    read_at         timestamptz,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);
CREATE INDEX participants_user ON participants (user_id, conversation_id);

-- No foreign keys here: message_send() has locked the conversation and seen the sender in it, and a
-- deleted conversation takes its messages along (conversation_delete); two lookups and a row lock
-- on the sender per message would only repeat that.
CREATE TABLE messages (
    id              bigint PRIMARY KEY DEFAULT nextval('change_id'),
    conversation_id bigint NOT NULL,
    seq             bigint NOT NULL,                   -- 1, 2, 3 … in its conversation, without gaps
    sender_id       bigint NOT NULL,
    type            text NOT NULL DEFAULT 'text',      -- what a p2p client calls it: text, image, …
    content         text,                              -- NULL: media only, or deleted
    media_url       text,
    client_key      text,                              -- Idempotency-Key or client_msg_id
    request_hash    bigint,                            -- of what was sent under client_key
    created_at      timestamptz NOT NULL,              -- never earlier than the message before
    edited_at       timestamptz,
    deleted_at      timestamptz,                       -- content is gone, the row keeps its seq
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id(),
    snapshot        pg_snapshot NOT NULL DEFAULT pg_current_snapshot() -- what was not visible yet: ?since
);
CREATE UNIQUE INDEX messages_seq ON messages (conversation_id, seq);
CREATE UNIQUE INDEX messages_client_key ON messages (sender_id, client_key) WHERE client_key IS NOT NULL;
CREATE INDEX messages_xid ON messages (xid);

-- Whatever else the sockets must hear of. Rows are kept for a while (see events_purge), not for ever.
CREATE TABLE events (
    id              bigint PRIMARY KEY DEFAULT nextval('change_id'),
    kind            text NOT NULL,                     -- session_revoked, user_disabled, member_added, …
    conversation_id bigint,
    user_id         bigint,                            -- whom it is about
    actor_id        bigint,                            -- who did it
    message_id      bigint,
    session_id      bigint,
    seq             bigint,                            -- receipts: the watermark
    conversation_created_at timestamptz,               -- conversation_deleted: for its UUID, the row is gone
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid             xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX events_xid ON events (xid);

-- A message as every surface needs it: with its conversation, its sender and, in a direct
-- conversation, its recipient.
CREATE VIEW message_view AS
SELECT m.id, m.conversation_id, m.seq, m.type, m.content, m.media_url, m.client_key,
       m.created_at, m.edited_at,
       c.kind = 'group' AS is_group, c.created_at AS conversation_created_at,
       m.sender_id, s.username AS sender_username, s.display_name AS sender_display_name,
       s.is_active AS sender_is_active, s.created_at AS sender_created_at,
       s.updated_at AS sender_updated_at,
       r.id AS recipient_id, r.username AS recipient_username, r.created_at AS recipient_created_at,
       m.deleted_at
FROM messages m
JOIN conversations c ON c.id = m.conversation_id
JOIN users s ON s.id = m.sender_id
LEFT JOIN users r ON c.kind = 'direct' AND r.id = c.user_low + c.user_high - m.sender_id;

-- The direct conversation of two people, made when it is not there; at most one, also when many ask
-- at once. The caller has seen that both exist and differ.
CREATE FUNCTION direct_open(a bigint, b bigint, OUT conversation bigint, OUT created boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        SELECT id INTO conversation FROM conversations
         WHERE kind = 'direct' AND user_low = least(a, b) AND user_high = greatest(a, b);
        created := conversation IS NULL;
        EXIT WHEN NOT created;
        INSERT INTO conversations (kind, user_low, user_high) VALUES ('direct', least(a, b), greatest(a, b))
            ON CONFLICT DO NOTHING RETURNING id INTO conversation;
        CONTINUE WHEN conversation IS NULL;     -- another made it first: read that one
        INSERT INTO participants (conversation_id, user_id) VALUES (conversation, a), (conversation, b);
        EXIT;
    END LOOP;
END $$;

-- Tells every socket daemon to look for what has become visible. A wake-up, never the truth: run it
-- after the commit. When another session is notifying at this moment its signal comes after our
-- commit too, so one of them is enough; commits with NOTIFY serialise, and this keeps them few.
-- It holds nothing worth a wait for the disk. (plpgsql keeps its plan; SQL would plan at each call.)
CREATE FUNCTION wake() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(7236837) THEN
        SET LOCAL synchronous_commit = off;
        PERFORM pg_notify('parley', '');
    END IF;
END $$;

-- Stores a message and answers what became of it: the one statement of every send, on any surface.
-- The addressee is a conversation, or a person (peer), whose direct conversation is opened on the way;
-- *_ms, unless NULL, is the timestamp of the UUID they were named by and has to match the row's.
-- outcome: sent | replayed (id is the first message's; the rest is NULL) | conflict (the key was used
-- for another message) | no_session | self | no_peer | no_conversation | forbidden.
-- It answers only what the caller cannot know: every column and every table here costs each send.
-- Two sends with one key into two conversations at the same moment: one of them fails with
-- unique_violation, and finds the other's message when it is run again.
CREATE FUNCTION message_send(in_session bigint, in_sender bigint,
                             to_conversation bigint, conversation_ms bigint,
                             to_peer bigint, peer_ms bigint,
                             in_type text, in_content text, in_media text, in_key text,
    OUT outcome text, OUT id bigint, OUT conversation_id bigint, OUT seq bigint,
    OUT created_at timestamptz, OUT is_group boolean, OUT conversation_created_at timestamptz,
    OUT recipient_id bigint, OUT recipient_created_at timestamptz)
    LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    hash  bigint := CASE WHEN in_key IS NOT NULL THEN
                hashtextextended(coalesce(in_content, '') || E'\x01' || coalesce(in_media, ''), 0) END;
    low   bigint := least(in_sender, to_peer);
    high  bigint := greatest(in_sender, to_peer);
    was   record;
BEGIN
    -- The row lock orders everything that happens in a conversation. seq is taken here and given
    -- back below when the message may not be stored after all.
    IF to_peer IS NOT NULL THEN
        UPDATE conversations c
           SET last_seq = c.last_seq + 1, last_at = greatest(clock_timestamp(), c.last_at),
               updated_at = greatest(clock_timestamp(), c.last_at)
         WHERE c.kind = 'direct' AND c.user_low = low AND c.user_high = high
           AND EXISTS (SELECT FROM sessions x WHERE x.id = in_session AND x.user_id = in_sender
                          AND x.revoked_at IS NULL)
        RETURNING c.id, c.last_seq, c.last_at, false, c.created_at, to_peer
             INTO conversation_id, seq, created_at, is_group, conversation_created_at, recipient_id;
    ELSE
        UPDATE conversations c
           SET last_seq = c.last_seq + 1, last_at = greatest(clock_timestamp(), c.last_at),
               updated_at = greatest(clock_timestamp(), c.last_at)
         WHERE c.id = to_conversation
           AND (in_sender IN (c.user_low, c.user_high) OR EXISTS -- else refused without a trace
                (SELECT FROM participants p WHERE p.conversation_id = c.id AND p.user_id = in_sender))
           AND (conversation_ms IS NULL OR epoch_ms(c.created_at) = conversation_ms)
           AND EXISTS (SELECT FROM sessions x WHERE x.id = in_session AND x.user_id = in_sender
                          AND x.revoked_at IS NULL)
        RETURNING c.id, c.last_seq, c.last_at, c.kind = 'group', c.created_at,
                  c.user_low + c.user_high - in_sender
             INTO conversation_id, seq, created_at, is_group, conversation_created_at, recipient_id;
    END IF;
    IF FOUND THEN
        IF recipient_id IS NOT NULL THEN
            SELECT u.created_at INTO recipient_created_at FROM users u WHERE u.id = recipient_id;
        END IF;
        IF peer_ms <> epoch_ms(recipient_created_at) THEN
            NULL;                               -- not the person they meant
        ELSIF in_key IS NULL AND NOT is_group THEN
            -- Nothing is left to check: who is in a direct conversation never changes.
            INSERT INTO messages (conversation_id, seq, sender_id, type, content, media_url, created_at)
            VALUES (conversation_id, seq, in_sender, in_type, in_content, in_media, created_at)
            RETURNING messages.id INTO id;
            outcome := 'sent';
            RETURN;
        ELSE
            -- A statement of its own, so it sees every removal and every key that was committed
            -- before the lock was ours.
            INSERT INTO messages (conversation_id, seq, sender_id, type, content, media_url,
                                  client_key, request_hash, created_at)
            SELECT conversation_id, seq, in_sender, in_type, in_content, in_media, in_key, hash, created_at
              FROM participants p
             WHERE p.conversation_id = message_send.conversation_id AND p.user_id = in_sender
               AND (in_key IS NULL OR NOT EXISTS
                    (SELECT FROM messages k WHERE k.sender_id = in_sender AND k.client_key = in_key))
            RETURNING messages.id INTO id;
            IF FOUND THEN outcome := 'sent'; RETURN; END IF;
        END IF;
        UPDATE conversations c SET last_seq = c.last_seq - 1 WHERE c.id = conversation_id;
    END IF;
    SELECT r.outcome, r.message INTO was FROM message_refusal(in_session, in_sender,
        to_conversation, conversation_ms, to_peer, peer_ms, in_key, hash) r;
    outcome := was.outcome;
    IF outcome = 'replayed' THEN
        id := was.message;
    ELSIF outcome = 'opened' THEN
        -- The first message between two people: their conversation is there now.
        SELECT * INTO outcome, id, conversation_id, seq, created_at, is_group, conversation_created_at,
                      recipient_id, recipient_created_at
          FROM message_send(in_session, in_sender, NULL, NULL, to_peer, peer_ms,
                            in_type, in_content, in_media, in_key);
    END IF;
END $$;

-- Why a message was not stored; see message_send(). Opens a direct conversation that is missing.
CREATE FUNCTION message_refusal(in_session bigint, in_sender bigint,
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
        SELECT id INTO room FROM conversations WHERE kind = 'direct'
           AND user_low = least(in_sender, to_peer) AND user_high = greatest(in_sender, to_peer);
    ELSE
        PERFORM FROM conversations WHERE id = room
            AND (conversation_ms IS NULL OR epoch_ms(created_at) = conversation_ms);
        IF NOT FOUND THEN outcome := 'no_conversation'; RETURN; END IF;
    END IF;

    SELECT m.id, m.conversation_id, m.request_hash INTO seen FROM messages m
     WHERE m.sender_id = in_sender AND m.client_key = in_key;
    IF FOUND THEN
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

-- Exchanges a refresh token. The token in use stays good until its successor is first used, because
-- answers get lost; each repeat voids the unused successor before it. A token whose successor was
-- used is shown only by a thief or a victim: the session ends.
-- rotate: hand out new_hash as the successor; otherwise keep the token and only check it.
-- outcome: refreshed | invalid | theft.
CREATE FUNCTION session_refresh(shown_hash bytea, new_hash bytea, rotate boolean, lifetime interval,
                                OUT outcome text, OUT session bigint, OUT account bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    s sessions;
BEGIN
    outcome := 'invalid';
    SELECT * INTO s FROM sessions WHERE refresh_hash = shown_hash OR successor_hash = shown_hash FOR UPDATE;
    IF NOT FOUND THEN
        SELECT session_id INTO session FROM spent_refresh_tokens WHERE hash = shown_hash;
        IF FOUND AND session_revoke(session) THEN outcome := 'theft'; END IF;
        RETURN;
    END IF;
    IF s.revoked_at IS NOT NULL OR s.expires_at <= now() THEN RETURN; END IF;
    PERFORM FROM users WHERE id = s.user_id AND is_active;
    IF NOT FOUND THEN RETURN; END IF;
    IF s.successor_hash = shown_hash THEN
        INSERT INTO spent_refresh_tokens (hash, session_id) VALUES (s.refresh_hash, s.id);
        UPDATE sessions SET refresh_hash = shown_hash, successor_hash = NULL WHERE id = s.id;
    END IF;
    UPDATE sessions SET used_at = now(),
                        successor_hash = CASE WHEN rotate THEN new_hash ELSE successor_hash END,
                        expires_at = CASE WHEN rotate THEN now() + lifetime ELSE expires_at END
     WHERE id = s.id;
    outcome := 'refreshed'; session := s.id; account := s.user_id;
END $$;

-- Ends a session: its tokens fail from this commit on, and the daemons close its sockets.
-- True when it was still open.
CREATE FUNCTION session_revoke(in_session bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    owner bigint;
BEGIN
    UPDATE sessions SET revoked_at = now() WHERE id = in_session AND revoked_at IS NULL
        RETURNING user_id INTO owner;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO events (kind, user_id, session_id) VALUES ('session_revoked', owner, in_session);
    RETURN true;
END $$;

-- A user who is disabled is out at once, whoever does it and how: sessions end, sockets are closed.
CREATE FUNCTION user_activity_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO events (kind, user_id)
    VALUES (CASE WHEN NEW.is_active THEN 'user_enabled' ELSE 'user_disabled' END, NEW.id);
    IF NOT NEW.is_active THEN
        PERFORM session_revoke(s.id) FROM sessions s WHERE s.user_id = NEW.id AND s.revoked_at IS NULL;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER user_activity AFTER UPDATE OF is_active ON users
    FOR EACH ROW WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active)
    EXECUTE FUNCTION user_activity_changed();
