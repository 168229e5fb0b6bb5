SELECT att.attname
FROM pg_index AS idx
CROSS JOIN LATERAL unnest(idx.indkey) WITH ORDINALITY AS pos (attnum, ord)
JOIN pg_attribute AS att ON att.attrelid = idx.indrelid AND att.attnum = pos.attnum
WHERE idx.indrelid = to_regclass(%(table)s) AND idx.indisprimary
ORDER BY pos.ord
