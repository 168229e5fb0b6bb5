-- Unfinished replay runs that have a column of one of these tables, a person's first. `yields`: the keeper's, which gives way.
SELECT DISTINCT replays.run::text, replays.state, replays.requested_by = 'keeper' AND replays.state = 'running' AS yields,
    scopes.table_name
FROM vectrue.replays AS replays
JOIN vectrue.replay_scopes AS scopes USING (run)
WHERE replays.state NOT IN ('done', 'cancelled') AND scopes.table_name = ANY (%(tables)s)
ORDER BY yields, 1, 4
