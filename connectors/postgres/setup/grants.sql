-- Rights of the worker's role.

-- name: grant_vectrue
GRANT SELECT ON ALL TABLES IN SCHEMA vectrue TO {role};
GRANT INSERT, UPDATE ON vectrue.replays, vectrue.replay_scopes, vectrue.replay_chunks, vectrue.quarantine,
    vectrue.keeper, vectrue.dead_letters, vectrue.feedback, vectrue.canary, vectrue.canary_trail,
    vectrue.looks, vectrue.slot_moves, vectrue.topics, vectrue.table_marks, vectrue.locks,
    vectrue.rounds, vectrue.edited_settings TO {role};
GRANT INSERT ON vectrue.queries, vectrue.quality_runs TO {role};
GRANT DELETE ON vectrue.quarantine, vectrue.dead_letters, vectrue.queries, vectrue.quality_runs,
    vectrue.canary_trail, vectrue.looks, vectrue.topics, vectrue.table_marks,
    vectrue.edited_settings TO {role}

-- name: missing_rights
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

-- name: missing_column_rights
-- Columns of a table that the role may not use in the given way yet.
SELECT coalesce(array_agg(att.attname::text ORDER BY att.attnum), '{}')
FROM pg_attribute AS att
WHERE att.attrelid = %(oid)s AND att.attname = ANY (%(columns)s) AND NOT att.attisdropped
    AND NOT has_column_privilege(%(role)s, att.attrelid, att.attnum, %(right)s)

-- name: origin_functions
-- The functions that label a session's writes, as GRANT names them (the number of arguments grew in 19).
SELECT proc.oid::regprocedure::text,
    has_function_privilege(%(role)s, proc.oid, 'EXECUTE') AS granted,
    has_function_privilege(proc.oid, 'EXECUTE WITH GRANT OPTION') AS grantable
FROM pg_proc AS proc
WHERE proc.pronamespace = 'pg_catalog'::regnamespace
    AND proc.proname IN ('pg_replication_origin_session_setup', 'pg_replication_origin_session_reset',
                         'pg_replication_origin_session_is_setup')
ORDER BY 1
