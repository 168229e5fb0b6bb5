-- How many keys of a chunk are handled; no line when its run was cancelled or is not known.
SELECT chunks.done_keys
FROM embedsync.replay_chunks AS chunks
JOIN embedsync.replays AS replays USING (run)
WHERE chunks.run = %(run)s AND chunks.chunk = %(number)s AND replays.state <> 'cancelled'
