-- Chunks of a run that are not handled: those never sent, or (all) also those whose message may have been lost.
SELECT chunk, table_name, column_name, model, keys
FROM embedsync.replay_chunks
WHERE run = %(run)s AND done_keys < total_keys AND (%(all)s OR sent_at IS NULL)
ORDER BY chunk
