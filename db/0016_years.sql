-- What grows for years: everything that is forgotten is forgotten in steps, each of which ends well within
-- STATEMENT_TIMEOUT, however much there is to do. (One DELETE for all was cut off by it, and began anew for ever.)

-- ---- refresh tokens ----

-- A session that is refreshed every hour left a row each time for as long as it lived. One that has been spent
-- for longer than a refresh token lives is not told from one that never was any.
ALTER TABLE spent_refresh_tokens ADD COLUMN spent_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX spent_refresh_tokens_age ON spent_refresh_tokens (session_id, spent_at);
DROP INDEX spent_refresh_tokens_session;

-- As in 0001, but for that.
CREATE OR REPLACE FUNCTION session_refresh(shown_hash bytea, new_hash bytea, rotate boolean, lifetime interval,
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
        DELETE FROM spent_refresh_tokens t WHERE t.hash IN
            (SELECT x.hash FROM spent_refresh_tokens x WHERE x.session_id = s.id AND x.spent_at < now() - lifetime
              ORDER BY x.spent_at LIMIT 10);
        UPDATE sessions SET refresh_hash = shown_hash, successor_hash = NULL WHERE id = s.id;
    END IF;
    UPDATE sessions SET used_at = now(),
                        successor_hash = CASE WHEN rotate THEN new_hash ELSE successor_hash END,
                        expires_at = CASE WHEN rotate THEN now() + lifetime ELSE expires_at END
     WHERE id = s.id;
    outcome := 'refreshed'; session := s.id; account := s.user_id;
END $$;

-- ---- the audit log ----

-- As audit_purge(interval) in 0004, but so many lines at most, the oldest first; a step in which nothing went is not noted.
CREATE FUNCTION audit_purge(keep interval, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
BEGIN
    IF keep < interval '1 day' THEN RAISE EXCEPTION 'the audit log keeps a day at least'; END IF;
    PERFORM set_config('parley.audit_purge', 'on', true);
    DELETE FROM audit_log l WHERE l.id IN
        (SELECT x.id FROM audit_log x WHERE x.at < now() - keep ORDER BY x.at LIMIT most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('parley.audit_purge', '', true);
    IF gone > 0 THEN
        INSERT INTO audit_log (kind, detail) VALUES ('audit_purged', gone || ' lines older than ' || keep);
    END IF;
    RETURN gone;
END $$;

-- ---- mail ----

-- Forgets what has been done with for a week, and links that lead nowhere: so many of each at most; of which
-- there were more, so many went.
CREATE FUNCTION mail_purge(most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    mails bigint;
    links bigint;
BEGIN
    DELETE FROM mail_outbox o WHERE o.id IN
        (SELECT x.id FROM mail_outbox x WHERE x.state <> 'pending' AND x.finished_at < now() - interval '7 days'
          ORDER BY x.finished_at LIMIT most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS mails = ROW_COUNT;
    DELETE FROM mail_tokens t WHERE t.hash IN
        (SELECT x.hash FROM mail_tokens x WHERE x.expires_at < now()
          ORDER BY x.expires_at LIMIT most FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS links = ROW_COUNT;
    RETURN greatest(mails, links);
END $$;

-- ---- callbacks ----

-- As in 0013, but at most so many, and how many those were. A receiver that is down for days is owed hundreds of
-- thousands of posts; where all were buried at once, the callback could not even be disabled.
CREATE FUNCTION callback_bury(k callbacks, most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    buried bigint;
BEGIN
    UPDATE callback_deliveries d
       SET state = 'dead', finished_at = now(), last_error = 'the callback was disabled' || coalesce(': ' || k.disabled_reason, '')
     WHERE d.id IN (SELECT x.id FROM callback_deliveries x WHERE x.callback_id = k.id AND x.state = 'pending'
                     ORDER BY x.next_attempt_at, x.id LIMIT most);
    GET DIAGNOSTICS buried = ROW_COUNT;
    RETURN buried;
END $$;

-- The rest is buried with the next purges.
CREATE OR REPLACE FUNCTION callback_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM callback_bury(NEW, 1000);
    RETURN NULL;
END $$;

-- Buries what disabled callbacks are owed; forgets what has been delivered for a day, and what has been dead for a
-- month. So many at most; how many those were.
CREATE FUNCTION callbacks_purge(most bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    k    callbacks;
    done bigint := 0;
    gone bigint;
BEGIN
    FOR k IN SELECT * FROM callbacks x WHERE NOT x.enabled AND EXISTS
             (SELECT FROM callback_deliveries d WHERE d.callback_id = x.id AND d.state = 'pending')
              FOR NO KEY UPDATE SKIP LOCKED LOOP
        done := done + callback_bury(k, most - done);
        EXIT WHEN done >= most;
    END LOOP;
    DELETE FROM callback_deliveries d WHERE d.id IN
        (SELECT x.id FROM callback_deliveries x WHERE x.state <> 'pending' AND x.finished_at < now() - interval '1 day'
            AND (x.state <> 'dead' OR x.finished_at < now() - interval '30 days')
          ORDER BY x.finished_at LIMIT most - done FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN done + gone;
END $$;

-- As in 0013, but so many at most, the oldest first: of more it could not be done in one go.
-- outcome: see callback_check() | callback_disabled.
CREATE OR REPLACE FUNCTION callback_redeliver(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint,
                                   OUT outcome text, OUT redelivered bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    most CONSTANT bigint := 10000;
    k    callbacks;
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, in_callback, callback_ms);
    IF outcome <> 'ok' THEN RETURN; END IF;
    SELECT * INTO k FROM callbacks x WHERE x.id = in_callback FOR NO KEY UPDATE;    -- the courier may be disabling it
    IF NOT k.enabled THEN outcome := 'callback_disabled'; RETURN; END IF;
    UPDATE callback_deliveries d
       SET state = 'pending', attempts = 0, next_attempt_at = now(), begun_at = now(), finished_at = NULL
     WHERE d.id IN (SELECT x.id FROM callback_deliveries x WHERE x.callback_id = in_callback AND x.state = 'dead'
                     ORDER BY x.id LIMIT most);
    GET DIAGNOSTICS redelivered = ROW_COUNT;
    PERFORM audit_note('callback_redelivered', actor, NULL, callback_label(k) || ': ' || redelivered);
END $$;

-- For a courier that has not been replaced yet.
CREATE OR REPLACE FUNCTION callbacks_purge() RETURNS void LANGUAGE sql AS $$ SELECT callbacks_purge(5000) $$;
DROP FUNCTION callback_bury(callbacks);
