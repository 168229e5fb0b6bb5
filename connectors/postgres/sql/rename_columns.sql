-- The served column steps aside and the other one takes its name, provenance, target and quarantine with them.
-- Catalogue changes only: nothing is rewritten.
ALTER TABLE {table} RENAME COLUMN {column} TO {aside};
ALTER TABLE {table} RENAME COLUMN {hash_column} TO {aside_hash};
ALTER TABLE {table} RENAME COLUMN {model_column} TO {aside_model};
ALTER TABLE {table} RENAME COLUMN {time_column} TO {aside_time};
ALTER TABLE {table} RENAME COLUMN {digest_column} TO {aside_digest};
ALTER TABLE {table} RENAME COLUMN {coming} TO {column};
ALTER TABLE {table} RENAME COLUMN {coming_hash} TO {hash_column};
ALTER TABLE {table} RENAME COLUMN {coming_model} TO {model_column};
ALTER TABLE {table} RENAME COLUMN {coming_time} TO {time_column};
ALTER TABLE {table} RENAME COLUMN {coming_digest} TO {digest_column};
UPDATE vectrue.targets SET column_name = {aside_literal}, updated_at = now()
WHERE table_name = {table_literal} AND column_name = {column_literal};
UPDATE vectrue.targets SET column_name = {column_literal}, updated_at = now()
WHERE table_name = {table_literal} AND column_name = {coming_literal};
UPDATE vectrue.quarantine SET column_name = {aside_literal}
WHERE table_name = {table_literal} AND column_name = {column_literal};
UPDATE vectrue.quarantine SET column_name = {column_literal}
WHERE table_name = {table_literal} AND column_name = {coming_literal}
