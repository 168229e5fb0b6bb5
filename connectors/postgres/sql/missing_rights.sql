-- Rights on the database and the schema embedsync that the worker's role does not have yet.
SELECT
    NOT (has_database_privilege(%(role)s, current_database(), 'CONNECT')
         AND has_database_privilege(%(role)s, current_database(), 'TEMPORARY')) AS database,
    (SELECT coalesce(array_agg(wanted.name ORDER BY wanted.name), '{}')
     FROM unnest(%(schemas)s) AS wanted (name)
     LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.name
     WHERE namespace.oid IS NULL OR NOT has_schema_privilege(%(role)s, namespace.oid, 'USAGE')) AS schemas,
    (SELECT coalesce(bool_or(NOT has_table_privilege(%(role)s, class.oid, 'SELECT')), true) FROM pg_class AS class
     WHERE class.relnamespace = to_regnamespace('embedsync') AND class.relkind IN ('r', 'v')) AS reading,
    (SELECT count(*) <> 6
         OR NOT bool_and(has_table_privilege(%(role)s, class.oid, 'INSERT')
                         AND has_table_privilege(%(role)s, class.oid, 'UPDATE'))
         OR NOT bool_and(class.relname NOT IN ('quarantine', 'dead_letters') OR has_table_privilege(%(role)s, class.oid, 'DELETE'))
     FROM pg_class AS class
     WHERE class.relnamespace = to_regnamespace('embedsync')
         AND class.relname IN ('replays', 'replay_scopes', 'replay_chunks', 'quarantine', 'keeper', 'dead_letters')) AS writing
