-- What was done about dead letters.
SELECT id, state, seen_at, outcome FROM embedsync.dead_letters
