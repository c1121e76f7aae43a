-- What parleyctl does: tokens for scripts, made for a user who is not logged in, and shown by name in the export
-- of a user's data; and an erasure that a mail on its way does not get past.

-- The names of the bits, those of enum scope in shared/token.h.
CREATE FUNCTION token_scopes(scopes bigint) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(s.name ORDER BY s.bit) FILTER (WHERE scopes & s.bit <> 0), '{}')
      FROM (VALUES (1, 'read'), (2, 'send'), (4, 'admin')) s(bit, name)
$$;

-- As in 0008, but no session (NULL) is the administrator, for a user who may log in.
-- outcome: created | no_session | no_user | too_many_tokens | no_conversation | not_member.
CREATE OR REPLACE FUNCTION token_create(in_session bigint, in_user bigint, in_hash bytea, in_label text, in_scopes bigint,
                             room bigint, room_ms bigint, lifetime interval, in_agent text, in_address text,
                             most bigint, OUT outcome text, OUT shown token_view)
    LANGUAGE plpgsql AS $$
DECLARE
    ends  timestamptz := now() + lifetime;
    token bigint;
BEGIN
    PERFORM FROM users u WHERE u.id = in_user FOR NO KEY UPDATE;
    IF in_session IS NULL THEN
        PERFORM FROM users u WHERE u.id = in_user AND u.is_active AND u.deleted_at IS NULL;
        IF NOT FOUND THEN outcome := 'no_user'; RETURN; END IF;
    ELSE
        PERFORM FROM sessions s WHERE s.id = in_session AND s.user_id = in_user AND s.revoked_at IS NULL;
        IF NOT FOUND THEN outcome := 'no_session'; RETURN; END IF;
    END IF;
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

-- As in 0005, but a token among the sessions has its label, its scopes, and its own expiry and last use.
CREATE OR REPLACE FUNCTION user_rows(in_user bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c refcursor := 'parley_rows';
BEGIN
    OPEN c FOR
    SELECT x.section, x.data::text FROM (
        SELECT 1 AS part, u.id, 'account' AS section, to_jsonb(u) - 'password_hash' AS data
          FROM users u WHERE u.id = in_user
        UNION ALL
        SELECT 2, s.id, 'sessions', (to_jsonb(s) - '{refresh_hash,successor_hash,user_id}'::text[]) ||
               CASE WHEN t.hash IS NULL THEN '{}' ELSE (to_jsonb(t) - '{session_id,hash}'::text[]) ||
                    jsonb_build_object('scopes', token_scopes(t.scopes)) END
          FROM sessions s LEFT JOIN tokens t ON t.session_id = s.id WHERE s.user_id = in_user
        UNION ALL
        SELECT 3, k.id, 'contacts', jsonb_build_object('username', k.username, 'since', k.created_at)
          FROM contact_view k WHERE k.viewer_id = in_user
        UNION ALL
        SELECT 4, i.id, 'invitations', jsonb_build_object('from', i.from_username, 'to', i.to_username,
                                                          'created_at', i.created_at)
          FROM invitation_view i WHERE in_user IN (i.from_id, i.to_id)
        UNION ALL
        SELECT 5, g.id, 'conversations', (to_jsonb(p) - '{conversation_id,user_id}'::text[]) ||
               jsonb_build_object('id', g.id, 'kind', g.kind, 'name', g.name, 'with', o.username)
          FROM participants p JOIN conversations g ON g.id = p.conversation_id
          LEFT JOIN users o ON o.id = g.user_low + g.user_high - in_user
         WHERE p.user_id = in_user
        UNION ALL
        SELECT 6, m.id, 'messages', to_jsonb(m) - '{sender_id,request_hash,xid,snapshot}'::text[]
          FROM messages m WHERE m.sender_id = in_user
        UNION ALL
        SELECT 7, o.id, 'mail', to_jsonb(o) FROM mail_outbox o
         WHERE lower(o.recipient) = (SELECT lower(u.email) FROM users u WHERE u.id = in_user)) x
    ORDER BY x.part, x.id;
END $$;

-- As in 0005, but mail that is owed goes first. A courier that has claimed some is waited for, and no other claims
-- any: the link it stored a moment later kept the address of who was erased.
CREATE OR REPLACE FUNCTION user_erase(in_user bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_context(NULL, NULL, 'erased');
    DELETE FROM mail_outbox o USING users u WHERE u.id = in_user AND lower(o.recipient) = lower(u.email);
    UPDATE users SET username = 'deleted:' || id, email = NULL, display_name = 'Deleted user',
                     password_hash = '*', is_active = false, is_admin = false, email_verified = false,
                     deleted_at = now(), updated_at = now()
     WHERE id = in_user AND deleted_at IS NULL;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM group_quit(g.id, NULL, in_user) FROM (SELECT c.id FROM participants p
         JOIN conversations c ON c.id = p.conversation_id AND c.kind = 'group'
        WHERE p.user_id = in_user ORDER BY c.id) g;
    PERFORM contact_remove(in_user, c.id, NULL) FROM contacts c WHERE in_user IN (c.user_low, c.user_high);
    DELETE FROM invitations WHERE in_user IN (from_id, to_id);
    DELETE FROM mail_tokens WHERE user_id = in_user;
    DELETE FROM sessions WHERE user_id = in_user;
    RETURN true;
END $$;

-- As in 0005, but what the site keeps beside ours, under a role of its own, is not ours to export or replace.
CREATE OR REPLACE VIEW kept_tables AS
SELECT t.oid, t.relname::text AS name FROM pg_class t
 WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND t.relpersistence = 'p'
   AND t.relowner = (SELECT m.relowner FROM pg_class m WHERE m.oid = 'schema_migrations'::regclass)
   AND t.relname <> 'schema_migrations';
