-- The installation's topic holds these letters no longer; marks of an older embedsync name no installation.
DELETE FROM embedsync.dead_letters
WHERE coalesce(prefix, %(prefix)s) = %(prefix)s AND id <> ALL (%(present)s) AND at < now() - interval '1 hour'
