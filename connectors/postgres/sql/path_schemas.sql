-- Schemas of this session's search path that exist.
SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%(names)s) AND nspname !~ '^pg_'
