-- What is looked at before anything is changed.

-- name: server_facts
-- What decides whether this server, this database and this role can be worked with at all.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_database()::text AS database,
    current_user::text AS role,
    pg_is_in_recovery() AS standby,
    current_setting('wal_level') AS wal_level,
    -- On RDS the attribute is never set; membership of rds_replication stands for it.
    self.rolsuper OR self.rolreplication OR EXISTS (
        SELECT FROM pg_roles AS rds WHERE rds.rolname = 'rds_replication' AND pg_has_role(rds.oid, 'MEMBER')
    ) AS may_replicate,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    current_setting('max_slot_wal_keep_size') AS slot_limit,
    (SELECT count(*) FROM pg_replication_slots) < current_setting('max_replication_slots')::integer AS slot_free,
    (SELECT namespace.nspname::text FROM pg_extension AS extension
     JOIN pg_namespace AS namespace ON namespace.oid = extension.extnamespace
     WHERE extension.extname = 'vector') AS vector_schema,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS vector_available,
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(worker)s) AS worker_exists,
    current_setting('server_encoding') AS encoding
FROM pg_roles AS self
WHERE self.rolname = current_user

-- name: neighbour_facts
-- What a publication and a foreign writer could break in a table, beyond inspect_table.sql.
SELECT
    pg_has_role(class.relowner, 'USAGE') AS owned,
    -- As row_security_active() decides it, for another role than the one that asks.
    NOT class.relrowsecurity OR role.rolsuper OR role.rolbypassrls
        OR (NOT class.relforcerowsecurity AND pg_has_role(role.oid, class.relowner, 'USAGE')) AS sees_all_rows,
    -- A deferrable primary key cannot be the replica identity.
    coalesce((SELECT idx.indimmediate FROM pg_index AS idx WHERE idx.indrelid = class.oid AND idx.indisprimary), true)
        AS key_immediate,
    (SELECT coalesce(jsonb_object_agg(att.attname, format_type(coalesce(nullif(typ.typbasetype, 0), typ.oid), NULL)), '{}')
     FROM pg_index AS idx
     JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = ANY (idx.indkey)
     JOIN pg_type AS typ ON typ.oid = att.atttypid
     WHERE idx.indrelid = class.oid AND idx.indisprimary) AS key_base_types,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_attribute AS att
     WHERE att.attrelid = class.oid AND att.attgenerated <> '' AND NOT att.attisdropped) AS generated,
    (SELECT coalesce(jsonb_agg(att.attname), '[]')
     FROM pg_attribute AS att
     WHERE att.attrelid = class.oid AND att.attnotnull AND NOT att.attisdropped) AS not_null,
    class.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = class.oid) AS inherited_from,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('name', leaf.oid::regclass::text, 'kind', leaf.relkind,
        'persistence', leaf.relpersistence, 'replica_identity', leaf.relreplident)), '[]')
     FROM pg_partition_tree(class.oid) AS tree
     JOIN pg_class AS leaf ON leaf.oid = tree.relid
     WHERE class.relkind = 'p' AND tree.isleaf AND leaf.relkind <> 'p') AS partitions,
    (SELECT root.relid::regclass::text FROM pg_partition_ancestors(class.oid) AS root
     ORDER BY root.relid = class.oid, (SELECT count(*) FROM pg_partition_ancestors(root.relid)) LIMIT 1) AS root
FROM pg_class AS class
JOIN pg_roles AS role ON role.rolname = %(worker)s
WHERE class.oid = %(oid)s

-- name: without_identity
-- Published tables, and partitions of such, whose UPDATEs Postgres refuses, since they have no replica identity.
SELECT namespace.nspname, class.relname, class.relreplident::text, roots.nspname, root.relname
FROM pg_publication AS pub
JOIN pg_publication_rel AS rel ON rel.prpubid = pub.oid
CROSS JOIN LATERAL (SELECT rel.prrelid AS oid UNION SELECT relid FROM pg_partition_tree(rel.prrelid)) AS published
JOIN pg_class AS class ON class.oid = published.oid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_class AS root ON root.oid = rel.prrelid
JOIN pg_namespace AS roots ON roots.oid = root.relnamespace
WHERE pub.pubname = %(publication)s AND pub.pubupdate AND class.relkind = 'r' AND class.relreplident <> 'f'
    AND NOT EXISTS (
        SELECT FROM pg_index AS index
        WHERE index.indrelid = class.oid AND index.indisvalid AND index.indimmediate
            AND CASE class.relreplident WHEN 'd' THEN index.indisprimary WHEN 'i' THEN index.indisreplident END)
ORDER BY 1, 2

-- name: text_columns
-- What the view of text_view.sql reads: relation and column; no column where it reads whole rows, or none of them. Which of
-- the two the last field says: whether a whole row stands anywhere in the text.
SELECT class.oid, namespace.nspname::text, class.relname::text, att.attname::text,
    rule.ev_action::text LIKE '%:varattno 0 %'
FROM pg_rewrite AS rule
JOIN pg_depend AS dep ON dep.classid = 'pg_rewrite'::regclass AND dep.objid = rule.oid
    AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid <> rule.ev_class
JOIN pg_class AS class ON class.oid = dep.refobjid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_attribute AS att ON att.attrelid = class.oid AND att.attnum = dep.refobjsubid AND dep.refobjsubid > 0
WHERE rule.ev_class = 'pg_temp.our_text'::regclass
ORDER BY 2, 3, 4

