-- The oldest unfinished run over a table, whose it is, and how far it is.
SELECT
    replays.run::text,
    replays.requested_by = 'keeper' AND replays.state = 'running' AS resumable,
    (SELECT coalesce(sum(chunks.done_keys), 0)::bigint FROM vectrue.replay_chunks AS chunks WHERE chunks.run = replays.run) AS done
FROM vectrue.replays AS replays
WHERE replays.state IN ('planned', 'running', 'paused')
    AND EXISTS (SELECT FROM vectrue.replay_scopes AS scopes
                WHERE scopes.run = replays.run AND scopes.table_name = %(table)s)
ORDER BY replays.created_at
LIMIT 1
