-- New limits of a run. The slots of the old rate are given up, or a higher rate would wait for them; that there were any
-- stays known (measured_rate.sql).
UPDATE vectrue.replays
SET rate = CASE WHEN %(set_rate)s THEN %(rate)s ELSE rate END,
    max_live_lag = CASE WHEN %(set_lag)s THEN %(max_live_lag)s ELSE max_live_lag END,
    next_slot = CASE WHEN next_slot IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s AND state IN ('planned', 'running', 'paused')
RETURNING run::text
