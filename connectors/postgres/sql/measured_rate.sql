-- What one worker did in the last run that embedded rows of this column with this model: rows per second of work.
SELECT chunks.run::text, (sum(chunks.embedded) / sum(chunks.busy_seconds))::double precision AS rate
FROM embedsync.replay_chunks AS chunks
JOIN embedsync.replays AS replays USING (run)
WHERE chunks.table_name = %(table)s AND chunks.column_name = %(column)s AND chunks.model = %(model)s
    AND chunks.embedded > 0 AND chunks.busy_seconds > 0
GROUP BY chunks.run, replays.created_at
HAVING sum(chunks.embedded) >= 50
ORDER BY replays.created_at DESC
LIMIT 1
