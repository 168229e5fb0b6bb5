-- Why a worker waits, for whoever asks; NULL once it goes on.
UPDATE vectrue.replays
SET waiting = %(reason)s,
    waiting_since = CASE WHEN %(reason)s IS NOT NULL THEN coalesce(waiting_since, clock_timestamp()) END,
    waiting_at = CASE WHEN %(reason)s IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s
