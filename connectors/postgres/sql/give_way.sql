-- A run that a person asks for takes the place of the keeper's over these columns. Unless the new one is about all rows that are
-- stale, the keeper looks at the table again after it.
WITH ended AS (
    UPDATE vectrue.replays
    SET state = 'cancelled', finished_at = now(), waiting = NULL, waiting_since = NULL, waiting_at = NULL, next_slot = NULL
    WHERE requested_by = 'keeper' AND state = 'running' AND EXISTS (
        SELECT FROM vectrue.replay_scopes AS scopes
        WHERE scopes.run = replays.run AND scopes.table_name || '.' || scopes.column_name = ANY (%(columns)s)
    )
    RETURNING run
)
INSERT INTO vectrue.looks (prefix, table_name, reason)
SELECT DISTINCT counted.prefix, counted.table_name, 'a run that was asked for took the place of the keeper''s'
FROM ended
JOIN vectrue.replay_scopes AS scopes ON scopes.run = ended.run
JOIN vectrue.counted ON counted.table_name = scopes.table_name AND counted.column_name = scopes.column_name
WHERE NOT %(covers)s
ON CONFLICT (prefix, table_name) DO UPDATE SET reason = excluded.reason, asked_at = clock_timestamp()
