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
