-- A chunk of a run as it was entered; no line when the run was cancelled or is not known.
SELECT chunks.table_name, chunks.column_name, chunks.model, chunks.keys
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.run = %(run)s AND chunks.chunk = %(number)s AND replays.state <> 'cancelled'
