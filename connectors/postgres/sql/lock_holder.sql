-- The server process that holds a lock of ours; a line counts for as long as the server has the connection that it names.
SELECT held.pid
FROM vectrue.locks AS held
JOIN pg_stat_activity AS living ON living.pid = held.pid AND living.application_name = held.application
    AND coalesce(living.backend_start = held.started_at, true)
WHERE held.name = %(name)s
