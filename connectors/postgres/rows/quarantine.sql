-- Rows in quarantine and marks of dead letters.

-- name: quarantined
-- The rows in quarantine, oldest first.
SELECT table_name, column_name, key, reason, attempts, first_at, last_at
FROM vectrue.quarantine
ORDER BY last_at, table_name, column_name, key

-- name: row_states
-- The state of rows by key; NULL for a key without a row.
SELECT our_asked.our_ord::integer, found.state
FROM unnest({key_arrays}) WITH ORDINALITY AS our_asked ({key_names}, our_ord)
LEFT JOIN LATERAL (
    SELECT {row_state} AS state
    FROM (
        SELECT
            {doc}
        FROM {table}{tried}
        WHERE {key_match}
        OFFSET 0 -- keeps the planner from evaluating the text more than once
    ) AS doc
    CROSS JOIN (SELECT %(model)s::text AS model) AS wanted
) AS found ON true

-- name: leave_quarantine
-- Take rows out of quarantine: they count as missing or stale from now on, and are retried with the next look at them.
DELETE FROM vectrue.quarantine
WHERE table_name = %(table)s AND column_name = %(column)s
    AND key IN (SELECT array(SELECT jsonb_array_elements_text(asked.key)) FROM jsonb_array_elements(%(keys)s::jsonb) AS asked (key))

-- name: marked_dead_letters
-- What was done about dead letters.
SELECT id, state, seen_at, outcome FROM vectrue.dead_letters

-- name: mark_dead_letters
-- Record what was done about dead letters, and later what came of it.
INSERT INTO vectrue.dead_letters (id, state, seen_at, outcome, prefix)
VALUES %s
ON CONFLICT (id) DO UPDATE SET state = excluded.state, seen_at = excluded.seen_at, outcome = excluded.outcome,
    prefix = excluded.prefix, at = now()

-- name: forget_dead_letters
-- Delete marks of dead letters that the installation's topic no longer holds. Marks of an older version have no prefix.
DELETE FROM vectrue.dead_letters
WHERE coalesce(prefix, %(prefix)s) = %(prefix)s AND id <> ALL (%(present)s) AND at < now() - interval '1 hour'
