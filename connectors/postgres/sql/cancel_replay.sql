-- Workers skip the chunks of a cancelled run.
UPDATE embedsync.replays SET state = 'cancelled', finished_at = now()
WHERE run = %(run)s AND state IN ('planned', 'running', 'paused')
RETURNING run::text
