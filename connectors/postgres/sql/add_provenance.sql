-- NULL until the first embedding and without a default: nothing is rewritten.
ALTER TABLE {table}
    ADD COLUMN IF NOT EXISTS {hash_column} bytea,
    ADD COLUMN IF NOT EXISTS {model_column} text,
    ADD COLUMN IF NOT EXISTS {time_column} timestamptz,
    ADD COLUMN IF NOT EXISTS {digest_column} bytea
