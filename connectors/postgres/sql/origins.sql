SELECT
    (SELECT coalesce(array_agg(roname), '{}') FROM pg_replication_origin) AS names,
    (SELECT has_function_privilege(proc.oid, 'EXECUTE') FROM pg_proc AS proc
     WHERE proc.pronamespace = 'pg_catalog'::regnamespace AND proc.proname = 'pg_replication_origin_create') AS may_create
