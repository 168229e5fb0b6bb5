INSERT INTO vectrue.table_marks (prefix, table_name, mark) VALUES (%(prefix)s, %(table)s, %(mark)s)
ON CONFLICT (prefix, table_name) DO UPDATE SET mark = excluded.mark, noted_at = clock_timestamp()
