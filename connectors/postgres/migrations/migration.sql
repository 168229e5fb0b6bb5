-- The steps of a migration of a vector column.

-- name: open_migrations
-- Columns that are being migrated from one model to another; with `finished`, finished migrations too.
SELECT table_name, column_name, state, offline, frozen, from_model, from_dimensions, to_model, to_dimensions, indexes,
    from_settings, to_settings
FROM vectrue.column_migrations
WHERE state IN ('started', 'swapped') OR (%(finished)s AND state = 'finished')
ORDER BY table_name, column_name

-- name: record_migration
-- The first step of a migration.
INSERT INTO vectrue.column_migrations
    (table_name, column_name, offline, frozen, from_model, from_dimensions, to_model, to_dimensions,
     from_settings, to_settings, indexes)
VALUES
    ({table_literal}, {column_literal}, {offline}, {frozen}, {from_model}, {from_dimensions}, {to_model}, {to_dimensions},
     {from_settings}, {to_settings}, {indexes})

-- name: move_migration
-- Move a migration to another state.
UPDATE vectrue.column_migrations
SET state = {state},
    swapped_at = CASE {state} WHEN 'swapped' THEN now() WHEN 'started' THEN NULL ELSE swapped_at END,
    ended_at = CASE WHEN {state} IN ('finished', 'rolled_back') THEN now() END
WHERE table_name = {table_literal} AND column_name = {column_literal} AND state IN ('started', 'swapped')

-- name: add_growing
-- Nullable and without a default, so that no row is rewritten; without an index, so that the backfill is as fast as possible.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {beside} {type}

-- name: rename_columns
-- The served column gets another name and the other one takes its name, both with provenance, target and quarantine.
-- These are changes of the catalogue alone: no row is rewritten.
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

-- name: drop_columns
-- Drop a vector column with its provenance and its indexes. The rows keep their bytes until they are rewritten.
ALTER TABLE {table}
    DROP COLUMN IF EXISTS {column},
    DROP COLUMN IF EXISTS {hash_column},
    DROP COLUMN IF EXISTS {model_column},
    DROP COLUMN IF EXISTS {time_column},
    DROP COLUMN IF EXISTS {digest_column};
DELETE FROM vectrue.targets WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}

-- name: empty_column
-- One rewrite of the table under ACCESS EXCLUSIVE: all vectors are deleted, and the column gets the new length.
ALTER TABLE {table}
    ALTER COLUMN {column} TYPE {type} USING NULL::{type},
    ALTER COLUMN {hash_column} TYPE bytea USING NULL::bytea,
    ALTER COLUMN {model_column} TYPE text USING NULL::text,
    ALTER COLUMN {time_column} TYPE timestamptz USING NULL::timestamptz,
    ALTER COLUMN {digest_column} TYPE bytea USING NULL::bytea;
UPDATE vectrue.targets SET model = {to_model}, dimensions = {to_dimensions}, updated_at = now()
WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}

-- name: freeze_migration
-- Note that the old vectors are no longer kept true.
UPDATE vectrue.column_migrations SET frozen = true
WHERE table_name = {table_literal} AND column_name = {column_literal} AND state = 'started' AND NOT offline

-- name: freeze_target
-- Stop keeping a column's vectors true, or start again.
UPDATE vectrue.targets SET frozen = {frozen}
WHERE table_name = {table_literal} AND column_name = {column_literal}

-- name: forget_column
-- Delete what is kept about a column whose table is gone.
DELETE FROM vectrue.targets WHERE table_name = {table_literal} AND column_name = {column_literal};
DELETE FROM vectrue.quarantine WHERE table_name = {table_literal} AND column_name = {column_literal}

-- name: null_share
-- Share of NULLs in a column, 0 to 1, by the planner's statistics; NULL if the table was never analysed with this column.
SELECT max(null_frac) FROM pg_stats
WHERE schemaname = %(schema)s AND tablename = %(table)s AND attname = %(column)s
