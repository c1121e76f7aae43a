-- The door: who may try to come in how often, who did, and what was done about it.

-- ---------------------------------------------------------------- the audit log

-- Logins, failures, revocations, administration. Written by the triggers below whatever program makes
-- the change, and only ever appended to: not even the programs' own role alters a line by accident or
-- by an injected statement. (Whoever owns the database can drop the trigger; ship the rows elsewhere
-- if you have to prove something against your own administrators.) No foreign keys: a line outlives
-- what it speaks of. No password, no token, and not the name that was typed at a failed login, as
-- people type passwords there.
CREATE TABLE audit_log (
    id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind       text NOT NULL,                          -- user_registered, user_disabled, user_enabled, user_deleted,
                                                       -- password_changed, login, login_failed, session_revoked,
                                                       -- audit_purged
    user_id    bigint,                                 -- whom it is about; NULL: nobody we know
    session_id bigint,
    detail     text,                                   -- why, or which surface
    address    text,                                   -- of the client; NULL: it came from no request
    request_id text,                                   -- finds the lines in the other logs
    program    text DEFAULT current_setting('application_name'),
    role       text DEFAULT session_user               -- the database's, of whoever did it
);
CREATE INDEX audit_log_user ON audit_log (user_id, id);
CREATE INDEX audit_log_at ON audit_log (at);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('parley.audit_purge', true) = 'on' THEN RETURN OLD; END IF;
    RAISE EXCEPTION 'the audit log is append-only; audit_purge(interval) forgets what is old'
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

-- Forgets what is older than keep, and notes that it did. The only way to; nobody calls it by itself.
-- (A SET clause would want a superuser at the migration.)
CREATE FUNCTION audit_purge(keep interval) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone bigint;
BEGIN
    IF keep < interval '1 day' THEN RAISE EXCEPTION 'the audit log keeps a day at least'; END IF;
    PERFORM set_config('parley.audit_purge', 'on', true);
    DELETE FROM audit_log WHERE at < now() - keep;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('parley.audit_purge', '', true);
    INSERT INTO audit_log (kind, detail) VALUES ('audit_purged', gone || ' lines older than ' || keep);
    RETURN gone;
END $$;

-- What the lines of this transaction are to say of where they come from and why. Always true, so that
-- a statement can set it in its WHERE, before what it does.
CREATE FUNCTION audit_context(address text, request_id text, why text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('parley.address', coalesce(address, ''), true),
            set_config('parley.request_id', coalesce(request_id, ''), true),
            set_config('parley.why', coalesce(why, ''), true);
    RETURN true;
END $$;

-- Appends a line.
CREATE FUNCTION audit_note(in_kind text, in_user bigint, in_session bigint, in_detail text) RETURNS void
    LANGUAGE sql AS $$
    INSERT INTO audit_log (kind, user_id, session_id, detail, address, request_id)
    VALUES (in_kind, in_user, in_session, in_detail, nullif(current_setting('parley.address', true), ''),
            nullif(current_setting('parley.request_id', true), ''))
$$;

-- The trigger's argument names the line; for sessions and passwords the context says why.
CREATE FUNCTION audit_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[0] = 'user_activity' THEN
        PERFORM audit_note(CASE WHEN NEW.is_active THEN 'user_enabled' ELSE 'user_disabled' END, NEW.id, NULL, NULL);
    ELSE
        PERFORM audit_note(TG_ARGV[0], CASE WHEN TG_OP = 'DELETE' THEN OLD.id ELSE NEW.id END, NULL,
                           nullif(current_setting('parley.why', true), ''));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_registered AFTER INSERT ON users
    FOR EACH ROW EXECUTE FUNCTION audit_user('user_registered');
CREATE TRIGGER audit_deleted AFTER DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION audit_user('user_deleted');
CREATE TRIGGER audit_password AFTER UPDATE OF password_hash ON users FOR EACH ROW
    WHEN (OLD.password_hash IS DISTINCT FROM NEW.password_hash) EXECUTE FUNCTION audit_user('password_changed');
CREATE TRIGGER audit_activity AFTER UPDATE OF is_active ON users FOR EACH ROW
    WHEN (OLD.is_active IS DISTINCT FROM NEW.is_active) EXECUTE FUNCTION audit_user('user_activity');

CREATE FUNCTION audit_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM audit_note('login', NEW.user_id, NEW.id, NEW.dialect);
    ELSE
        PERFORM audit_note('session_revoked', NEW.user_id, NEW.id, nullif(current_setting('parley.why', true), ''));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_login AFTER INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION audit_session();
CREATE TRIGGER audit_revoked AFTER UPDATE OF revoked_at ON sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL) EXECUTE FUNCTION audit_session();

-- ---------------------------------------------------------------- sessions

-- Where a session came from as the throttle counts it: an IPv4 address, an IPv6 /64.
ALTER TABLE sessions ADD COLUMN network text;
CREATE INDEX sessions_place ON sessions (user_id, network);
-- For a daemon's start: what is revoked and might still be shown, who is disabled.
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX users_disabled ON users (id) WHERE NOT is_active;

