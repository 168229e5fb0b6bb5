-- A paused run gets its chunk back. The lock makes this and a resume take turns: either the resume sees the chunk as
-- returned, or the worker sees the run as running and keeps it.
WITH paused AS (
    SELECT run FROM vectrue.replays WHERE run = %(run)s AND state = 'paused' FOR SHARE
)
UPDATE vectrue.replay_chunks AS chunks
SET returned = true
FROM paused
WHERE chunks.run = paused.run AND chunks.chunk = %(number)s
RETURNING chunks.chunk
