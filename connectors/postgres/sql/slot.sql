-- The replication slot %(slot)s: one line, or none when it does not exist. Readable by every role.
-- On a standby pg_current_wal_lsn() is an error; its replay position stands in.
SELECT
    slot.active,
    slot.wal_status,
    pg_wal_lsn_diff(position.lsn, slot.confirmed_flush_lsn)::bigint AS unconfirmed_bytes,
    pg_wal_lsn_diff(position.lsn, slot.restart_lsn)::bigint AS retained_bytes,
    slot.safe_wal_size
FROM pg_replication_slots AS slot
CROSS JOIN (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn
) AS position
WHERE slot.slot_name = %(slot)s
