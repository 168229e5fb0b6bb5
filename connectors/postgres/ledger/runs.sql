-- Replay runs: create them, enter chunks, steer them, and see how far they are.

-- name: create_replay
-- Create a run. It is only planned while its keys are being read.
INSERT INTO vectrue.replays
    (run, scope, state, where_text, since, force, from_keys, requested_by, chunk_size, rate, max_live_lag)
VALUES (
    %(run)s, %(only)s, CASE WHEN %(keys)s THEN 'planned' ELSE 'running' END, %(where)s, %(since)s, %(force)s, %(keys)s,
    %(requested_by)s, %(chunk_size)s, %(rate)s, %(max_live_lag)s
)

-- name: create_scope
-- Add a column to a run, with the number of rows that it is expected to send.
INSERT INTO vectrue.replay_scopes (run, table_name, column_name, model, expected)
VALUES (%(run)s, %(table)s, %(column)s, %(model)s, %(expected)s)

-- name: add_chunk
-- Enter chunks with their keys before they are sent: a crash in between loses nothing.
INSERT INTO vectrue.replay_chunks (run, chunk, table_name, column_name, model, keys, total_keys)
VALUES %s

-- name: enter_replay
-- Before a run is entered, its columns are checked for other runs. This lock makes two commands wait for each other's commit.
INSERT INTO vectrue.locks (name) VALUES ('replays') ON CONFLICT (name) DO UPDATE SET taken_at = clock_timestamp()

-- name: end_of_keys
-- All keys of a file are entered: the number of rows is known, and the run may be sent.
WITH counted AS (
    UPDATE vectrue.replay_scopes AS scopes
    SET enumerated = true,
        expected = (SELECT coalesce(sum(chunks.total_keys), 0) FROM vectrue.replay_chunks AS chunks
                    WHERE chunks.run = %(run)s AND (chunks.table_name, chunks.column_name) = (scopes.table_name, scopes.column_name))
    WHERE scopes.run = %(run)s
)
UPDATE vectrue.replays SET state = 'running' WHERE run = %(run)s AND state = 'planned'
RETURNING run::text

-- name: move_cursor
-- Move the cursor of a column, in the transaction that adds the chunks, unless another command moved it meanwhile.
UPDATE vectrue.replay_scopes
SET cursor_key = coalesce(%(cursor)s, cursor_key), enumerated = %(enumerated)s
WHERE run = %(run)s AND table_name = %(table)s AND column_name = %(column)s
    AND NOT enumerated AND cursor_key IS NOT DISTINCT FROM %(before)s::text[]

-- name: mark_sent
-- The broker has acknowledged these chunks.
UPDATE vectrue.replay_chunks SET sent_at = now() WHERE run = %(run)s AND chunk = ANY (%(chunks)s)

-- name: unmark_sent
-- Before chunks are sent again: if the sender dies, they count as not sent.
UPDATE vectrue.replay_chunks SET sent_at = NULL, returned = false
WHERE run = %(run)s AND chunk = ANY (%(chunks)s) AND done_keys < total_keys

-- name: unsent_chunks
-- Chunks of a run to send: those never sent or returned; with `all`, every chunk that is not handled, since its message may be lost.
SELECT chunk, table_name, column_name, model, keys
FROM vectrue.replay_chunks
WHERE run = %(run)s AND done_keys < total_keys AND chunk > %(after)s AND (%(all)s OR returned OR sent_at IS NULL)
ORDER BY chunk
LIMIT %(limit)s

-- name: last_chunk
-- The highest chunk number of a run; 0 for none.
SELECT coalesce(max(chunk), 0) FROM vectrue.replay_chunks WHERE run = %(run)s

