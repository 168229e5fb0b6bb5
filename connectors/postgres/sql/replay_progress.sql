-- How far a run is, by column.
SELECT
    scopes.table_name,
    scopes.column_name,
    replays.state,
    scopes.expected,
    scopes.enumerated,
    coalesce(sum(chunks.total_keys), 0)::bigint AS sent,
    coalesce(sum(chunks.done_keys), 0)::bigint AS done,
    coalesce(sum(chunks.embedded), 0)::bigint AS embedded,
    coalesce(sum(chunks.cleared), 0)::bigint AS cleared,
    coalesce(sum(chunks.current), 0)::bigint AS current,
    coalesce(sum(chunks.blank), 0)::bigint AS blank,
    coalesce(sum(chunks.gone), 0)::bigint AS gone,
    coalesce(sum(chunks.changed), 0)::bigint AS changed,
    coalesce(sum(chunks.deferred), 0)::bigint AS deferred,
    coalesce(sum(chunks.quarantined), 0)::bigint AS quarantined,
    coalesce(sum(chunks.failed), 0)::bigint AS failed,
    coalesce(sum(chunks.obsolete), 0)::bigint AS obsolete,
    CASE WHEN replays.state = 'running' AND replays.waiting_at > now() - interval '15 seconds' THEN replays.waiting END AS waiting
FROM vectrue.replays AS replays
JOIN vectrue.replay_scopes AS scopes USING (run)
LEFT JOIN vectrue.replay_chunks AS chunks USING (run, table_name, column_name)
WHERE replays.run = %(run)s
GROUP BY scopes.table_name, scopes.column_name, replays.run, scopes.expected, scopes.enumerated
ORDER BY scopes.table_name, scopes.column_name
