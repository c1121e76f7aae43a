-- What an administrator does: who is one, erasing a person, and carrying a whole server elsewhere.

ALTER TABLE users ADD COLUMN is_admin boolean NOT NULL DEFAULT false; -- may have tokens of the scope admin
ALTER TABLE users ADD COLUMN deleted_at timestamptz;    -- erased: the row is a husk that messages point to

-- Of the other changes the triggers of the audit log tell.
CREATE FUNCTION audit_admin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM audit_note(CASE WHEN NEW.is_admin THEN 'admin_granted' ELSE 'admin_withdrawn' END, NEW.id, NULL, NULL);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_admin AFTER UPDATE OF is_admin ON users
    FOR EACH ROW WHEN (OLD.is_admin IS DISTINCT FROM NEW.is_admin) EXECUTE FUNCTION audit_admin();

-- ---- erasing a person ----

-- Forgets who an account was. The row stays, for the others' conversations: whatever it wrote is shown
-- as a deleted user's, direct conversations keep their other side, groups go on without it (one it owned
-- passes to who has been in it longest; one without anybody else ends). The name has a colon, so nobody
-- can register or sign in with it. Sockets are closed by the events of user_activity_changed().
-- False when it was erased before.
CREATE FUNCTION user_erase(in_user bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    address text := (SELECT u.email FROM users u WHERE u.id = in_user);
BEGIN
    PERFORM audit_context(NULL, NULL, 'erased');
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
    DELETE FROM mail_outbox WHERE lower(recipient) = lower(address);
    DELETE FROM sessions WHERE user_id = in_user;
    RETURN true;
END $$;

-- Deletes all that a user wrote, as they could have themself: each message keeps its place, what it said
-- is gone, and the sockets hear of it. A transaction per conversation, so that none is held up for long.
CREATE PROCEDURE user_erase_messages(in_user bigint) LANGUAGE plpgsql AS $$
DECLARE
    room record;
BEGIN
    FOR room IN SELECT m.conversation_id AS id, array_agg(m.id ORDER BY m.seq) AS messages
                  FROM messages m WHERE m.sender_id = in_user AND m.deleted_at IS NULL
                 GROUP BY m.conversation_id ORDER BY m.conversation_id LOOP
        PERFORM FROM conversations c WHERE c.id = room.id FOR NO KEY UPDATE;
        UPDATE messages SET content = NULL, media_url = NULL, client_key = NULL, request_hash = NULL,
                            deleted_at = clock_timestamp()
         WHERE id = ANY (room.messages) AND deleted_at IS NULL;
        INSERT INTO events (kind, conversation_id, user_id, actor_id, message_id)
            SELECT 'message_deleted', room.id, in_user, in_user, m.id
              FROM unnest(room.messages) WITH ORDINALITY m(id, n) ORDER BY m.n;
        COMMIT;
    END LOOP;
END $$;

-- Opens the cursor parley_rows over all that is stored of a user, as (section, JSON). Secrets are left
-- out; of others only who they are to this user.
CREATE FUNCTION user_rows(in_user bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c refcursor := 'parley_rows';
BEGIN
    OPEN c FOR
    SELECT x.section, x.data::text FROM (
        SELECT 1 AS part, u.id, 'account' AS section, to_jsonb(u) - 'password_hash' AS data
          FROM users u WHERE u.id = in_user
        UNION ALL
        SELECT 2, s.id, 'sessions', to_jsonb(s) - '{refresh_hash,successor_hash,user_id}'::text[]
          FROM sessions s WHERE s.user_id = in_user
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

-- ---- a whole server: every table that is kept, row by row as JSON ----

-- Tables that come with later migrations are in it too.
CREATE VIEW kept_tables AS
SELECT t.oid, t.relname::text AS name FROM pg_class t
 WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND t.relpersistence = 'p'
   AND t.relname <> 'schema_migrations';

-- Those that others point to first, with their rows.
CREATE FUNCTION export_tables(OUT name text, OUT row_count bigint) RETURNS SETOF record
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOR name IN
        WITH RECURSIVE ranked(oid, rank) AS (
            SELECT k.oid, 0 FROM kept_tables k
            UNION
            SELECT f.conrelid, r.rank + 1 FROM ranked r JOIN pg_constraint f
                ON f.confrelid = r.oid AND f.contype = 'f' AND f.conrelid <> f.confrelid
             WHERE r.rank < 50)
        SELECT k.name FROM kept_tables k JOIN ranked r ON r.oid = k.oid
         GROUP BY k.name ORDER BY max(r.rank), k.name
    LOOP
        EXECUTE format('SELECT count(*) FROM %I', name) INTO row_count;
        RETURN NEXT;
    END LOOP;
END $$;

-- Opens the cursor parley_rows over a table, as (table, JSON), in the order of its primary key.
CREATE FUNCTION export_rows(in_table text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c   refcursor := 'parley_rows';
    key text;
BEGIN
    SELECT string_agg(format('t.%I', a.attname), ', ' ORDER BY k.n) INTO key
      FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY k(number, n)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
     WHERE i.indrelid = format('%I', in_table)::regclass AND i.indisprimary;
    OPEN c FOR EXECUTE format('SELECT %L::text, row_to_json(t)::text FROM %I t ORDER BY %s',
                              in_table, in_table, coalesce(key, 't'));
END $$;

-- Transaction ids mean nothing in another cluster, yet messages and events are compared by them. Where
-- this cluster is younger than the one the rows come from, all ids are moved down by the same number;
-- what would fall below the first possible one becomes that, and a snapshot down there saw nothing: a
-- client that comes back with a message so old is shown something twice rather than never.
CREATE FUNCTION import_shift() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT current_setting('parley.import_shift')::bigint $$;
CREATE FUNCTION import_xid(x xid8) RETURNS xid8 LANGUAGE sql STABLE STRICT AS $$
    SELECT CASE WHEN import_shift() = 0 THEN x ELSE greatest(x::text::bigint - import_shift(), 3)::text::xid8 END
$$;
CREATE FUNCTION import_snapshot(s pg_snapshot) RETURNS pg_snapshot LANGUAGE sql STABLE STRICT AS $$
    SELECT CASE WHEN import_shift() = 0 THEN s
                WHEN pg_snapshot_xmin(s)::text::bigint - import_shift() < 4 THEN '3:3:'::pg_snapshot
                ELSE format('%s:%s:%s', import_xid(pg_snapshot_xmin(s)), import_xid(pg_snapshot_xmax(s)),
                     (SELECT string_agg(import_xid(x)::text, ',') FROM pg_snapshot_xip(s) x))::pg_snapshot END
$$;

-- Begins an import, in the caller's transaction: next_xid is what the export's cluster would have given
-- out next. False when somebody or something is there already. Triggers rest: their work is in the rows.
CREATE FUNCTION import_begin(next_xid bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    t text;
BEGIN
    IF EXISTS (SELECT FROM users) OR EXISTS (SELECT FROM conversations) OR EXISTS (SELECT FROM messages) THEN
        RETURN false;
    END IF;
    PERFORM set_config('parley.import_shift',
                       greatest(next_xid - pg_current_xact_id()::text::bigint, 0)::text, true);
    FOR t IN SELECT k.name FROM kept_tables k LOOP
        EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', t);
    END LOOP;
    FOR t IN SELECT k.name FROM kept_tables k LOOP      -- what migrations put there is in the export, too
        EXECUTE format('TRUNCATE %I CASCADE', t);
    END LOOP;
    RETURN true;
END $$;

-- Stores rows, a JSON array of objects; answers how many. Outside an import it fails.
CREATE FUNCTION import_rows(in_table text, in_rows json) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    columns text;
    choice  text;
    stored  bigint;
BEGIN
    IF import_shift() IS NULL OR NOT EXISTS (SELECT FROM kept_tables k WHERE k.name = in_table) THEN
        RAISE EXCEPTION 'there is no table % to import into', in_table;
    END IF;
    SELECT string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum),
           string_agg(format(CASE a.atttypid WHEN 'xid8'::regtype THEN 'import_xid(r.%I)'
                                             WHEN 'pg_snapshot'::regtype THEN 'import_snapshot(r.%I)'
                                             ELSE 'r.%I' END, a.attname), ', ' ORDER BY a.attnum)
      INTO columns, choice FROM pg_attribute a
     WHERE a.attrelid = format('%I', in_table)::regclass AND a.attnum > 0
       AND NOT a.attisdropped AND a.attgenerated = '';
    EXECUTE format('INSERT INTO %I (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM json_populate_recordset(NULL::%I, $1) r',
                   in_table, columns, choice, in_table) USING in_rows;
    GET DIAGNOSTICS stored = ROW_COUNT;
    RETURN stored;
END $$;

CREATE FUNCTION import_end() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT k.name FROM kept_tables k LOOP
        EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', t);
    END LOOP;
END $$;
