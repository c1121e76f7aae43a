-- Incoming webhooks: secret addresses at which programs leave messages for one group.
--
-- What they say is from a user like any other, so every surface shows it under the webhook's name without
-- knowing of webhooks. That user is disabled from birth and has no password: nobody can log in as it, and it
-- is a member of nothing. It stays, as the name on its messages, when the webhook is gone.

CREATE TABLE webhooks (
    user_id         bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE, -- who its messages are from; its id is the webhook's
    conversation_id bigint NOT NULL REFERENCES conversations ON DELETE CASCADE, -- a group
    maker_id        bigint NOT NULL REFERENCES users ON DELETE CASCADE, -- the owner who made or last rotated it
    hash            bytea NOT NULL UNIQUE,              -- SHA-256 of the secret in its address
    used_at         timestamptz,                        -- its last message
    allowance       double precision NOT NULL DEFAULT 1, -- messages it may leave at counted_at; see webhook_post()
    counted_at      timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX webhooks_conversation ON webhooks (conversation_id);
CREATE INDEX webhooks_maker ON webhooks (maker_id);

-- Whoever is no longer in the group may still know an address they made: it ends with them.
CREATE FUNCTION webhooks_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM webhooks WHERE conversation_id = OLD.conversation_id AND maker_id = OLD.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER webhooks_end AFTER DELETE ON participants FOR EACH ROW EXECUTE FUNCTION webhooks_end();

-- A name that stands on no message is of no use, unless somebody has put it into a conversation.
CREATE FUNCTION webhook_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_note('webhook_deleted', OLD.maker_id, NULL, (SELECT u.display_name FROM users u WHERE u.id = OLD.user_id));
    IF OLD.used_at IS NULL OR NOT EXISTS (SELECT FROM conversations c WHERE c.id = OLD.conversation_id) THEN
        DELETE FROM users u WHERE u.id = OLD.user_id AND NOT EXISTS (SELECT FROM participants p WHERE p.user_id = u.id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER webhook_gone AFTER DELETE ON webhooks FOR EACH ROW EXECUTE FUNCTION webhook_gone();

CREATE VIEW webhook_view AS
SELECT w.user_id AS id, u.created_at, u.username, u.display_name AS name, w.conversation_id, w.maker_id,
       m.created_at AS maker_created_at, w.used_at
FROM webhooks w JOIN users u ON u.id = w.user_id JOIN users m ON m.id = w.maker_id;

-- Makes a webhook. A username that is taken is a unique_violation: ask again with another.
-- outcome: created | too_many_webhooks | no_conversation | not_member | direct | not_owner.
CREATE FUNCTION webhook_create(in_room bigint, room_ms bigint, actor bigint, in_username text, in_name text,
                               in_hash bytea, most bigint, OUT outcome text, OUT shown webhook_view)
    LANGUAGE plpgsql AS $$
DECLARE
    hook bigint;
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    IF (SELECT count(*) FROM webhooks w WHERE w.conversation_id = in_room) >= most THEN
        outcome := 'too_many_webhooks'; RETURN;
    END IF;
    INSERT INTO users (username, display_name, password_hash, is_active) VALUES (in_username, in_name, '*', false)
        RETURNING id INTO hook;
    INSERT INTO webhooks (user_id, conversation_id, maker_id, hash) VALUES (hook, in_room, actor, in_hash);
    PERFORM audit_note('webhook_created', actor, NULL, in_name);
    outcome := 'created';
    SELECT * INTO shown FROM webhook_view v WHERE v.id = hook;
END $$;

-- Gives it another secret (in_hash), or ends it (NULL). outcome: ok | not_found, and as above.
CREATE FUNCTION webhook_change(in_room bigint, room_ms bigint, actor bigint, in_hook bigint, hook_ms bigint,
                               in_hash bytea, OUT outcome text, OUT shown webhook_view)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    SELECT * INTO shown FROM webhook_view v WHERE v.id = in_hook AND v.conversation_id = in_room
       AND (hook_ms IS NULL OR epoch_ms(v.created_at) = hook_ms);
    IF shown.id IS NULL THEN outcome := 'not_found'; RETURN; END IF;
    IF in_hash IS NULL THEN
        DELETE FROM webhooks WHERE user_id = in_hook;
        RETURN;
    END IF;
    UPDATE webhooks SET hash = in_hash, maker_id = actor WHERE user_id = in_hook;
    PERFORM audit_note('webhook_rotated', actor, NULL, shown.name);
    SELECT * INTO shown FROM webhook_view v WHERE v.id = in_hook;
END $$;

-- What a webhook may leave by now: as many as are said to be its rate a minute at once, and then that many
-- a minute.
CREATE FUNCTION webhook_allowance(w webhooks, rate bigint) RETURNS double precision LANGUAGE sql AS $$
    SELECT CASE WHEN w.counted_at = '-infinity' THEN rate ELSE
        least(rate, w.allowance + extract(epoch FROM clock_timestamp() - w.counted_at) * rate / 60) END
$$;

-- Leaves a message. outcome: sent | replayed | conflict (see message_send()) | no_webhook | too_fast, then
-- wait is for how many seconds. Whoever floods is refused before the conversation's lock is taken.
CREATE FUNCTION webhook_post(in_hash bytea, in_content text, in_key text, rate bigint,
                             OUT outcome text, OUT wait bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    request bigint := hashtextextended(in_content || E'\x01', 0);
    w       webhooks;
    c       record;
    was     bigint;
    left_   double precision;
BEGIN
    outcome := 'no_webhook';
    SELECT h.* INTO w FROM webhooks h JOIN users m ON m.id = h.maker_id WHERE h.hash = in_hash AND m.is_active;
    IF NOT FOUND THEN RETURN; END IF;
    left_ := webhook_allowance(w, rate);
    IF left_ >= 1 THEN
        PERFORM FROM conversations k WHERE k.id = w.conversation_id FOR NO KEY UPDATE;
        SELECT h.* INTO w FROM webhooks h WHERE h.hash = in_hash FOR NO KEY UPDATE; -- it may have ended meanwhile
        IF NOT FOUND THEN RETURN; END IF;
        left_ := webhook_allowance(w, rate);
    END IF;
    IF left_ < 1 THEN
        outcome := 'too_fast';
        wait := greatest(1, ceil((1 - left_) * 60 / rate));
        RETURN;
    END IF;
    SELECT m.request_hash INTO was FROM messages m WHERE m.sender_id = w.user_id AND m.client_key = in_key;
    IF FOUND THEN
        outcome := CASE WHEN was = request THEN 'replayed' ELSE 'conflict' END;
        RETURN;
    END IF;
    UPDATE conversations k
       SET last_seq = k.last_seq + 1, last_at = greatest(clock_timestamp(), k.last_at),
           updated_at = greatest(clock_timestamp(), k.last_at)
     WHERE k.id = w.conversation_id RETURNING k.last_seq, k.last_at INTO c;
    INSERT INTO messages (conversation_id, seq, sender_id, content, client_key, request_hash, created_at)
    VALUES (w.conversation_id, c.last_seq, w.user_id, in_content, in_key, CASE WHEN in_key IS NOT NULL THEN request END, c.last_at);
    UPDATE webhooks SET used_at = c.last_at, allowance = left_ - 1, counted_at = clock_timestamp() WHERE user_id = w.user_id;
    outcome := 'sent';
END $$;
