-- What every session sets, who holds what it waits for, and the locks of vectrue.

-- name: pin_session
-- Set what differs from what is wanted, if this server knows the setting.
SELECT set_config(wanted.name, wanted.value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
JOIN pg_settings AS found ON lower(found.name) = lower(wanted.name) AND found.setting IS DISTINCT FROM wanted.value

-- name: recorded_meaning
-- What the session of `init` had, for a prefix; without one, a line for each difference between installations.
SELECT search_path, locale FROM vectrue.installations WHERE %(prefix)s IS NULL OR prefix = %(prefix)s
GROUP BY search_path, locale

-- name: limit_lock_waits
-- A write waits for a lock for less than deadlock_timeout. In a deadlock between a trigger of the table and the application, the
-- worker then gives up first, before the server looks for a transaction to abort.
SELECT set_config('lock_timeout', greatest(1, least(%(wanted)s, setting::integer / 2))::text || 'ms', false)
FROM pg_settings
WHERE name = 'deadlock_timeout'

-- name: blockers
-- Who holds what these sessions wait for, whatever kind of lock it is: readers, prepared transactions, and sessions ahead of them
-- in the queue; then who holds what those wait for. Of another role's session Postgres may show only id, user and application.
WITH RECURSIVE chain (waiter, pid, depth) AS (
    SELECT asked.pid, blocker.pid, 1
    FROM unnest(%(pids)s::integer[]) AS asked (pid)
    CROSS JOIN LATERAL unnest(pg_blocking_pids(asked.pid)) AS blocker (pid)
    UNION
    SELECT chain.pid, blocker.pid, chain.depth + 1
    FROM chain
    CROSS JOIN LATERAL unnest(pg_blocking_pids(chain.pid)) AS blocker (pid)
    WHERE chain.pid <> 0 AND chain.depth < 5
), prepared AS (
    SELECT DISTINCT wanted.pid AS waiter, prepared.gid, prepared.prepared
    FROM pg_locks AS wanted
    JOIN pg_locks AS held ON held.pid IS NULL AND held.granted
        AND (held.locktype, held.database, held.relation, held.page, held.tuple, held.virtualxid, held.classid, held.objid,
             held.objsubid) IS NOT DISTINCT FROM
            (wanted.locktype, wanted.database, wanted.relation, wanted.page, wanted.tuple, wanted.virtualxid,
             wanted.classid, wanted.objid, wanted.objsubid)
        AND held.transactionid::text IS NOT DISTINCT FROM wanted.transactionid::text
    JOIN pg_locks AS own ON own.pid IS NULL AND own.locktype = 'transactionid'
        AND own.virtualtransaction = held.virtualtransaction
    JOIN pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
    WHERE NOT wanted.granted
)
SELECT
    chain.pid,
    activity.usename::text,
    nullif(activity.application_name, ''),
    activity.backend_type,
    activity.state,
    extract(epoch FROM clock_timestamp() - coalesce(min(prepared.prepared), activity.xact_start))::float8,
    EXISTS (SELECT FROM chain AS further WHERE further.waiter = chain.pid) AND chain.pid <> 0,
    prepared.gid
FROM chain
LEFT JOIN pg_stat_activity AS activity ON activity.pid = chain.pid
LEFT JOIN prepared ON chain.pid = 0 AND prepared.waiter = chain.waiter
WHERE chain.pid <> ALL (%(pids)s::integer[])
GROUP BY chain.pid, activity.usename, activity.application_name, activity.backend_type, activity.state,
    activity.xact_start, prepared.gid
ORDER BY 7, min(chain.depth), 6 DESC NULLS LAST

-- name: session_facts
-- One session, with the columns of blockers.
SELECT
    pid, usename::text, nullif(application_name, ''), backend_type, state,
    extract(epoch FROM clock_timestamp() - xact_start)::float8, false, NULL
FROM pg_stat_activity
WHERE pid = %(pid)s

-- name: take_lock
-- Take a lock unless it is held; whether this connection holds it now. A line counts as long as the server has the connection
-- that it names. Postgres shows the start of a connection only to its own role, so for others process id and name must do. If
-- another connection holds the lock, nothing is written and no row is locked. Of two that find it free, the second one finds
-- the line changed.
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

-- name: lock_holder
-- The server process that holds a lock; a line counts as long as the server has the connection that it names.
SELECT held.pid
FROM vectrue.locks AS held
JOIN pg_stat_activity AS living ON living.pid = held.pid AND living.application_name = held.application
    AND coalesce(living.backend_start = held.started_at, true)
WHERE held.name = %(name)s

-- name: give_back_lock
-- Release a lock that this connection holds.
UPDATE vectrue.locks SET pid = NULL, started_at = NULL, application = NULL
WHERE name = %(name)s AND pid = pg_backend_pid()
