-- Callbacks in the audit log, and what becomes of posts whose callback is disabled.

-- ---- the audit log ----

-- What a line says of a callback: no more of its URL than whom it reaches, as the rest may be a secret.
CREATE FUNCTION callback_label(k callbacks) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('callback %s of conversation %s, %s', k.id, k.conversation_id, substring(k.url FROM '^[^/]*//[^/?#]*'))
$$;

-- Whoever does it: only the group's owner may, and the courier, which disables what has failed for too long
-- and says why. kind: callback_created, callback_enabled, callback_disabled, callback_deleted; and
-- callback_redelivered, below.
CREATE FUNCTION audit_callback() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    k    callbacks := coalesce(NEW, OLD);
    kind text := CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'DELETE' THEN 'deleted'
                            ELSE CASE WHEN k.enabled THEN 'enabled' ELSE 'disabled' END END;
BEGIN
    PERFORM audit_note('callback_' || kind, (SELECT c.owner_id FROM conversations c WHERE c.id = k.conversation_id), NULL,
                       callback_label(k) || CASE WHEN kind = 'disabled' THEN coalesce(': ' || k.disabled_reason, '') ELSE '' END);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_callback AFTER INSERT OR DELETE ON callbacks FOR EACH ROW EXECUTE FUNCTION audit_callback();
CREATE TRIGGER audit_callback_enabled AFTER UPDATE OF enabled ON callbacks FOR EACH ROW
    WHEN (OLD.enabled <> NEW.enabled) EXECUTE FUNCTION audit_callback();

-- A callback ends with its group: just before it, while the group still has an owner to name.
CREATE FUNCTION callbacks_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM callbacks k WHERE k.conversation_id = OLD.id;
    RETURN OLD;
END $$;
CREATE TRIGGER callbacks_end BEFORE DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION callbacks_end();

-- As in 0009, but the line about a webhook's end names who ended it, not who made it.
CREATE OR REPLACE FUNCTION webhook_change(in_room bigint, room_ms bigint, actor bigint, in_hook bigint, hook_ms bigint,
                               in_hash bytea, OUT outcome text, OUT shown webhook_view)
    LANGUAGE plpgsql AS $$
BEGIN
    outcome := group_lock(in_room, room_ms, actor);
    IF outcome <> 'ok' THEN RETURN; END IF;
    SELECT * INTO shown FROM webhook_view v WHERE v.id = in_hook AND v.conversation_id = in_room
       AND (hook_ms IS NULL OR epoch_ms(v.created_at) = hook_ms);
    IF shown.id IS NULL THEN outcome := 'not_found'; RETURN; END IF;
    UPDATE webhooks SET hash = coalesce(in_hash, hash), maker_id = actor WHERE user_id = in_hook;
    IF in_hash IS NULL THEN
        DELETE FROM webhooks WHERE user_id = in_hook;
        RETURN;
    END IF;
    PERFORM audit_note('webhook_rotated', actor, NULL, shown.name);
    SELECT * INTO shown FROM webhook_view v WHERE v.id = in_hook;
END $$;

-- ---- posts of disabled callbacks ----

-- Nobody would send them, so they are dead letters that say why, and can be sent again once it is enabled.
CREATE FUNCTION callback_bury(k callbacks) RETURNS void LANGUAGE sql AS $$
    UPDATE callback_deliveries d
       SET state = 'dead', finished_at = now(), last_error = 'the callback was disabled' || coalesce(': ' || k.disabled_reason, '')
     WHERE d.callback_id = k.id AND d.state = 'pending'
$$;
CREATE FUNCTION callback_disabled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM callback_bury(NEW);
    RETURN NULL;
END $$;
CREATE TRIGGER callback_disabled AFTER UPDATE OF enabled ON callbacks FOR EACH ROW
    WHEN (OLD.enabled AND NOT NEW.enabled) EXECUTE FUNCTION callback_disabled();

-- As in 0010, but a disabled callback has to be enabled first, or they would wait for that.
-- outcome: see callback_check() | callback_disabled.
CREATE OR REPLACE FUNCTION callback_redeliver(in_room bigint, room_ms bigint, actor bigint, in_callback bigint, callback_ms bigint,
                                   OUT outcome text, OUT redelivered bigint)
    LANGUAGE plpgsql AS $$
DECLARE
    k callbacks;
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, in_callback, callback_ms);
    IF outcome <> 'ok' THEN RETURN; END IF;
    SELECT * INTO k FROM callbacks x WHERE x.id = in_callback FOR NO KEY UPDATE;    -- the courier may be disabling it
    IF NOT k.enabled THEN outcome := 'callback_disabled'; RETURN; END IF;
    UPDATE callback_deliveries d
       SET state = 'pending', attempts = 0, next_attempt_at = now(), begun_at = now(), finished_at = NULL
     WHERE d.callback_id = in_callback AND d.state = 'dead';
    GET DIAGNOSTICS redelivered = ROW_COUNT;
    PERFORM audit_note('callback_redelivered', actor, NULL, callback_label(k) || ': ' || redelivered);
END $$;

-- As in 0010, and buries what was noted for a callback in the very moment in which it was disabled.
CREATE OR REPLACE FUNCTION callbacks_purge() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    k callbacks;
BEGIN
    FOR k IN SELECT * FROM callbacks x WHERE NOT x.enabled FOR NO KEY UPDATE LOOP
        PERFORM callback_bury(k);
    END LOOP;
    DELETE FROM callback_deliveries d WHERE d.state <> 'pending'
       AND d.finished_at < now() - CASE WHEN d.state = 'dead' THEN interval '30 days' ELSE interval '1 day' END;
END $$;
