-- Take a lock that nobody holds: whether it is this connection's now. A line holds as long as the server has the connection
-- that it names; Postgres shows the start of one to its own role alone, so for others process and name have to do. Where
-- another one holds it, nothing is written and no row is locked. Of two that find it free, the second finds the line changed.
WITH living AS (
    SELECT pid, application_name, backend_start FROM pg_stat_activity
), seen AS (
    SELECT held.pid, held.started_at, living.pid IS NOT NULL AS is_held, living.pid = pg_backend_pid() AS is_mine
    FROM vectrue.locks AS held
    LEFT JOIN living ON living.pid = held.pid AND living.application_name = held.application
        AND coalesce(living.backend_start = held.started_at, true)
    WHERE held.name = %(name)s
), taken AS (
    INSERT INTO vectrue.locks AS held (name, pid, started_at, application)
    SELECT %(name)s, me.pid, me.backend_start, me.application_name
    FROM living AS me
    WHERE me.pid = pg_backend_pid() AND NOT EXISTS (SELECT FROM seen WHERE seen.is_held)
    ON CONFLICT (name) DO UPDATE SET pid = excluded.pid, started_at = excluded.started_at,
        application = excluded.application, taken_at = clock_timestamp()
        WHERE EXISTS (
            SELECT FROM seen
            WHERE seen.pid IS NOT DISTINCT FROM held.pid AND seen.started_at IS NOT DISTINCT FROM held.started_at)
    RETURNING 1
)
SELECT EXISTS (SELECT FROM seen WHERE seen.is_mine) OR EXISTS (SELECT FROM taken)
