-- The canary: the database's time, the newest beat that was written, and the newest that came back with its hops.
SELECT
    clock_timestamp(), written.beat, written.sent_at,
    arrived.beat, arrived.sent_at, arrived.captured_at, arrived.queued_at, arrived.worker_at, arrived.arrived_at
FROM (SELECT) AS always
LEFT JOIN vectrue.canary AS written ON written.prefix = %(prefix)s
LEFT JOIN LATERAL (
    SELECT * FROM vectrue.canary_trail WHERE prefix = %(prefix)s ORDER BY sent_at DESC LIMIT 1
) AS arrived ON true
