-- Runs, newest first: those whose id begins like this, those that touch one of these columns, those that are unfinished.
SELECT
    replays.run::text,
    replays.state,
    replays.created_at,
    replays.finished_at,
    CASE WHEN replays.state = 'running' AND replays.waiting_at > now() - interval '15 seconds' THEN replays.waiting END AS waiting,
    extract(epoch FROM replays.waiting_at - replays.waiting_since)::double precision AS waiting_seconds,
    (SELECT array_agg(scopes.table_name || '.' || scopes.column_name ORDER BY 1)
     FROM vectrue.replay_scopes AS scopes WHERE scopes.run = replays.run) AS columns,
    replays.scope,
    replays.where_text,
    replays.since,
    replays.force,
    replays.from_keys,
    replays.rate,
    replays.max_live_lag,
    replays.chunk_size,
    replays.requested_by
FROM vectrue.replays
WHERE starts_with(replays.run::text, %(prefix)s)
    AND (NOT %(unfinished)s OR replays.state IN ('planned', 'running', 'paused'))
    AND (%(columns)s::text[] IS NULL OR EXISTS (
        SELECT FROM vectrue.replay_scopes AS scopes
        WHERE scopes.run = replays.run AND scopes.table_name || '.' || scopes.column_name = ANY (%(columns)s)
    ))
ORDER BY replays.created_at DESC
LIMIT %(limit)s
