-- One rewrite of the table, under a lock that nothing passes: all vectors go, and the column takes the new length.
ALTER TABLE {table}
    ALTER COLUMN {column} TYPE {type} USING NULL::{type},
    ALTER COLUMN {hash_column} TYPE bytea USING NULL::bytea,
    ALTER COLUMN {model_column} TYPE text USING NULL::text,
    ALTER COLUMN {time_column} TYPE timestamptz USING NULL::timestamptz,
    ALTER COLUMN {digest_column} TYPE bytea USING NULL::bytea;
UPDATE vectrue.targets SET model = {to_model}, dimensions = {to_dimensions}, updated_at = now()
WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}
