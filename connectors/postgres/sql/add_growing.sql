-- NULL and without a default, so nothing is rewritten; without an index, so the backfill is as fast as it can be.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {beside} {type}
