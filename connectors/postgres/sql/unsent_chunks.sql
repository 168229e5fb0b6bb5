-- Chunks of a run to send: never sent or returned, or (all) every one that is not handled, since its message may be lost.
SELECT chunk, table_name, column_name, model, keys
FROM vectrue.replay_chunks
WHERE run = %(run)s AND done_keys < total_keys AND chunk > %(after)s AND (%(all)s OR returned OR sent_at IS NULL)
ORDER BY chunk
LIMIT %(limit)s
