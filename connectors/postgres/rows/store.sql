-- Read rows, write vectors, and advance a chunk, in the order of a write.

-- name: running
-- Which of these transactions (32-bit ids) this server still runs, including prepared ones and those waiting for a standby.
SELECT transactionid::text::bigint
FROM pg_locks
WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
    AND transactionid::text::bigint = ANY (%(xids)s::bigint[])

-- name: cast_keys
-- Cast keys to their columns' types; an error if one is not a value of its type. Reads no table.
SELECT {key_arrays}

-- name: read_rows
-- Rows by key, and the snapshot of this statement. One line per key, with NULLs for a key without a row.
SELECT pg_current_snapshot()::text, our_asked.our_ord::integer, found.*
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (
    SELECT
        coalesce(left(doc.text, %(characters)s), '') AS text,
        coalesce(left(doc.text, {blank_within}) !~ {not_blank}, true) AS blank,
        sha256(convert_to(doc.text, 'UTF8')) AS hash,
        doc.stored_hash,
        doc.stored_model,
        doc.vector,
        EXISTS (
            SELECT FROM vectrue.quarantine AS our_line
            WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal} AND our_line.key = doc.key
                AND our_line.model = %(model)s AND our_line.hash = sha256(convert_to(doc.text, 'UTF8'))
        ) AS quarantined,
        doc.tied
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text once per column above
    ) AS doc
) AS found ON true

-- name: lock_rows
-- Take the row locks of an UPDATE that changes no key, without waiting: a row that another transaction holds is left out.
SELECT our_asked.our_ord::integer
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
CROSS JOIN LATERAL (
    SELECT FROM {table} WHERE {key_match} FOR NO KEY UPDATE SKIP LOCKED
) AS locked

-- name: stage
-- The table from which the UPDATE takes the vectors, within a transaction. It has the column's own type and length.
CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS
SELECT 0 AS our_ord, {column} AS our_vector FROM {table} WITH NO DATA

-- name: copy_stage
-- Binary COPY prints and parses no number: 18 times faster than VALUES (docs/architecture/correctness.md).
COPY {stage} (our_ord, our_vector) FROM STDIN WITH (FORMAT binary)

-- name: write_vectors
-- Compare and set: only if the text still has the hash that was embedded, and model and expression are the wanted ones.
-- CASE: the text of the asked rows alone is evaluated, however the planner joins them, since another row's may raise an error.
-- The staged rows were written under this savepoint, so their xmin is that of the rows that are written.
UPDATE {table}
SET {column} = our_stage.our_vector,
    {hash_column} = our_asked.our_hash,
    {model_column} = %(model)s,
    {time_column} = clock_timestamp(),
    {digest_column} = our_asked.our_digest || xidsend(our_stage.xmin)
FROM unnest({key_arrays}, %(ords)s::integer[], %(hashes)s::bytea[], %(digests)s::bytea[])
    AS our_asked ({key_names}, our_ord, our_hash, our_digest)
JOIN {stage} AS our_stage USING (our_ord)
WHERE {key_match}
    AND CASE WHEN {key_match} THEN sha256(convert_to(({text}
        )::text, 'UTF8')) = our_asked.our_hash END
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s AND wanted.text_digest = {text_digest}
    )
RETURNING our_asked.our_ord

-- name: clear_vectors
-- A row without text has no vector: clear it if the text is still blank. CASE as in write_vectors.
UPDATE {table}
SET {column} = NULL, {hash_column} = NULL, {model_column} = NULL, {time_column} = NULL,
    {digest_column} = NULL
FROM unnest({key_arrays}, %(ords)s::integer[]) AS our_asked ({key_names}, our_ord)
WHERE {key_match}
    AND CASE WHEN {key_match} THEN coalesce(left(({text}
        )::text, {blank_within}) !~ {not_blank}, true) END
    AND EXISTS (
        SELECT FROM vectrue.targets AS wanted
        WHERE wanted.table_name = %(table)s AND wanted.column_name = %(column)s
            AND wanted.model = %(model)s AND wanted.dimensions = %(dimensions)s AND wanted.text_digest = {text_digest}
    )
RETURNING our_asked.our_ord

-- name: trigger_changes
-- What BEFORE and AFTER triggers of the table made of rows just written: whether text and vector are as asked, and the hash of
-- the text now. A NULL hash asks for no text, a NULL digest for no vector. A table without such triggers is not read.
SELECT our_asked.our_ord,
    CASE WHEN our_asked.our_hash IS NULL THEN coalesce(left(our_now.our_text, {blank_within}) !~ {not_blank}, true)
    ELSE our_now.our_text_hash IS NOT DISTINCT FROM our_asked.our_hash END,
    vectrue.vector_digest({column}) IS NOT DISTINCT FROM our_asked.our_digest,
    our_now.our_text_hash
FROM unnest({key_arrays}, %(ords)s::integer[], %(hashes)s::bytea[], %(digests)s::bytea[])
    AS our_asked ({key_names}, our_ord, our_hash, our_digest)
JOIN {table} ON {key_match}
CROSS JOIN LATERAL (
    SELECT our_made.our_text, sha256(convert_to(our_made.our_text, 'UTF8')) AS our_text_hash
    FROM (
        SELECT ({text}
        )::text AS our_text
        OFFSET 0 -- keeps the planner from evaluating the text once per use
    ) AS our_made
    OFFSET 0
) AS our_now
WHERE EXISTS (
    SELECT FROM pg_trigger AS our_trigger
    WHERE NOT our_trigger.tgisinternal AND our_trigger.tgtype & 16 <> 0 -- 16 = TRIGGER_TYPE_UPDATE of pg_trigger.h
        AND our_trigger.tgrelid IN (
            SELECT %(relation)s::regclass UNION ALL SELECT relid FROM pg_partition_tree(%(relation)s::regclass)
        )
)

