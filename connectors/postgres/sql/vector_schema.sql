-- The schema of pgvector's functions, which need not be in the search path.
SELECT namespace.nspname
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'
