-- Whom messages are shown as from, and who is nobody one could write to.
--
-- Users with the password_hash '*' are no people: webhooks, authors of chat_post(), and whoever was erased.
-- The names of the latter two have a colon.

-- As in 0001, but for sender_username. A webhook is shown under the name it was given, not under the username
-- that was made of it, as the next webhook of that name has another; unless that is some person's username,
-- whom nobody shall pass for. sql:AUTHOR stays as it is, for the same reason.
CREATE OR REPLACE VIEW message_view AS
SELECT m.id, m.conversation_id, m.seq, m.type, m.content, m.media_url, m.client_key,
       m.created_at, m.edited_at,
       c.kind = 'group' AS is_group, c.created_at AS conversation_created_at,
       m.sender_id,
       CASE WHEN s.password_hash = '*' AND strpos(s.username, ':') = 0 AND NOT EXISTS
                 (SELECT FROM users x WHERE lower(x.username) = lower(s.display_name) AND x.password_hash <> '*')
            THEN s.display_name ELSE s.username END AS sender_username,
       s.display_name AS sender_display_name,
       s.is_active AS sender_is_active, s.created_at AS sender_created_at,
       s.updated_at AS sender_updated_at,
       r.id AS recipient_id, r.username AS recipient_username, r.created_at AS recipient_created_at,
       m.deleted_at
FROM messages m
JOIN conversations c ON c.id = m.conversation_id
JOIN users s ON s.id = m.sender_id
LEFT JOIN users r ON c.kind = 'direct' AND r.id = c.user_low + c.user_high - m.sender_id;

-- As in 0002, but nobody can be in a group, or in a direct conversation, with a user who is no person.
CREATE OR REPLACE FUNCTION first_unknown_user(ids bigint[], ms bigint[]) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT r.n FROM unnest(ids, ms) WITH ORDINALITY r(id, ms, n)
     WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = r.id AND u.password_hash <> '*'
                          AND (coalesce(r.ms, -1) < 0 OR epoch_ms(u.created_at) = r.ms))
     ORDER BY r.n LIMIT 1
$$;

-- As in 0006, but for that. Where people already talked, one who was erased since stays who they talked with.
CREATE OR REPLACE FUNCTION message_refusal(in_session bigint, in_sender bigint,
                                to_conversation bigint, conversation_ms bigint,
                                to_peer bigint, peer_ms bigint, in_key text, hash bigint,
                                OUT outcome text, OUT message bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    room   bigint := to_conversation;
    seen   record;
    person boolean;
BEGIN
    PERFORM FROM sessions s JOIN users u ON u.id = s.user_id
      WHERE s.id = in_session AND s.user_id = in_sender AND s.revoked_at IS NULL AND u.is_active;
    IF NOT FOUND THEN outcome := 'no_session'; RETURN; END IF;

    IF to_peer IS NOT NULL THEN
        IF to_peer = in_sender THEN outcome := 'self'; RETURN; END IF;
        SELECT u.password_hash <> '*' INTO person FROM users u
         WHERE u.id = to_peer AND (peer_ms IS NULL OR epoch_ms(u.created_at) = peer_ms);
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
    IF room IS NULL AND NOT person THEN
        outcome := 'no_peer';
    ELSIF seen.id IS NOT NULL THEN
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
