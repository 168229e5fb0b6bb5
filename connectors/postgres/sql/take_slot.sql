-- Room for some rows under the run's rate, shared by all workers: seconds until they may start.
UPDATE vectrue.replays
SET next_slot = greatest(next_slot, clock_timestamp()) + make_interval(secs => %(rows)s / rate)
WHERE run = %(run)s AND rate IS NOT NULL
RETURNING extract(epoch FROM next_slot - make_interval(secs => %(rows)s / rate) - clock_timestamp())::double precision