-- name: give_way
-- A run that a person asks for replaces those of the keeper over these columns. Unless it covers all stale rows, the keeper looks
-- at the table again afterwards.
WITH ended AS (
    UPDATE vectrue.replays
    SET state = 'cancelled', finished_at = now(), waiting = NULL, waiting_since = NULL, waiting_at = NULL, next_slot = NULL
    WHERE requested_by = 'keeper' AND state = 'running' AND EXISTS (
        SELECT FROM vectrue.replay_scopes AS scopes
        WHERE scopes.run = replays.run AND scopes.table_name || '.' || scopes.column_name = ANY (%(columns)s)
    )
    RETURNING run
)
INSERT INTO vectrue.looks (prefix, table_name, reason)
SELECT DISTINCT counted.prefix, counted.table_name, 'a run that was asked for took the place of the keeper''s'
FROM ended
JOIN vectrue.replay_scopes AS scopes ON scopes.run = ended.run
JOIN vectrue.counted ON counted.table_name = scopes.table_name AND counted.column_name = scopes.column_name
WHERE NOT %(covers)s
ON CONFLICT (prefix, table_name) DO UPDATE SET reason = excluded.reason, asked_at = clock_timestamp()

-- name: set_replay_state
-- Pause, resume or cancel a run, if it is in one of the states from which that is possible.
UPDATE vectrue.replays
SET state = %(state)s,
    finished_at = CASE WHEN %(state)s = 'cancelled' THEN now() END,
    waiting = NULL, waiting_since = NULL, waiting_at = NULL,
    next_slot = CASE WHEN next_slot IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s AND state = ANY (%(from)s)
RETURNING run::text

-- name: set_replay_limits
-- Change the limits of a run. The slots of the old rate are dropped, or a higher rate would wait for them. next_slot stays
-- non-NULL, so that measured_rate still knows that there was a limit.
UPDATE vectrue.replays
SET rate = CASE WHEN %(set_rate)s THEN %(rate)s ELSE rate END,
    max_live_lag = CASE WHEN %(set_lag)s THEN %(max_live_lag)s ELSE max_live_lag END,
    next_slot = CASE WHEN next_slot IS NOT NULL THEN clock_timestamp() END
WHERE run = %(run)s AND state IN ('planned', 'running', 'paused')
RETURNING run::text

-- name: replays
-- Runs, newest first: those with this prefix of their id, with one of these columns, or unfinished ones.
SELECT
    replays.run::text,
    replays.state,
    replays.created_at,
    replays.finished_at,
    CASE WHEN replays.state = 'running' AND replays.waiting_at > now() - interval '15 seconds' THEN replays.waiting END AS waiting,
    extract(epoch FROM replays.waiting_at - replays.waiting_since)::double precision AS waiting_seconds,
    (SELECT array_agg(scopes.table_name || '.' || scopes.column_name ORDER BY 1)
     FROM vectrue.replay_scopes AS scopes WHERE scopes.run = replays.run) AS columns,
    replays.scope,
    replays.where_text,
    replays.since,
    replays.force,
    replays.from_keys,
    replays.rate,
    replays.max_live_lag,
    replays.chunk_size,
    replays.requested_by
FROM vectrue.replays
WHERE starts_with(replays.run::text, %(prefix)s)
    AND (NOT %(unfinished)s OR replays.state IN ('planned', 'running', 'paused'))
    AND (%(columns)s::text[] IS NULL OR EXISTS (
        SELECT FROM vectrue.replay_scopes AS scopes
        WHERE scopes.run = replays.run AND scopes.table_name || '.' || scopes.column_name = ANY (%(columns)s)
    ))
ORDER BY replays.created_at DESC
LIMIT %(limit)s

-- name: replay_progress
-- How far a run is, by column.
SELECT
    scopes.table_name,
    scopes.column_name,
    replays.state,
    scopes.expected,
    scopes.enumerated,
    coalesce(sum(chunks.total_keys), 0)::bigint AS sent,
    coalesce(sum(chunks.done_keys), 0)::bigint AS done,
    coalesce(sum(chunks.embedded), 0)::bigint AS embedded,
    coalesce(sum(chunks.cleared), 0)::bigint AS cleared,
    coalesce(sum(chunks.current), 0)::bigint AS current,
    coalesce(sum(chunks.blank), 0)::bigint AS blank,
    coalesce(sum(chunks.gone), 0)::bigint AS gone,
    coalesce(sum(chunks.changed), 0)::bigint AS changed,
    coalesce(sum(chunks.deferred), 0)::bigint AS deferred,
    coalesce(sum(chunks.quarantined), 0)::bigint AS quarantined,
    coalesce(sum(chunks.failed), 0)::bigint AS failed,
    coalesce(sum(chunks.obsolete), 0)::bigint AS obsolete,
    CASE WHEN replays.state = 'running' AND replays.waiting_at > now() - interval '15 seconds' THEN replays.waiting END AS waiting
