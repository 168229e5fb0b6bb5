-- Have the keeper look at all rows of these tables, whatever was asked before; a later reason is the one that is shown.
INSERT INTO vectrue.looks (prefix, table_name, reason)
SELECT %(prefix)s, asked.table_name, %(reason)s FROM unnest(%(tables)s::text[]) AS asked (table_name)
ON CONFLICT (prefix, table_name) DO UPDATE SET reason = excluded.reason, asked_at = clock_timestamp()
