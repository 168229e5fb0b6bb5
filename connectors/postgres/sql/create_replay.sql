-- A new run. One whose keys are still being read is only planned.
INSERT INTO vectrue.replays
    (run, scope, state, where_text, since, force, from_keys, requested_by, chunk_size, rate, max_live_lag)
VALUES (
    %(run)s, %(only)s, CASE WHEN %(keys)s THEN 'planned' ELSE 'running' END, %(where)s, %(since)s, %(force)s, %(keys)s,
    %(requested_by)s, %(chunk_size)s, %(rate)s, %(max_live_lag)s
)