-- Ends every session of a user but one (NULL: all); how many those were. The user's row is locked first,
-- so whoever does this at the same moment waits.
CREATE FUNCTION sessions_revoke(in_user bigint, but bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    ended bigint;
BEGIN
    PERFORM FROM users WHERE id = in_user FOR NO KEY UPDATE;
    WITH gone AS (UPDATE sessions SET revoked_at = now()
                   WHERE user_id = in_user AND id IS DISTINCT FROM but AND revoked_at IS NULL RETURNING id)
    INSERT INTO events (kind, user_id, session_id) SELECT 'session_revoked', in_user, id FROM gone;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END $$;

-- Sets a new password, unless another was set since the old one was checked, and ends every other
-- session; links to reset it end too. True when it is set.
CREATE FUNCTION password_change(in_user bigint, in_session bigint, old_hash text, new_hash text) RETURNS boolean
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET password_hash = new_hash, updated_at = now() WHERE id = in_user AND password_hash = old_hash;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE mail_tokens SET used_at = now() WHERE user_id = in_user AND purpose = 'reset' AND used_at IS NULL;
    PERFORM sessions_revoke(in_user, in_session);
    RETURN true;
END $$;

-- ---------------------------------------------------------------- failed logins

-- Wrong passwords make the next try wait: one second, two, four … up to a bound. Who waits is chosen so
-- that no stranger can lock anybody out:
--   * Nothing here touches a session: whoever is in stays in, refreshes, and opens sockets.
--   * A known place, a network this account logged in from or refreshed at within 90 days, answers only
--     for the wrong passwords that came from there for this very name. What strangers elsewhere do,
--     to the account or to other accounts, does not count there.
--   * From anywhere else a try counts against the name and against the network. A name that is under
--     attack makes each new network wait once, for as long as the attack has earned; then that
--     network's try is heard, whatever others did meanwhile: it waits for a ticket, not in a race. So
--     the owner at a new place is delayed by the bound at most, and a guesser with one network gets
--     one guess per bound, with a thousand networks a thousand.
--   * Networks are not given tickets: a guesser who tries many names from one network is what that
--     count is for. It can delay those who log in for the first time behind the same network; who
--     did so before is known there (see above), and everybody is elsewhere.
--   * One wrong password is forgiven in each period as long as the bound.
-- A name counts as it was typed, whether it is anybody's or not, so waiting tells nothing about it; only
-- hashes of names and networks are kept. A try counts before the password is looked at, so many at once
-- gain nothing, and is taken back when it was right. What is refused here costs no bcrypt and leaves
-- nothing behind that would make the wait longer.
-- Unlogged: a crash of PostgreSQL forgets who has to wait, and nothing waits for the disk.
CREATE SEQUENCE login_throttle_touched;
CREATE UNLOGGED TABLE login_throttle (
    key        bytea PRIMARY KEY,                      -- SHA-256 of what is counted: see throttle_key()
    failures   double precision NOT NULL DEFAULT 0,    -- at counted_at; decays by 1 per bound
    counted_at timestamptz NOT NULL DEFAULT now(),
    open_at    timestamptz,                            -- no try before this; NULL: there was none yet
    forget_at  timestamptz NOT NULL DEFAULT now() + interval '1 hour',
    touched    bigint NOT NULL DEFAULT nextval('login_throttle_touched') -- the longest untouched go first
);
CREATE INDEX login_throttle_forget ON login_throttle (forget_at);
CREATE INDEX login_throttle_age ON login_throttle (touched);

CREATE FUNCTION throttle_key(what text, value text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT sha256(convert_to(what || ' ' || lower(value), 'UTF8'))
$$;

-- What the next try has to wait after so many failures, of which some are free; at most `most` seconds.
CREATE FUNCTION throttle_delay(failures double precision, free bigint, most bigint) RETURNS interval
    LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN ceil(failures) < free THEN interval '0'
                ELSE least(most, 2 ^ least(ceil(failures) - free, 20)) * interval '1 s' END
$$;

-- The row of a key, locked, its failures as they are by now.
CREATE FUNCTION throttle_row(in_key bytea, most bigint) RETURNS login_throttle LANGUAGE plpgsql AS $$
DECLARE
    t login_throttle;
BEGIN
    LOOP
        INSERT INTO login_throttle (key) VALUES (in_key) ON CONFLICT DO NOTHING;
        SELECT * INTO t FROM login_throttle WHERE key = in_key FOR UPDATE;
        EXIT WHEN FOUND;                        -- else it was swept up in between
    END LOOP;
    t.failures := greatest(0, t.failures - greatest(0, extract(epoch FROM clock_timestamp() - t.counted_at)) / most);
    RETURN t;
END $$;

-- Counts a try. The count is bounded, so forgiving takes a bounded time.
CREATE FUNCTION throttle_count(t login_throttle, free bigint, most bigint, delay interval) RETURNS void
    LANGUAGE sql AS $$
    UPDATE login_throttle SET failures = least(t.failures + 1, free + 20), counted_at = clock_timestamp(),
           open_at = clock_timestamp() + delay, touched = nextval('login_throttle_touched'),
           forget_at = clock_timestamp() + delay + interval '1 hour' + (free + 20) * most * interval '1 s'
     WHERE key = t.key
$$;

-- A few rows that say nothing any more, and whatever is beyond 100,000. It comes last and waits for
-- nobody, so it cannot deadlock.
CREATE FUNCTION throttle_sweep() RETURNS void LANGUAGE sql AS $$
    DELETE FROM login_throttle WHERE key IN
        (SELECT key FROM login_throttle WHERE forget_at < now() ORDER BY forget_at LIMIT 10 FOR UPDATE SKIP LOCKED);
    DELETE FROM login_throttle WHERE key IN
        (SELECT key FROM login_throttle WHERE touched <= (SELECT last_value FROM login_throttle_touched) - 100000
          ORDER BY touched LIMIT 10 FOR UPDATE SKIP LOCKED)
$$;

CREATE FUNCTION throttle_wait(open_at timestamptz) RETURNS bigint LANGUAGE sql AS $$
    SELECT greatest(0, ceil(extract(epoch FROM open_at - clock_timestamp())))::bigint
$$;

-- May this name be tried from this network now? wait: not for so many seconds. Otherwise the try is
-- counted (counted: against name and network too) and account is whose it is, NULL for nobody's.
CREATE FUNCTION login_admit(in_name text, in_network text, tries bigint, tries_network bigint, most bigint,
                            OUT wait bigint, OUT counted boolean, OUT account bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    network login_throttle;
    name    login_throttle;
    pair    login_throttle;
BEGIN
    SELECT x.id INTO account FROM (SELECT id FROM users WHERE lower(username) = lower(in_name)
        UNION ALL SELECT id FROM users WHERE lower(email) = lower(in_name) LIMIT 1) x;
    counted := NOT EXISTS (SELECT FROM sessions s WHERE s.user_id = account AND s.network = in_network
                              AND s.used_at > now() - interval '90 days');
    wait := 0;
    IF counted THEN
        network := throttle_row(throttle_key('network', in_network), most);
        wait := coalesce(throttle_wait(network.open_at), 0);
        IF wait > 0 THEN RETURN; END IF;
        name := throttle_row(throttle_key('name', in_name), most);
    END IF;
    pair := throttle_row(throttle_key('pair ' || in_network, in_name), most);
    IF pair.open_at IS NULL AND counted AND ceil(name.failures) >= tries THEN -- here is the ticket
        UPDATE login_throttle SET open_at = clock_timestamp() + throttle_delay(name.failures, tries, most),
               forget_at = clock_timestamp() + most * interval '1 s' + interval '1 hour'
         WHERE key = pair.key RETURNING open_at INTO pair.open_at;
    END IF;
    wait := coalesce(throttle_wait(pair.open_at), 0);
    IF wait = 0 THEN
        IF counted THEN
            PERFORM throttle_count(network, tries_network, most, throttle_delay(network.failures + 1, tries_network, most)),
                    throttle_count(name, tries, most, interval '0');
        END IF;
        PERFORM throttle_count(pair, tries, most, greatest(throttle_delay(pair.failures + 1, tries, most),
            CASE WHEN counted THEN throttle_delay(name.failures + 1, tries, most) END));
    END IF;
    PERFORM throttle_sweep();
END $$;

-- The password was right: takes the try back. A network that has to wait goes on waiting, or a guesser
-- would clear it with an account of their own.
CREATE FUNCTION login_forgive(in_name text, in_network text, counted boolean, tries_network bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF counted THEN
        UPDATE login_throttle SET failures = greatest(0, failures - 1),
               open_at = CASE WHEN ceil(failures) - 1 < tries_network THEN now() ELSE open_at END
         WHERE key = throttle_key('network', in_network);
        UPDATE login_throttle SET failures = greatest(0, failures - 1) WHERE key = throttle_key('name', in_name);
    END IF;
    DELETE FROM login_throttle WHERE key = throttle_key('pair ' || in_network, in_name);
END $$;

-- Opens a session for a user whose password was checked against in_hash. NULL when it is another by now;
-- waits for a change under way, which would end all sessions but this one. Logins also sweep up
-- sessions that nobody can use or know any more, some at a time: those that ended `keep` ago.
CREATE FUNCTION session_open(in_user bigint, in_hash text, in_dialect text, in_refresh bytea, lifetime interval,
                             in_agent text, in_address text, in_network text, keep interval) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    session bigint;
BEGIN
    INSERT INTO sessions (user_id, dialect, refresh_hash, expires_at, user_agent, address, network)
    SELECT u.id, in_dialect, in_refresh, now() + lifetime, in_agent, in_address, in_network FROM users u
     WHERE u.id = in_user AND u.password_hash = in_hash FOR SHARE RETURNING id INTO session;
    DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < now() - keep
                                       ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED);
    RETURN session;
END $$;
