-- What one worker did in the last run that embedded rows of this column with this model: rows per second of work, in the
-- middle one of its chunks, so that a table that was locked or a worker that was stopped in one of them does not count.
-- A run that ever had a limit measures nothing: under one, few rows are embedded at a time.
SELECT
    chunks.run::text,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY chunks.embedded / chunks.busy_seconds) AS rate
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.table_name = %(table)s AND chunks.column_name = %(column)s AND chunks.model = %(model)s
    AND chunks.embedded > 0 AND chunks.busy_seconds > 0
    AND replays.rate IS NULL AND replays.next_slot IS NULL
GROUP BY chunks.run, replays.created_at
HAVING sum(chunks.embedded) >= 50
ORDER BY replays.created_at DESC
LIMIT 1
