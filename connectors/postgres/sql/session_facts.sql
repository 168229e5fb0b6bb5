-- One session, as blockers.sql tells of those that hold something.
SELECT
    pid, usename::text, nullif(application_name, ''), backend_type, state,
    extract(epoch FROM clock_timestamp() - xact_start)::float8, false, NULL
FROM pg_stat_activity
WHERE pid = %(pid)s
