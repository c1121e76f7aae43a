-- Mail: what is owed to whom, and the tokens of the links in it.
--
-- A row of mail_outbox says that a mail is owed, not what stands in it. The courier makes the link
-- when it sends, so no link is ever stored, only the hash of its token; and a request that asks for a
-- mail writes one row, whether the address is anybody's or not, so its answer and its time tell
-- nothing. Rows and tokens that are done with are swept up (SQL_MAIL_PURGE).

CREATE TABLE mail_outbox (
    id              bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, -- stands in the Message-ID
    kind            text NOT NULL CHECK (kind IN ('verify', 'reset')),
    recipient       text NOT NULL,                     -- an address; of a reset as it was typed, maybe nobody's
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN
                        ('pending',                    -- to be sent at next_attempt_at
                         'sent',                       -- accepted by the mail server
                         'logged',                     -- no mail server is set up: the link went to the log
                         'failed',                     -- refused for good, or given up: see last_error
                         'dropped')),                  -- nobody's address, verified already, or too many
    attempts        bigint NOT NULL DEFAULT 0,         -- begun so far; numbers the claims
    next_attempt_at timestamptz NOT NULL DEFAULT now(), -- while a courier is sending: when its claim lapses
    last_error      text,                              -- why the last attempt failed
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz                        -- when it stopped being pending
);
CREATE INDEX mail_outbox_due ON mail_outbox (next_attempt_at) WHERE state = 'pending';
CREATE INDEX mail_outbox_finished ON mail_outbox (finished_at) WHERE state <> 'pending';
CREATE INDEX mail_outbox_recipient ON mail_outbox (lower(recipient), finished_at);
-- Asking again while a reset is owed already changes nothing.
CREATE UNIQUE INDEX mail_outbox_reset ON mail_outbox (lower(recipient))
    WHERE kind = 'reset' AND state = 'pending';

-- The links in mails that may have been sent. Each works once.
CREATE TABLE mail_tokens (
    hash       bytea PRIMARY KEY,                      -- SHA-256 of the token
    user_id    bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    purpose    text NOT NULL CHECK (purpose IN ('verify', 'reset')),
    address    text NOT NULL,                          -- the mailbox it proves
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX mail_tokens_user ON mail_tokens (user_id);
CREATE INDEX mail_tokens_expiry ON mail_tokens (expires_at);

-- How long a link is good, and how long sending it is tried.
CREATE FUNCTION mail_lifetime(kind text) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind WHEN 'verify' THEN interval '3 days' ELSE interval '1 hour' END
$$;

-- Takes the mail that is due longest, for as long as the lease: a courier that dies leaves it to the
-- next one when that has run out. Stores the token of its link. id NULL: nothing is due.
-- An address gets at most five reset mails an hour, whoever asks for them.
CREATE FUNCTION mail_claim(in_hash bytea, lease interval,
                           OUT id bigint, OUT attempt bigint, OUT kind text, OUT recipient text,
                           OUT username text, OUT created_at timestamptz)
    LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    m mail_outbox;
    u users;
BEGIN
    LOOP
        SELECT * INTO m FROM mail_outbox o WHERE o.state = 'pending' AND o.next_attempt_at <= now()
         ORDER BY o.next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED;
        IF NOT FOUND THEN RETURN; END IF;
        SELECT * INTO u FROM users x WHERE lower(x.email) = lower(m.recipient) AND x.is_active;
        IF NOT FOUND OR (m.kind = 'verify' AND u.email_verified) OR (m.kind = 'reset' AND 5 <=
               (SELECT count(*) FROM mail_outbox o WHERE lower(o.recipient) = lower(m.recipient)
                   AND o.finished_at > now() - interval '1 hour' AND o.kind = 'reset'
                   AND o.state IN ('sent', 'logged'))) THEN
            UPDATE mail_outbox o SET state = 'dropped', finished_at = now() WHERE o.id = m.id;
        ELSIF m.created_at + mail_lifetime(m.kind) <= now() THEN
            UPDATE mail_outbox o SET state = 'failed', finished_at = now(),
                   last_error = coalesce(m.last_error, 'not sent in time') WHERE o.id = m.id;
        ELSE
            EXIT;
        END IF;
    END LOOP;
    UPDATE mail_outbox o SET attempts = o.attempts + 1, next_attempt_at = now() + lease
     WHERE o.id = m.id RETURNING o.attempts INTO attempt;
    INSERT INTO mail_tokens (hash, user_id, purpose, address, expires_at)
        VALUES (in_hash, u.id, m.kind, u.email, now() + mail_lifetime(m.kind));
    id := m.id; kind := m.kind; recipient := u.email; username := u.username; created_at := m.created_at;
END $$;

-- Uses up the token of a link. The user it was sent to, when it is good; else NULL.
CREATE FUNCTION mail_token_use(in_hash bytea, in_purpose text) RETURNS bigint LANGUAGE sql AS $$
    UPDATE mail_tokens t SET used_at = now() FROM users u
     WHERE t.hash = in_hash AND t.purpose = in_purpose AND t.used_at IS NULL AND t.expires_at > now()
       AND u.id = t.user_id AND u.is_active AND lower(u.email) = lower(t.address)
    RETURNING u.id
$$;

-- True when the link was good.
CREATE FUNCTION email_verify(in_hash bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mail_token_use(in_hash, 'verify');
BEGIN
    UPDATE users SET email_verified = true, updated_at = now() WHERE id = account;
    RETURN FOUND;
END $$;

-- Sets a new password and ends every session of the user; other links to do so end too. Whoever has
-- the link has the mailbox, so the address is verified as well. True when the link was good.
CREATE FUNCTION password_reset(in_hash bytea, in_password_hash text) RETURNS boolean
    LANGUAGE plpgsql AS $$
DECLARE
    account bigint := mail_token_use(in_hash, 'reset');
BEGIN
    UPDATE users SET password_hash = in_password_hash, email_verified = true, updated_at = now()
     WHERE id = account;
    IF NOT FOUND THEN RETURN false; END IF;
    UPDATE mail_tokens SET used_at = now()
     WHERE user_id = account AND purpose = 'reset' AND used_at IS NULL;
    PERFORM session_revoke(s.id) FROM (SELECT x.id FROM sessions x
         WHERE x.user_id = account AND x.revoked_at IS NULL ORDER BY x.id) s;
    RETURN true;
END $$;
