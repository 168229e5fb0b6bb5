-- The run, if there is one, that is not finished and touches one of these columns.
SELECT replays.run, replays.scope, array_agg(scopes.table_name || '.' || scopes.column_name ORDER BY 1) AS columns
FROM embedsync.replays AS replays
JOIN embedsync.replay_scopes AS scopes USING (run)
WHERE replays.state IN ('planned', 'running', 'paused')
GROUP BY replays.run, replays.scope, replays.created_at
HAVING array_agg(scopes.table_name || '.' || scopes.column_name) && %(columns)s::text[]
ORDER BY replays.created_at
LIMIT 1
