UPDATE vectrue.locks SET pid = NULL, started_at = NULL, application = NULL
WHERE name = %(name)s AND pid = pg_backend_pid()
