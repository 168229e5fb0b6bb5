-- What was done about dead letters.
SELECT id, state, seen_at, outcome FROM vectrue.dead_letters
