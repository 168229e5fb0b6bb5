-- The installation's topic holds these letters no longer; marks of an older vectrue name no installation.
DELETE FROM vectrue.dead_letters
WHERE coalesce(prefix, %(prefix)s) = %(prefix)s AND id <> ALL (%(present)s) AND at < now() - interval '1 hour'