-- name: text_calls
-- What the view of text_view.sql calls that is not immutable, and whether that makes its text another one although the row
-- is the same: volatile functions, those without an argument that could be the row's, and what is about time and session.
-- From the stored query itself, since the catalogue keeps no dependency on functions that came with the server.
WITH stored AS (
    SELECT rule.ev_action::text AS query FROM pg_rewrite AS rule WHERE rule.ev_class = 'pg_temp.our_text'::regclass
), called AS (
    SELECT DISTINCT found[1]::oid AS oid
    FROM stored CROSS JOIN regexp_matches(query, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found
)
SELECT
    proc.oid::regprocedure::text,
    proc.provolatile = 'v' OR proc.pronargs = 0 OR (
        proc.pronamespace = 'pg_catalog'::regnamespace
        AND (proc.proname = 'current_setting' OR (proc.proname = 'age' AND proc.pronargs = 1))
    )
FROM called JOIN pg_proc AS proc USING (oid)
WHERE proc.provolatile <> 'i'
UNION ALL
SELECT 'the time or the session (CURRENT_...)', true FROM stored WHERE query LIKE '%{{SQLVALUEFUNCTION %'
UNION ALL
SELECT 'a system column', true FROM stored WHERE query ~ ':varattno -[1-5]\M' -- but for tableoid
UNION ALL
-- The parser makes a moment of the word, a new one each time.
SELECT 'a word for the time (''now'', ''today'')', true FROM stored
WHERE query ~ ':consttype (?:1082|1083|1114|1184|1266)\M' -- date, time, timestamp, timestamptz, timetz
    AND {text_literal} ~* E'''\\s*(?:now|today|tomorrow|yesterday)\\M'
ORDER BY 1

-- name: text_objects
-- What the view of text_view.sql needs besides tables: each function with the role's right on it, and the schemas of all
-- that it names. Functions that a function calls are not known to the catalogue.
WITH needed AS (
    SELECT DISTINCT dep.refclassid, dep.refobjid
    FROM pg_rewrite AS rule
    JOIN pg_depend AS dep ON dep.classid = 'pg_rewrite'::regclass AND dep.objid = rule.oid AND dep.refobjid <> rule.ev_class
    WHERE rule.ev_class = 'pg_temp.our_text'::regclass
), object (schema, function) AS (
    SELECT pronamespace, oid FROM pg_proc JOIN needed ON refclassid = 'pg_proc'::regclass AND refobjid = oid
    UNION ALL
    SELECT oprnamespace, oprcode FROM pg_operator JOIN needed ON refclassid = 'pg_operator'::regclass AND refobjid = oid
    UNION ALL
    SELECT typnamespace, NULL FROM pg_type JOIN needed ON refclassid = 'pg_type'::regclass AND refobjid = oid
    UNION ALL
    SELECT collnamespace, NULL FROM pg_collation JOIN needed ON refclassid = 'pg_collation'::regclass AND refobjid = oid
    UNION ALL
    SELECT cfgnamespace, NULL FROM pg_ts_config JOIN needed ON refclassid = 'pg_ts_config'::regclass AND refobjid = oid
    UNION ALL
    SELECT relnamespace, NULL FROM pg_class JOIN needed ON refclassid = 'pg_class'::regclass AND refobjid = oid
)
SELECT
    (SELECT coalesce(array_agg(DISTINCT namespace.nspname::text), '{{}}')
     FROM object JOIN pg_namespace AS namespace ON namespace.oid = object.schema
     WHERE namespace.nspname NOT IN ('pg_catalog', 'information_schema')) AS schemas,
    (SELECT coalesce(array_agg(DISTINCT object.function::regprocedure::text), '{{}}')
     FROM object WHERE NOT has_function_privilege(%(role)s, object.function, 'EXECUTE')) AS not_granted,
    (SELECT coalesce(array_agg(DISTINCT object.function::regprocedure::text), '{{}}')
     FROM object WHERE NOT has_function_privilege(object.function, 'EXECUTE WITH GRANT OPTION')) AS not_grantable

-- name: path_schemas
-- Schemas of this session's search path that exist.
SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%(names)s) AND nspname !~ '^pg_'

-- name: strange_owner
-- What of the schema vectrue belongs to a role that is not a superuser: such a role could have put anything there.
SELECT found.what, owner.rolname::text
FROM (
    SELECT 0 AS place, 'the schema vectrue' AS what, nspowner AS owner FROM pg_namespace WHERE nspname = 'vectrue'
    UNION ALL
    SELECT 1, 'vectrue.' || relname::text, relowner FROM pg_class WHERE relnamespace = to_regnamespace('vectrue')
    UNION ALL
    SELECT 1, 'vectrue.' || proname::text, proowner FROM pg_proc WHERE pronamespace = to_regnamespace('vectrue')
) AS found
JOIN pg_roles AS owner ON owner.oid = found.owner
WHERE NOT owner.rolsuper
ORDER BY found.place, found.what
LIMIT 1

-- name: function_of_others
-- Where a role is a superuser: a function of this database that belongs to none, and whose it is. A count may come upon any
-- of them: in a text, in an index, in a domain, in a view.
SELECT proc.oid::regprocedure::text, owner.rolname::text
FROM pg_proc AS proc
JOIN pg_roles AS owner ON owner.oid = proc.proowner
WHERE NOT owner.rolsuper AND EXISTS (SELECT FROM pg_roles AS reader WHERE reader.rolname = %(role)s AND reader.rolsuper)
ORDER BY 1
LIMIT 1
