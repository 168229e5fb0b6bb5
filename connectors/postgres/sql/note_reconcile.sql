-- A reconcile has ended: no other worker needs one for a while.
INSERT INTO embedsync.keeper (id, reconciled_at, found) VALUES (1, clock_timestamp(), %(found)s)
ON CONFLICT (id) DO UPDATE SET reconciled_at = excluded.reconciled_at, found = excluded.found
