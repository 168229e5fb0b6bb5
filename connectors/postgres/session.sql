-- What every session sets, who holds what it waits for, and locks that take a right.

-- name: pin_session
-- Settings of this session that differ from what is wanted, where this server knows them.
SELECT set_config(wanted.name, wanted.value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS wanted (name, value)
JOIN pg_settings AS found ON lower(found.name) = lower(wanted.name) AND found.setting IS DISTINCT FROM wanted.value

-- name: recorded_meaning
-- What the session of `init` had, by prefix; where no prefix is asked for, what all installations have in common.
SELECT search_path, locale FROM vectrue.installations WHERE %(prefix)s IS NULL OR prefix = %(prefix)s
GROUP BY search_path, locale

-- name: limit_lock_waits
-- A write waits for a lock for less than deadlock_timeout: in a deadlock between a trigger of the table and the
-- application, it is then the worker that gives way, before the server looks for somebody to abort.
SELECT set_config('lock_timeout', greatest(1, least(%(wanted)s, setting::integer / 2))::text || 'ms', false)
FROM pg_settings
WHERE name = 'deadlock_timeout'

-- name: blockers
-- Who holds what these sessions wait for: whatever kind of lock it is, readers and prepared transactions too, and those who
-- stand before them in the queue; then who holds what these wait for. Of sessions of other roles Postgres may show id, user
-- and application alone.
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
-- One session, as blockers.sql tells of those that hold something.
SELECT
    pid, usename::text, nullif(application_name, ''), backend_type, state,
    extract(epoch FROM clock_timestamp() - xact_start)::float8, false, NULL
FROM pg_stat_activity
WHERE pid = %(pid)s

-- name: take_lock
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

-- name: lock_holder
-- The server process that holds a lock of ours; a line counts for as long as the server has the connection that it names.
SELECT held.pid
FROM vectrue.locks AS held
JOIN pg_stat_activity AS living ON living.pid = held.pid AND living.application_name = held.application
    AND coalesce(living.backend_start = held.started_at, true)
WHERE held.name = %(name)s

-- name: give_back_lock
UPDATE vectrue.locks SET pid = NULL, started_at = NULL, application = NULL
WHERE name = %(name)s AND pid = pg_backend_pid()
