-- Takes a vector column away with its provenance and its indexes; the rows keep their bytes until they are rewritten.
ALTER TABLE {table}
    DROP COLUMN IF EXISTS {column},
    DROP COLUMN IF EXISTS {hash_column},
    DROP COLUMN IF EXISTS {model_column},
    DROP COLUMN IF EXISTS {time_column},
    DROP COLUMN IF EXISTS {digest_column};
DELETE FROM vectrue.targets WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}
