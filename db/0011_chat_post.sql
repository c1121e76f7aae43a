-- Messages from SQL: SELECT chat_post('ops', 'backup done'), in the site's own transaction.
--
-- The site's transaction writes one row here and no other: it takes no lock a sender could wait for,
-- however long it stays open, and can neither fail at its end for something that happens in chat nor be
-- a part of a deadlock there. When it commits, the row is there and a socket daemon is woken by the NOTIFY
-- that was part of it; the daemon moves the row into its conversation, in a transaction of its own. When
-- it does not commit, there is no row. So a message's place in its conversation, its time and its
-- transaction id are those of the moment it could be seen, as of every other message.
-- (A deferred trigger would store the message in the site's transaction itself. But then two
-- transactions that post to two conversations could deadlock, and one with REPEATABLE READ would fail
-- whenever somebody else had written there since it began.)

CREATE TABLE chat_posts (
    id              bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, -- one transaction's come in this order
    conversation_id bigint NOT NULL,
    author          text NOT NULL,                     -- shown as the user sql:author
    content         text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    refused_at      timestamptz,                       -- it could not be delivered; kept for a week
    reason          text                               -- why
);
CREATE INDEX chat_posts_due ON chat_posts (conversation_id, id) WHERE refused_at IS NULL;
CREATE INDEX chat_posts_refused ON chat_posts (refused_at) WHERE refused_at IS NOT NULL;

-- Posts name a group.
CREATE INDEX conversations_name ON conversations (name) WHERE kind = 'group';

