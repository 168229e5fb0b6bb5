-- Whom a lock, or the creation of a slot, waits for: most likely the oldest writer of this database; a slot waits for those
-- of the others, too.
SELECT pid, coalesce(usename::text, '?'), coalesce(nullif(application_name, ''), '?'), date_trunc('second', xact_start)::text
FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY datname = current_database() DESC, xact_start
LIMIT 1
