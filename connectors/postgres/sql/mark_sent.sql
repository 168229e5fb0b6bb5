-- The broker has acknowledged these chunks.
UPDATE vectrue.replay_chunks SET sent_at = now() WHERE run = %(run)s AND chunk = ANY (%(chunks)s)