-- The group of a name, an integer id or a UUID.
CREATE FUNCTION chat_conversation(named text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    hex   text := CASE WHEN named ~* '^[0-9a-f]{8}-[0-9a-f]{4}-7000-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
                       THEN replace(named, '-', '') END;
    by_id bigint := CASE WHEN named ~ '^[1-9][0-9]{0,17}$' THEN named::bigint
                         ELSE ('x' || substr(hex, 17))::bit(64)::bigint & ((1::bigint << 62) - 1) END;
    ms    bigint := ('x' || lpad(left(hex, 12), 16, '0'))::bit(64)::bigint;
    found bigint[];
BEGIN
    SELECT array_agg(c.id ORDER BY c.id) INTO found FROM conversations c
     WHERE c.kind = 'group' AND (c.name = named OR (c.id = by_id AND (ms IS NULL OR epoch_ms(c.created_at) = ms)));
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no group "%"', named
            USING ERRCODE = 'no_data_found', HINT = 'Name it by its name, its id or its UUID.';
    ELSIF cardinality(found) > 1 THEN
        RAISE EXCEPTION 'there are % groups "%"', cardinality(found), named
            USING ERRCODE = 'too_many_rows', HINT = 'Their ids are ' || array_to_string(found[1:10], ', ')
                  || CASE WHEN cardinality(found) > 10 THEN ', …' ELSE '' END || '.';
    END IF;
    RETURN found[1];
END $$;

-- Posts to a group. It is shown as the user sql:author, which is made when it first speaks, and which
-- nobody can register, sign in as or be mistaken for, as no other name has a colon. Who disables that
-- user silences it. Without an author the database role speaks under its own name.
-- Errors: no_data_found, too_many_rows (the group); null_value_not_allowed, invalid_parameter_value,
-- string_data_right_truncation (the text, the author); insufficient_privilege (the author is disabled).
CREATE FUNCTION chat_post(conversation text, content text, author text DEFAULT session_user) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF conversation IS NULL OR content IS NULL OR author IS NULL THEN
        RAISE EXCEPTION 'chat_post() takes no NULL' USING ERRCODE = 'null_value_not_allowed';
    ELSIF content = '' THEN
        RAISE EXCEPTION 'a message may not be empty' USING ERRCODE = 'invalid_parameter_value';
    ELSIF octet_length(convert_to(content, 'UTF8')) > 16384 THEN
        RAISE EXCEPTION 'a message may have 16384 bytes, this has %', octet_length(convert_to(content, 'UTF8'))
            USING ERRCODE = 'string_data_right_truncation';
    ELSIF author !~ '^[A-Za-z0-9_.-]{1,46}$' THEN
        RAISE EXCEPTION '"%" cannot be the name of an author', author
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Use 1 to 46 of A-Z a-z 0-9 _ . - as the third argument.';
    ELSIF EXISTS (SELECT FROM users u WHERE lower(u.username) = lower('sql:' || author) AND NOT u.is_active) THEN
        RAISE EXCEPTION 'the user "sql:%" is disabled', author USING ERRCODE = 'insufficient_privilege';
    END IF;
    INSERT INTO chat_posts (conversation_id, author, content)
        VALUES (chat_conversation(conversation), author, content);
    PERFORM pg_notify('parley', 'posts');       -- not wake(): its lock would be held to the end
END $$;

-- The user an author speaks as; only one delivers at a time.
CREATE FUNCTION chat_author(named text, OUT id bigint, OUT is_active boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    SELECT u.id, u.is_active INTO id, is_active FROM users u WHERE lower(u.username) = lower('sql:' || named);
    IF NOT FOUND THEN
        PERFORM audit_context(NULL, NULL, 'chat_post');
        INSERT INTO users (username, display_name, password_hash) VALUES ('sql:' || named, named, '*')
            RETURNING users.id, users.is_active INTO id, is_active;
    END IF;
END $$;

-- Moves a post into its conversation, whose row is locked by the caller. Why it cannot be: NULL, it was.
CREATE FUNCTION chat_post_store(post chat_posts) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    who record;
    c   conversations;
BEGIN
    SELECT * INTO who FROM chat_author(post.author);
    IF NOT who.is_active THEN RETURN 'the author is disabled'; END IF;
    UPDATE conversations x
       SET last_seq = x.last_seq + 1, last_at = greatest(clock_timestamp(), x.last_at),
           updated_at = greatest(clock_timestamp(), x.last_at)
     WHERE x.id = post.conversation_id RETURNING * INTO c;
    INSERT INTO messages (conversation_id, seq, sender_id, content, created_at)
        VALUES (c.id, c.last_seq, who.id, post.content, c.last_at);
    DELETE FROM chat_posts p WHERE p.id = post.id;
    RETURN NULL;
END $$;

-- Delivers posts that are committed, at most so many; the daemons call it. Of several callers one works,
-- the others go away; and it waits for no conversation, so it holds up nobody and is held up by nobody:
-- one that is locked at the moment is passed over. due: some are left; refused: that many could not be
-- delivered, see chat_posts.reason.
CREATE FUNCTION chat_posts_deliver(most bigint, OUT delivered bigint, OUT refused bigint, OUT due boolean)
    LANGUAGE plpgsql AS $$
DECLARE
    room bigint := 0;
    post chat_posts;
    why  text;
BEGIN
    delivered := 0; refused := 0; due := false;
    IF NOT EXISTS (SELECT FROM chat_posts) THEN RETURN; END IF;
    IF NOT pg_try_advisory_xact_lock(7236839) THEN due := true; RETURN; END IF;
    LOOP
        SELECT min(p.conversation_id) INTO room FROM chat_posts p
         WHERE p.refused_at IS NULL AND p.conversation_id > room;
        EXIT WHEN room IS NULL;
        PERFORM FROM conversations c WHERE c.id = room FOR NO KEY UPDATE SKIP LOCKED;
        why := CASE WHEN NOT FOUND THEN 'the conversation is gone' END;
        IF why IS NOT NULL AND EXISTS (SELECT FROM conversations c WHERE c.id = room) THEN
            due := true;
            CONTINUE;
        END IF;
        FOR post IN SELECT p.* FROM chat_posts p WHERE p.refused_at IS NULL AND p.conversation_id = room
                     ORDER BY p.id LIMIT most - delivered - refused LOOP
            why := CASE WHEN why = 'the conversation is gone' THEN why ELSE chat_post_store(post) END;
            IF why IS NULL THEN
                delivered := delivered + 1;
            ELSE
                refused := refused + 1;
                UPDATE chat_posts p SET refused_at = clock_timestamp(), reason = why WHERE p.id = post.id;
            END IF;
        END LOOP;
        IF delivered + refused >= most THEN due := true; EXIT; END IF;
    END LOOP;
    DELETE FROM chat_posts p WHERE p.refused_at < clock_timestamp() - interval '7 days';
    IF delivered > 0 THEN PERFORM pg_notify('parley', ''); END IF;
END $$;

-- Who may post, and nothing else: the members of the role parley_post. Roles belong to the whole cluster,
-- so one made for another database is used; who may not make one says so and goes on without.
DO $$
DECLARE
    home text := current_schema();
BEGIN
    -- What the function calls is found here only, whatever its caller has made for it to find.
    EXECUTE format('ALTER FUNCTION chat_post(text, text, text) SET search_path = %I, pg_temp', home);
    REVOKE ALL ON FUNCTION chat_post(text, text, text) FROM PUBLIC;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_post') THEN
        BEGIN
            CREATE ROLE parley_post NOLOGIN;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL; -- another database's migration was first
            WHEN insufficient_privilege THEN
                RAISE WARNING 'this role may not make the role parley_post; see docs/sql.md';
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_post') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO parley_post', home);
        GRANT EXECUTE ON FUNCTION chat_post(text, text, text) TO parley_post;
    END IF;
END $$;
