-- Whom the creation of a slot waits for.
SELECT pid, coalesce(usename::text, '?'), coalesce(nullif(application_name, ''), '?'), date_trunc('second', xact_start)::text
FROM pg_stat_activity
WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start
LIMIT 1
