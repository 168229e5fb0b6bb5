-- Pause, resume, cancel: the state of a run, if it is in one of the states that this may follow.
UPDATE vectrue.replays
SET state = %(state)s,
    finished_at = CASE WHEN %(state)s = 'cancelled' THEN now() END,
    waiting = NULL, waiting_since = NULL, waiting_at = NULL,
    next_slot = CASE WHEN next_slot IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s AND state = ANY (%(from)s)
RETURNING run::text
