-- Seconds that the slot has stood where it stands, although the canary or the connector's heartbeat was written since;
-- no line when it has moved, or nobody has noted where it stood.
SELECT extract(epoch FROM clock_timestamp() - known.moved_at)::double precision
FROM vectrue.slot_moves AS known
JOIN pg_replication_slots AS slot ON slot.slot_name = known.slot AND slot.confirmed_flush_lsn = known.position
WHERE known.prefix = %(prefix)s AND known.slot = %(slot)s AND (
    EXISTS (SELECT FROM vectrue.canary WHERE prefix = %(prefix)s AND sent_at > known.moved_at)
    OR EXISTS (SELECT FROM vectrue.heartbeat WHERE at > known.moved_at)
)
