-- A reconcile has ended: no other worker needs one for a while.
INSERT INTO vectrue.keeper (prefix, reconciled_at, found) VALUES (%(prefix)s, clock_timestamp(), %(found)s)
ON CONFLICT (prefix) DO UPDATE SET reconciled_at = excluded.reconciled_at, found = excluded.found
