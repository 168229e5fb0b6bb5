-- Whoever enters a run looks first whether another one holds its columns; two of them take turns until the commit.
SELECT pg_advisory_xact_lock(hashtext('embedsync.replays'))
