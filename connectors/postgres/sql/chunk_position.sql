-- How many keys of a chunk are handled, and what its run wants now; no line when the run was cancelled or is not known.
SELECT chunks.done_keys, replays.state, replays.rate, replays.max_live_lag, replays.force
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.run = %(run)s AND chunks.chunk = %(number)s AND replays.state <> 'cancelled'
