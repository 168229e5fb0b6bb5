-- A replay run that is not finished and has a column of one of these tables.
SELECT run::text
FROM embedsync.replays
JOIN embedsync.replay_scopes USING (run)
WHERE state NOT IN ('done', 'cancelled') AND table_name = ANY (%(tables)s)
LIMIT 1
