-- The canary and what else green is judged by.

-- name: canary
-- The canary: the database's time, the newest beat that was written, and the newest that came back with its hops.
SELECT
    clock_timestamp(), written.beat, written.sent_at,
    arrived.beat, arrived.sent_at, arrived.captured_at, arrived.queued_at, arrived.worker_at, arrived.arrived_at
FROM (SELECT) AS always
LEFT JOIN vectrue.canary AS written ON written.prefix = %(prefix)s
LEFT JOIN LATERAL (
    SELECT * FROM vectrue.canary_trail WHERE prefix = %(prefix)s ORDER BY sent_at DESC LIMIT 1
) AS arrived ON true

-- name: write_canary
-- Write the next beat if it is due, whichever worker asks; returns the seconds until the one after it is due.
-- A time in the future is of a clock that was set back since.
WITH written AS (
    INSERT INTO vectrue.canary AS canary (prefix, beat, sent_at)
    VALUES (%(prefix)s, 1, clock_timestamp())
    ON CONFLICT (prefix) DO UPDATE SET beat = canary.beat + 1, sent_at = clock_timestamp()
        WHERE canary.sent_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
            OR canary.sent_at > clock_timestamp()
    RETURNING beat
)
SELECT CASE
    WHEN EXISTS (SELECT FROM written) THEN %(seconds)s
    ELSE (
        SELECT extract(epoch FROM sent_at - clock_timestamp()) + %(seconds)s FROM vectrue.canary
        WHERE prefix = %(prefix)s
    )
END::double precision

-- name: note_arrivals
-- Beats of the canary that came back. One that comes again changes nothing, unless it is of a canary that began again.
INSERT INTO vectrue.canary_trail AS known (prefix, beat, sent_at, captured_at, queued_at, worker_at, arrived_at)
SELECT %(prefix)s, beat, sent_at, captured_at, queued_at, %(worker_at)s, clock_timestamp()
FROM unnest(
    %(beats)s::bigint[], %(sent)s::timestamptz[], %(captured)s::timestamptz[], %(queued)s::timestamptz[]
) AS arrived (beat, sent_at, captured_at, queued_at)
ON CONFLICT (prefix, beat) DO UPDATE SET
    sent_at = excluded.sent_at, captured_at = excluded.captured_at, queued_at = excluded.queued_at,
    worker_at = excluded.worker_at, arrived_at = excluded.arrived_at
    WHERE known.sent_at < excluded.sent_at

-- name: note_slot
-- Note where the slot stands, and since when: from now on, if it has moved or has not been looked at for a while.
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

-- name: prune_arrivals
-- Arrivals older than an hour go, and those of a clock that was set back since.
DELETE FROM vectrue.canary_trail
WHERE prefix = %(prefix)s AND (arrived_at < clock_timestamp() - interval '1 hour' OR sent_at > clock_timestamp())

-- name: slot_standstill
-- Seconds that the slot has stood where it stands, although the canary or the connector's heartbeat was written since;
-- no line when it has moved, or it was not noted where it stood.
SELECT extract(epoch FROM clock_timestamp() - known.moved_at)::double precision
FROM vectrue.slot_moves AS known
JOIN pg_replication_slots AS slot ON slot.slot_name = known.slot AND slot.confirmed_flush_lsn = known.position
WHERE known.prefix = %(prefix)s AND known.slot = %(slot)s AND (
    EXISTS (SELECT FROM vectrue.canary WHERE prefix = %(prefix)s AND sent_at > known.moved_at)
    OR EXISTS (SELECT FROM vectrue.heartbeat WHERE at > known.moved_at)
)

-- name: heartbeat_age
-- Seconds since the connector's last heartbeat, by the database's clock.
SELECT extract(epoch FROM clock_timestamp() - at)::double precision FROM vectrue.heartbeat WHERE id = 1

-- name: worker_sessions
-- Sessions in which workers read and write rows; ids and names are shown to every role.
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN ('vectrue live', 'vectrue replay')
