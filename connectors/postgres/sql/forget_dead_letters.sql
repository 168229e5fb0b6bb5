-- The topic holds these letters no longer.
DELETE FROM embedsync.dead_letters WHERE id <> ALL (%(present)s) AND at < now() - interval '1 hour'
