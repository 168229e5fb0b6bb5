-- Before chunks are sent again: should the sender die, they count as not sent.
UPDATE vectrue.replay_chunks SET sent_at = NULL, returned = false
WHERE run = %(run)s AND chunk = ANY (%(chunks)s) AND done_keys < total_keys
