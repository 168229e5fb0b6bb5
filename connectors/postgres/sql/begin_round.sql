-- A worker has started that will look: it has time to, however long nobody did.
INSERT INTO vectrue.rounds (prefix, what, begun_at) VALUES (%(prefix)s, %(what)s, clock_timestamp())
ON CONFLICT (prefix, what) DO UPDATE SET begun_at = excluded.begun_at
