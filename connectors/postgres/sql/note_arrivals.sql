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
