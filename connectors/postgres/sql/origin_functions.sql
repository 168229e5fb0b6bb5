-- The functions that label a session's writes, as GRANT names them (the number of arguments grew in 19).
SELECT proc.oid::regprocedure::text,
    has_function_privilege(%(role)s, proc.oid, 'EXECUTE') AS granted,
    has_function_privilege(proc.oid, 'EXECUTE WITH GRANT OPTION') AS grantable
FROM pg_proc AS proc
WHERE proc.pronamespace = 'pg_catalog'::regnamespace
    AND proc.proname IN ('pg_replication_origin_session_setup', 'pg_replication_origin_session_reset',
                         'pg_replication_origin_session_is_setup')
ORDER BY 1
