-- Share of NULLs in a column, 0 to 1, as the planner knows it; NULL where the table was never analysed with this column.
SELECT max(null_frac) FROM pg_stats
WHERE schemaname = %(schema)s AND tablename = %(table)s AND attname = %(column)s
