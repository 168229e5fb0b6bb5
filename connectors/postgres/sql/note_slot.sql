-- Note where the slot stands, and since when: from now on, if it has moved or nobody has looked for a while.
INSERT INTO vectrue.slot_moves AS known (prefix, slot, position, moved_at, seen_at)
SELECT %(prefix)s, slot_name::text, confirmed_flush_lsn, clock_timestamp(), clock_timestamp()
FROM pg_replication_slots
WHERE slot_name = %(slot)s AND confirmed_flush_lsn IS NOT NULL
ON CONFLICT (prefix) DO UPDATE SET
    slot = excluded.slot, position = excluded.position, seen_at = excluded.seen_at,
    moved_at = CASE
        WHEN known.slot = excluded.slot AND known.position = excluded.position
            AND known.seen_at > excluded.seen_at - make_interval(secs => %(gap)s) THEN known.moved_at
        ELSE excluded.moved_at
    END
