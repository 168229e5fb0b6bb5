INSERT INTO embedsync.targets (table_name, column_name, model, dimensions)
VALUES ({table_literal}, {column_literal}, {model}, {dimensions})
ON CONFLICT (table_name, column_name)
DO UPDATE SET model = excluded.model, dimensions = excluded.dimensions, updated_at = now()
