-- Something was done about these dead letters; their later outcome comes the same way.
INSERT INTO vectrue.dead_letters (id, state, seen_at, outcome, prefix)
VALUES %s
ON CONFLICT (id) DO UPDATE SET state = excluded.state, seen_at = excluded.seen_at, outcome = excluded.outcome,
    prefix = excluded.prefix, at = now()
