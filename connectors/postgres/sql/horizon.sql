-- Every transaction with an id below the first number is over, and what it wrote lies before the second one in the log.
-- The snapshot is taken before the position is read; the insert position, since a commit may be visible before its
-- record is written out.
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
