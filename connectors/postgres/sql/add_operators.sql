-- Put pgvector's schema behind the search path of this session: its operators need not be in it.
SELECT set_config('search_path', concat_ws(', ', current_setting('search_path'), quote_ident(namespace.nspname)), false)
FROM pg_extension AS extension
JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
WHERE extension.extname = 'vector'
