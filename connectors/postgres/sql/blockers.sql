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
