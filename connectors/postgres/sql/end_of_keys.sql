-- All keys of a file are read: the column's rows are known, and the run may be sent.
WITH counted AS (
    UPDATE vectrue.replay_scopes AS scopes
    SET enumerated = true,
        expected = (SELECT coalesce(sum(chunks.total_keys), 0) FROM vectrue.replay_chunks AS chunks
                    WHERE chunks.run = %(run)s AND (chunks.table_name, chunks.column_name) = (scopes.table_name, scopes.column_name))
    WHERE scopes.run = %(run)s
)
UPDATE vectrue.replays SET state = 'running' WHERE run = %(run)s AND state = 'planned'
RETURNING run::text