-- name: disown_rows
-- Delete the provenance of vectors that a trigger put in place of ours, since it does not describe them.
UPDATE {table}
SET {hash_column} = NULL, {model_column} = NULL, {digest_column} = NULL
FROM unnest({key_arrays}, %(ords)s::integer[]) AS our_asked ({key_names}, our_ord)
WHERE {key_match}
RETURNING our_asked.our_ord

-- name: release_rows
-- A row that was written leaves quarantine.
DELETE FROM vectrue.quarantine AS our_line
USING unnest({key_arrays}) AS our_asked ({key_names})
JOIN {table} ON {key_match}
WHERE our_line.table_name = {table_literal} AND our_line.column_name = {column_literal} AND our_line.key = ARRAY[{keys_as_text}]

-- name: quarantine_rows
-- Put rows into quarantine, if they still have the refused text. The key is in the table's own text form.
INSERT INTO vectrue.quarantine AS our_line (table_name, column_name, key, hash, model, reason, attempts)
SELECT {table_literal}, {column_literal}, ARRAY[{keys_as_text}], CASE WHEN {unreadable} THEN '' ELSE our_asked.our_hash END, %(model)s,
    our_asked.our_reason, our_asked.our_attempts
FROM unnest({key_arrays}, %(hashes)s::bytea[], %(reasons)s::text[], %(attempts)s::integer[])
    AS our_asked ({key_names}, our_hash, our_reason, our_attempts)
JOIN {table} ON {key_match}{tried}
WHERE {unreadable} OR sha256(convert_to(({text}
    )::text, 'UTF8')) = our_asked.our_hash
ON CONFLICT (table_name, column_name, key) DO UPDATE
SET hash = excluded.hash,
    model = excluded.model,
    reason = excluded.reason,
    attempts = CASE WHEN (our_line.hash, our_line.model) = (excluded.hash, excluded.model) THEN our_line.attempts ELSE 0 END + excluded.attempts,
    first_at = CASE WHEN (our_line.hash, our_line.model) = (excluded.hash, excluded.model) THEN our_line.first_at ELSE now() END,
    last_at = now()

-- name: entered_chunk
-- A chunk of a run as it was entered; no line if the run was cancelled or is not known.
SELECT chunks.table_name, chunks.column_name, chunks.model, chunks.keys
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.run = %(run)s AND chunks.chunk = %(number)s AND replays.state <> 'cancelled'

-- name: chunk_position
-- How many keys of a chunk are handled, and what its run wants now; no line if the run was cancelled or is not known.
SELECT chunks.done_keys, replays.state, replays.rate, replays.max_live_lag, replays.force
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.run = %(run)s AND chunks.chunk = %(number)s AND replays.state <> 'cancelled'

-- name: take_slot
-- Take a slot for some rows under the rate that all workers of a run share; returns the seconds until they may start.
UPDATE vectrue.replays
SET next_slot = greatest(next_slot, clock_timestamp()) + make_interval(secs => %(rows)s / rate)
WHERE run = %(run)s AND rate IS NOT NULL
RETURNING extract(epoch FROM next_slot - make_interval(secs => %(rows)s / rate) - clock_timestamp())::double precision

-- name: note_wait
-- Note why a worker waits, for commands that report it; NULL once it continues.
UPDATE vectrue.replays
SET waiting = %(reason)s,
    waiting_since = CASE WHEN %(reason)s IS NOT NULL THEN coalesce(waiting_since, clock_timestamp()) END,
    waiting_at = CASE WHEN %(reason)s IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s

-- name: advance_chunk
-- Advance a chunk in the transaction that writes its vectors. Changes nothing if the chunk is not where the writer expects it.
UPDATE vectrue.replay_chunks
SET done_keys = done_keys + %(handled)s,
    embedded = embedded + %(embedded)s,
    cleared = cleared + %(cleared)s,
    current = current + %(current)s,
    blank = blank + %(blank)s,
    gone = gone + %(gone)s,
    changed = changed + %(changed)s,
    deferred = deferred + %(deferred)s,
    quarantined = quarantined + %(quarantined)s,
    failed = failed + %(failed)s,
    obsolete = obsolete + %(obsolete)s,
    busy_seconds = busy_seconds + %(seconds)s,
    done_at = CASE WHEN done_keys + %(handled)s = total_keys THEN now() END
WHERE run = %(run)s AND chunk = %(number)s AND done_keys = %(start)s

-- name: return_chunk
-- Return a chunk to its paused run. FOR SHARE makes this and a resume wait for each other: either the resume sees the chunk as
-- returned, or the worker sees the run as running and keeps the chunk.
WITH paused AS (
    SELECT run FROM vectrue.replays WHERE run = %(run)s AND state = 'paused' FOR SHARE
)
UPDATE vectrue.replay_chunks AS chunks
SET returned = true
FROM paused
WHERE chunks.run = paused.run AND chunks.chunk = %(number)s
RETURNING chunks.chunk

-- name: finish_replay
-- End a run if all its columns are enumerated and all its chunks are handled.
UPDATE vectrue.replays AS replays
SET state = 'done', finished_at = now()
WHERE run = %(run)s AND state IN ('running', 'paused')
    AND NOT EXISTS (SELECT FROM vectrue.replay_scopes AS scopes WHERE scopes.run = replays.run AND NOT scopes.enumerated)
    AND NOT EXISTS (SELECT FROM vectrue.replay_chunks AS chunks
                    WHERE chunks.run = replays.run AND chunks.done_keys < chunks.total_keys)
