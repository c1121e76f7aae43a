-- Tokens for scripts. A token is a session that nobody logged in to: whatever knows sessions (a send, the
-- end of a session, a disabled user, the audit log) knows tokens. What they have besides stands here.

CREATE TABLE tokens (
    session_id      bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE, -- dialect 'token'; its id is the token's
    hash            bytea NOT NULL UNIQUE,              -- SHA-256 of the secret, which is nowhere
    label           text NOT NULL,                      -- 1-100 characters, for people
    scopes          bigint NOT NULL,                    -- bits: enum scope in shared/token.h
    conversation_id bigint REFERENCES conversations ON DELETE CASCADE, -- the only one it may touch; NULL: any
    expires_at      timestamptz,                        -- NULL: never
    used_at         timestamptz                         -- last use, to the minute; NULL: none yet
);
CREATE INDEX tokens_conversation ON tokens (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX sessions_tokens ON sessions (user_id, id) WHERE dialect = 'token';

-- Sessions have an end; that of a token without one is far away. What is revoked is forgotten in time.
CREATE FUNCTION token_never() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
    $$ SELECT timestamptz '9999-12-31 00:00:00Z' $$;
CREATE FUNCTION token_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.expires_at := least(NEW.expires_at, now() + interval '90 days');
    RETURN NEW;
END $$;
CREATE TRIGGER token_revoked BEFORE UPDATE OF revoked_at ON sessions FOR EACH ROW
    WHEN (NEW.dialect = 'token' AND OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION token_revoked();

-- A token limited to a conversation ends with it.
CREATE FUNCTION token_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_context(NULL, NULL, 'its conversation is gone'), session_revoke(OLD.session_id);
    RETURN NULL;
END $$;
CREATE TRIGGER token_gone AFTER DELETE ON tokens FOR EACH ROW
    WHEN (OLD.conversation_id IS NOT NULL) EXECUTE FUNCTION token_gone();

-- As in 0004, but for tokens, whose lines have names of their own; the context says the label.
CREATE OR REPLACE FUNCTION audit_session() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    why text := nullif(current_setting('parley.why', true), '');
BEGIN
    IF NEW.dialect = 'token' THEN
        PERFORM audit_note(CASE TG_OP WHEN 'INSERT' THEN 'token_created' ELSE 'token_revoked' END, NEW.user_id, NEW.id, why);
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM audit_note('login', NEW.user_id, NEW.id, NEW.dialect);
    ELSE
        PERFORM audit_note('session_revoked', NEW.user_id, NEW.id, why);
    END IF;
    RETURN NULL;
END $$;

-- As in 0004, but scripts go on when their owner signs out elsewhere or takes a new password. What is done
-- to regain an account (a reset by mail, an administrator) ends tokens too: but NULL.
CREATE OR REPLACE FUNCTION sessions_revoke(in_user bigint, but bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
BEGIN
    PERFORM FROM users WHERE id = in_user FOR NO KEY UPDATE;
    WITH gone AS (UPDATE sessions SET revoked_at = now()
                   WHERE user_id = in_user AND id IS DISTINCT FROM but AND revoked_at IS NULL
                     AND (but IS NULL OR dialect <> 'token') RETURNING id)
    INSERT INTO events (kind, user_id, session_id) SELECT 'session_revoked', in_user, id FROM gone;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END $$;

-- A token as its user sees it.
CREATE VIEW token_view AS
SELECT s.id, s.user_id, t.label, t.scopes, t.conversation_id, c.created_at AS conversation_created_at, s.created_at,
       t.expires_at, t.used_at, s.revoked_at IS NULL AND s.expires_at > now() AS is_good
FROM sessions s JOIN tokens t ON t.session_id = s.id LEFT JOIN conversations c ON c.id = t.conversation_id
WHERE s.dialect = 'token';

-- Makes a token. The user's row orders this and what ends sessions. The audit log gets the label from the
-- context. outcome: created | no_session | too_many_tokens | no_conversation | not_member.
CREATE FUNCTION token_create(in_session bigint, in_user bigint, in_hash bytea, in_label text, in_scopes bigint,
                             room bigint, room_ms bigint, lifetime interval, in_agent text, in_address text,
                             most bigint, OUT outcome text, OUT shown token_view)
    LANGUAGE plpgsql AS $$
DECLARE
    ends  timestamptz := now() + lifetime;
    token bigint;
BEGIN
    PERFORM FROM users u WHERE u.id = in_user FOR NO KEY UPDATE;
    PERFORM FROM sessions s WHERE s.id = in_session AND s.user_id = in_user AND s.revoked_at IS NULL;
    IF NOT FOUND THEN outcome := 'no_session'; RETURN; END IF;
    IF room IS NOT NULL THEN
        outcome := (SELECT l.outcome FROM conversation_lock(room, room_ms, in_user) l);
        IF outcome <> 'ok' THEN RETURN; END IF;
    END IF;
    IF (SELECT count(*) FROM token_view v WHERE v.user_id = in_user AND v.is_good) >= most THEN
        outcome := 'too_many_tokens'; RETURN;
    END IF;
    outcome := 'created';
    INSERT INTO sessions (user_id, dialect, expires_at, user_agent, address)
        VALUES (in_user, 'token', coalesce(ends, token_never()), in_agent, in_address) RETURNING id INTO token;
    INSERT INTO tokens (session_id, hash, label, scopes, conversation_id, expires_at)
        VALUES (token, in_hash, in_label, in_scopes, room, ends);
    INSERT INTO events (kind, user_id, session_id) VALUES ('token_created', in_user, token);
    SELECT * INTO shown FROM token_view v WHERE v.id = token;
END $$;

-- What a program has to know of a token to believe it.
CREATE VIEW token_identity AS
SELECT t.hash, s.id, u.id AS user_id, u.created_at AS user_created_at, u.username, t.scopes, t.conversation_id,
       extract(epoch FROM s.expires_at)::bigint AS expires, s.revoked_at IS NOT NULL AS revoked, u.is_active
FROM tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id;
