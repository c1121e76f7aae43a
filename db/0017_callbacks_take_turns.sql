-- Callbacks take turns.
--
-- As in 0010, but of the callbacks that are owed something it is the turn of the one whose last turn is longest
-- ago, not of the oldest delivery: receivers that take their time, and have much to be told still, were served
-- before all others until they were through.
CREATE OR REPLACE FUNCTION callback_claim(lease interval) RETURNS SETOF callback_deliveries LANGUAGE plpgsql AS $$
DECLARE
    k record;
BEGIN
    SELECT b.id, d.id AS delivery INTO k FROM callbacks b CROSS JOIN LATERAL
                (SELECT x.id, x.next_attempt_at FROM callback_deliveries x
                  WHERE x.callback_id = b.id AND x.state = 'pending' AND x.next_attempt_at <= now()
                  ORDER BY x.next_attempt_at, x.id LIMIT 1) d
              WHERE b.enabled AND b.busy_until <= now()
              ORDER BY b.busy_until, d.next_attempt_at LIMIT 1 FOR UPDATE OF b SKIP LOCKED;
    IF NOT FOUND THEN RETURN; END IF;
    UPDATE callbacks b SET busy_until = now() + lease WHERE b.id = k.id;
    RETURN QUERY UPDATE callback_deliveries d SET attempts = d.attempts + 1, next_attempt_at = now() + lease
                  WHERE d.id = k.delivery AND d.state = 'pending' AND d.next_attempt_at <= now() RETURNING d.*;
END $$;
