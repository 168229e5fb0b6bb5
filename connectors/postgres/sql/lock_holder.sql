-- The server process that holds a lock of ours; nothing where it is gone.
SELECT held.pid
FROM embedsync.locks AS held
JOIN pg_stat_activity AS living ON living.pid = held.pid AND living.application_name = held.application
WHERE held.name = %(name)s
