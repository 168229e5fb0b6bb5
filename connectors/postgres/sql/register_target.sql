INSERT INTO vectrue.targets (table_name, column_name, model, dimensions, text_digest)
VALUES ({table_literal}, {column_literal}, {model}, {dimensions}, {text_digest})
ON CONFLICT (table_name, column_name)
DO UPDATE SET model = excluded.model, dimensions = excluded.dimensions, text_digest = excluded.text_digest, updated_at = now()
