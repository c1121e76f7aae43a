-- A user has at most ten groups' worth of callbacks.
--
-- All posts go out by the same hands, so without a bound an owner of thousands of groups, whose receivers take their
-- time, makes everybody else's wait. As in 0010, but for the second count; the position's lock is every creator's, so
-- two of them cannot both be the last. Whoever has more keeps them.
--
-- outcome: see callback_check() | too_many_callbacks.
CREATE OR REPLACE FUNCTION callback_create(in_room bigint, room_ms bigint, actor bigint, in_url text, in_secret bytea,
                                           most bigint, OUT outcome text, OUT shown callback_view)
    LANGUAGE plpgsql AS $$
DECLARE
    made bigint;
BEGIN
    outcome := callback_lock(in_room, room_ms, actor, NULL, NULL);
    IF outcome <> 'ok' THEN RETURN; END IF;
    -- While there was none, nobody moved the position. Whoever else makes one waits here.
    INSERT INTO callback_position (seen) VALUES (events_now()) ON CONFLICT DO NOTHING;
    PERFORM FROM callback_position FOR UPDATE;
    IF (SELECT count(*) FROM callbacks k WHERE k.conversation_id = in_room) >= most
       OR (SELECT count(*) FROM callbacks k JOIN conversations c ON c.id = k.conversation_id
            WHERE c.owner_id = actor) >= most * 10 THEN
        outcome := 'too_many_callbacks';
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM callbacks) THEN
        UPDATE callback_position SET seen = events_now(), upto = NULL, after_id = 0;
    END IF;
    INSERT INTO callbacks (conversation_id, url, secret, after_id)
        VALUES (in_room, in_url, in_secret, nextval('change_id')) RETURNING id INTO made;
    SELECT * INTO shown FROM callback_view v WHERE v.id = made;
END $$;
