-- Tables whose changes may have been missed.

-- name: ask_look
-- Have the keeper look at all rows of these tables. If it was asked before, the later reason is shown.
INSERT INTO vectrue.looks (prefix, table_name, reason)
SELECT %(prefix)s, asked.table_name, %(reason)s FROM unnest(%(tables)s::text[]) AS asked (table_name)
ON CONFLICT (prefix, table_name) DO UPDATE SET reason = excluded.reason, asked_at = clock_timestamp()

-- name: pending_looks
-- Tables that the keeper has not looked at yet, the longest wait first.
SELECT table_name, reason, asked_at, greatest(extract(epoch FROM clock_timestamp() - asked_at), 0)::double precision
FROM vectrue.looks
WHERE prefix = %(prefix)s
ORDER BY asked_at, table_name

-- name: end_look
-- End a look at a table, unless another one was asked for meanwhile.
DELETE FROM vectrue.looks WHERE prefix = %(prefix)s AND table_name = %(table)s AND asked_at <= %(asked_at)s
