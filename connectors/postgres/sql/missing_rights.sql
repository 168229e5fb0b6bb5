-- Rights on the database and the schema vectrue that the worker's role does not have yet.
SELECT
    NOT (has_database_privilege(%(role)s, current_database(), 'CONNECT')
         AND has_database_privilege(%(role)s, current_database(), 'TEMPORARY')) AS database,
    (SELECT coalesce(array_agg(wanted.name ORDER BY wanted.name), '{}')
     FROM unnest(%(schemas)s) AS wanted (name)
     LEFT JOIN pg_namespace AS namespace ON namespace.nspname = wanted.name
     WHERE namespace.oid IS NULL OR NOT has_schema_privilege(%(role)s, namespace.oid, 'USAGE')) AS schemas,
    (SELECT coalesce(bool_or(NOT has_table_privilege(%(role)s, class.oid, 'SELECT')), true) FROM pg_class AS class
     WHERE class.relnamespace = to_regnamespace('vectrue') AND class.relkind IN ('r', 'v')) AS reading,
    -- One line per right: a list of rights in one call means any of them. A table that is not there has none.
    (SELECT bool_or(NOT coalesce(has_table_privilege(%(role)s, class.oid, wanted.privilege), false))
     FROM (
         SELECT unnest(ARRAY['replays', 'replay_scopes', 'replay_chunks', 'quarantine', 'keeper', 'dead_letters', 'feedback',
                             'queries', 'quality_runs', 'canary', 'canary_trail', 'looks', 'slot_moves', 'topics',
                             'table_marks', 'locks', 'rounds', 'edited_settings']), 'INSERT'
         UNION ALL
         SELECT unnest(ARRAY['replays', 'replay_scopes', 'replay_chunks', 'quarantine', 'keeper', 'dead_letters', 'feedback',
                             'canary', 'canary_trail', 'looks', 'slot_moves', 'topics', 'table_marks',
                             'locks', 'rounds', 'edited_settings']), 'UPDATE'
         UNION ALL
         SELECT unnest(ARRAY['quarantine', 'dead_letters', 'queries', 'quality_runs', 'canary_trail', 'looks', 'topics', 'table_marks',
                             'edited_settings']),
                'DELETE'
     ) AS wanted (name, privilege)
     LEFT JOIN pg_class AS class
         ON class.relnamespace = to_regnamespace('vectrue') AND class.relname = wanted.name) AS writing
