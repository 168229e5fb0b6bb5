-- The highest chunk number of a run; 0 for none.
SELECT coalesce(max(chunk), 0) FROM vectrue.replay_chunks WHERE run = %(run)s