FROM vectrue.replays AS replays
JOIN vectrue.replay_scopes AS scopes USING (run)
LEFT JOIN vectrue.replay_chunks AS chunks USING (run, table_name, column_name)
WHERE replays.run = %(run)s
GROUP BY scopes.table_name, scopes.column_name, replays.run, scopes.expected, scopes.enumerated
ORDER BY scopes.table_name, scopes.column_name

-- name: scopes_of_replay
-- The columns of a run and how far each was enumerated.
SELECT table_name, column_name, model, expected, cursor_key, enumerated
FROM vectrue.replay_scopes
WHERE run = %(run)s
ORDER BY table_name, column_name

-- name: replay_of_tables
-- Unfinished runs that have a column of one of these tables, those of people first. `yields`: a run of the keeper, which gives way.
SELECT DISTINCT replays.run::text, replays.state, replays.requested_by = 'keeper' AND replays.state = 'running' AS yields,
    scopes.table_name
FROM vectrue.replays AS replays
JOIN vectrue.replay_scopes AS scopes USING (run)
WHERE replays.state NOT IN ('done', 'cancelled') AND scopes.table_name = ANY (%(tables)s)
ORDER BY yields, 1, 4

-- name: replay_speed
-- Rows per second of a run over the last two minutes, by the chunks that were finished in them: for each column, and in total.
SELECT
    table_name || '.' || column_name AS column,
    sum(total_keys) / greatest(1, extract(epoch FROM now() - greatest(now() - interval '2 minutes', min(sent_at))))::double precision
FROM vectrue.replay_chunks
WHERE run = %(run)s AND done_at > now() - interval '2 minutes'
GROUP BY GROUPING SETS ((table_name, column_name), ())

-- name: measured_rate
-- How fast one worker was in the last run that embedded rows of this column with this model: rows per second of work, as the
-- median of its chunks, so that a locked table or a suspended worker does not count. Runs that ever had a rate limit are left out:
-- under a limit, few rows are embedded at a time.
SELECT
    chunks.run::text,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY chunks.embedded / chunks.busy_seconds) AS rate
FROM vectrue.replay_chunks AS chunks
JOIN vectrue.replays AS replays USING (run)
WHERE chunks.table_name = %(table)s AND chunks.column_name = %(column)s AND chunks.model = %(model)s
    AND chunks.embedded > 0 AND chunks.busy_seconds > 0
    AND replays.rate IS NULL AND replays.next_slot IS NULL
GROUP BY chunks.run, replays.created_at
HAVING sum(chunks.embedded) >= 50
ORDER BY replays.created_at DESC
LIMIT 1

-- name: dead_rows
-- Live row versions, and dead ones that VACUUM would free, in a table with its partitions; by the statistics.
SELECT
    coalesce(sum(tables.n_live_tup), 0)::bigint AS live,
    coalesce(sum(tables.n_dead_tup), 0)::bigint AS dead,
    coalesce(sum(pg_total_relation_size(tables.relid)), 0)::bigint AS bytes,
    coalesce(bool_or(tables.last_autovacuum > now() - interval '1 minute'), false) AS vacuumed
FROM pg_stat_all_tables AS tables
WHERE tables.relid = %(table)s::regclass
    OR tables.relid IN (SELECT relid FROM pg_partition_tree(%(table)s::regclass))

-- name: run_under_way
-- The oldest unfinished run over a table, whether the keeper can resume it, and how far it is.
SELECT
    replays.run::text,
    replays.requested_by = 'keeper' AND replays.state = 'running' AS resumable,
    (SELECT coalesce(sum(chunks.done_keys), 0)::bigint FROM vectrue.replay_chunks AS chunks WHERE chunks.run = replays.run) AS done
FROM vectrue.replays AS replays
WHERE replays.state IN ('planned', 'running', 'paused')
    AND EXISTS (SELECT FROM vectrue.replay_scopes AS scopes
                WHERE scopes.run = replays.run AND scopes.table_name = %(table)s)
ORDER BY replays.created_at
LIMIT 1
