-- A run is done when all its columns are enumerated and all its chunks are handled.
UPDATE vectrue.replays AS replays
SET state = 'done', finished_at = now()
WHERE run = %(run)s AND state IN ('running', 'paused')
    AND NOT EXISTS (SELECT FROM vectrue.replay_scopes AS scopes WHERE scopes.run = replays.run AND NOT scopes.enumerated)
    AND NOT EXISTS (SELECT FROM vectrue.replay_chunks AS chunks
                    WHERE chunks.run = replays.run AND chunks.done_keys < chunks.total_keys)
