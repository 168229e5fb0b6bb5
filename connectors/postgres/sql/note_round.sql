-- Somebody has looked, or (doing) is about to do what may take long.
INSERT INTO vectrue.rounds AS known (prefix, what, at, every_seconds, doing)
VALUES (%(prefix)s, %(what)s, clock_timestamp(), %(every)s, %(doing)s)
ON CONFLICT (prefix, what) DO UPDATE SET at = excluded.at, doing = excluded.doing,
    every_seconds = coalesce(excluded.every_seconds, known.every_seconds)
