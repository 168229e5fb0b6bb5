-- Whoever enters a run looks first whether another one holds its columns; two of them take turns until the commit.
INSERT INTO vectrue.locks (name) VALUES ('replays') ON CONFLICT (name) DO UPDATE SET taken_at = clock_timestamp()
