-- Rows written by a transaction that was not over at the horizon, as a fragment. A row carries 32 bits of the id; one
-- from the horizon on is less than 2^31 behind the next id, and a row that was frozen long ago may only look like one.
-- By comparing alone, since a subtransaction's id, which is what a row may carry, is in no snapshot.
(({table}.xmin::text::bigint - %(horizon)s) & 4294967295)
    < pg_snapshot_xmax(pg_current_snapshot())::text::bigint - %(horizon)s
